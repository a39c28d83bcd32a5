package udp_client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// sentBy returns a sender once it has sent n bytes, and its address as it says.
func sentBy(t *testing.T, h *lab.Host, n int, to, local string, args ...string) (p *harness.Program, port uint16) {
	t.Helper()
	p = harness.Start(t, h, "udp_client/send", args...)
	from := p.Line(fmt.Sprintf(`sent %d bytes to \Q%s\E from (\Q%s\E:\d+)`, n, to, local))[0]
	port = netip.MustParseAddrPort(from).Port()
	assert.Assert(t, port != 0)
	return p, port
}

func TestSendTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, _ := peer.EchoServer(t, h)
	var programs []*harness.Program
	for _, c := range []struct {
		args  []string
		shown string
		n     int
	}{
		{nil, `"hello"`, 5},
		{[]string{"-offset", "1", "-length", "3"}, `"ell"`, 3},
		{[]string{"-message", "héllo", "-offset", "2"}, `"\\xa9llo"`, 4},
	} {
		p, port := sentBy(t, h, c.n, "127.0.0.1:8080", "0.0.0.0", c.args...)
		p.Line(fmt.Sprintf(`received %d bytes from 127\.0\.0\.1:8080: %s`, c.n, c.shown))
		p.Exit(0)
		peer.KeepPort(t, h, fmt.Sprintf(":%d", port))
		server.Line(fmt.Sprintf(`127\.0\.0\.1:%d IPv4 sent %d bytes: %s`, port, c.n, c.shown))
		programs = append(programs, p)
	}
	server.Stop()
	harness.Transcript(t, "send.txt", append([]*harness.Program{server}, programs...)...)
}

// The port that the system chose is the one the peer sees, and its reply gets
// there; over IPv6 as well.
func TestSendPort(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ host, peer, local string }{
		{"127.0.0.1", "127.0.0.1", "0.0.0.0"},
		{"[::1]", "[::1]", "[::]"},
		{"", "127.0.0.1", "0.0.0.0"}, // left out, it is this machine
	} {
		remote := peer.ListenUDP(t, h, "udp", c.peer+":0")
		to := fmt.Sprintf("%s:%d", c.host, peer.AddrOf(remote).Port())
		p, port := sentBy(t, h, 5, to, c.local, "-addr", to)
		data, from := peer.ReceiveUDP(t, remote)
		assert.Equal(t, data, "hello")
		assert.Equal(t, from.String(), fmt.Sprintf("%s:%d", c.peer, port))
		peer.SendUDP(t, remote, from, "")
		p.Line(fmt.Sprintf(`received 0 bytes from \Q%v\E: ""`, peer.AddrOf(remote)))
		p.Exit(0)
	}
}

// A socket that nobody connected takes anybody's datagram for the reply, whole,
// and shows 64 bytes of it.
func TestSendHearsAnybody(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	remote, stranger := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	for n, shown := range map[int]string{64: `"x{64}"`, 65: `"x{64}"…`, 8000: `"x{64}"…`} {
		p, port := sentBy(t, h, 5, peer.AddrOf(remote).String(), "0.0.0.0", "-addr", peer.AddrOf(remote).String())
		peer.SendUDP(t, stranger, netip.AddrPortFrom(peer.AddrOf(stranger).Addr(), port), strings.Repeat("x", n))
		p.Line(fmt.Sprintf(`received %d bytes from %v: %s`, n, peer.AddrOf(stranger), shown))
		p.Exit(0)
	}
}

// Nobody listens: the sender is not told, and waits on.
func TestSendClosedPort(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	other := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	p, port := sentBy(t, h, 5, "127.0.0.1:8080", "0.0.0.0")
	peer.SendUDP(t, other, netip.AddrPortFrom(peer.AddrOf(other).Addr(), port), "still there?")
	p.Line(fmt.Sprintf(`received 12 bytes from %v: "still there\?"`, peer.AddrOf(other)))
	p.Exit(0)
}

// Offset and length count bytes, not characters, and reach from nothing to the
// whole message.
func TestSendOffsetAndLength(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := peer.EchoServer(t, h)
	const message = "a€é" // of 1, 3 and 2 bytes
	for _, c := range []struct {
		args  string
		bytes string
		shown string
	}{
		{"", "a€é", `"a€é"`},
		{"-offset 0 -length 6", "a€é", `"a€é"`},
		{"-offset 0 -length 0", "", `""`},
		{"-offset 0 -length 1", "a", `"a"`},
		{"-length 2", "a\xe2", `"a\\xe2"`},
		{"-offset 1", "€é", `"€é"`},
		{"-offset 2", "\x82\xacé", `"\\x82\\xacé"`},
		{"-offset 2 -length 3", "\x82\xac\xc3", `"\\x82\\xac\\xc3"`},
		{"-offset 5", "\xa9", `"\\xa9"`},
		{"-offset 6", "", `""`},
		{"-offset 6 -length 0", "", `""`},
	} {
		args := append([]string{"-message", message}, strings.Fields(c.args)...)
		p, port := sentBy(t, h, len(c.bytes), addr.String(), "0.0.0.0", args...)
		p.Line(fmt.Sprintf(`received %d bytes from %v: %s`, len(c.bytes), addr, c.shown))
		p.Exit(0)
		server.Line(fmt.Sprintf(`127\.0\.0\.1:%d IPv4 sent %d bytes: %s`, port, len(c.bytes), c.shown))
	}
	server.Stop()
}

func TestSendStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.StopBy(t, func() *harness.Program { p, _ := sentBy(t, h, 5, "127.0.0.1:8080", "0.0.0.0"); return p })
}

func TestSendFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Unresolved(t, h, "udp_client/send")
}

// A plain socket that is not connected outlives a closed port; a connected one
// is told, once.
func TestSendPlainSockets(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	// Not a port that was open a moment ago: the system may choose it again.
	const closed = "127.0.0.1:8080"
	live, unconnected := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	for range 3 {
		peer.SendUDP(t, unconnected, netip.MustParseAddrPort(closed), "x")
	}
	peer.SendUDP(t, unconnected, peer.AddrOf(live), "on")
	data, _ := peer.ReceiveUDP(t, live)
	assert.Equal(t, data, "on")

	var conn net.Conn
	var err error
	h.Do(func() { conn, err = net.Dial("udp4", closed) })
	assert.NilError(t, err)
	peer.Ours(t, conn.(*net.UDPConn))
	_, err = conn.Write([]byte("x")) // leaves, and is refused
	assert.NilError(t, err)
	_, err = conn.Read(make([]byte, 1))
	assert.Assert(t, errors.Is(err, syscall.ECONNREFUSED), "%v", err)
}

// Node binds on the way to the first send: there is no port before that. It
// refuses an offset or a length outside the buffer; both count bytes.
func TestSendOfNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
	node := harness.NodeScript(t, h, `
		const socket = require('dgram').createSocket('udp4')
		const tell = () => { try { return socket.address() } catch (e) { return e.code } }
		console.log(tell())
		for (const [offset, length] of [[6, 0], [5, 1], [0, 6], [-1, 1]])
			try { socket.send(Buffer.from('hello'), offset, length, 8080, '127.0.0.1') } catch (e) { console.log(e.code) }
		socket.send('héllo', 2, 4, 8080, '127.0.0.1', (err, n) => { console.log(n, tell().address, tell().port); socket.close() })
		console.log(tell())`)
	node.Line("EBADF")
	for range 4 {
		node.Line("ERR_BUFFER_OUT_OF_BOUNDS")
	}
	node.Line("EBADF")
	port := node.Line(`4 0\.0\.0\.0 (\d+)`)[0]
	node.Exit(0)
	data, from := peer.ReceiveUDP(t, remote)
	assert.Equal(t, data, "\xa9llo")
	assert.Equal(t, from.String(), "127.0.0.1:"+port)
}

func TestSendNodePeer(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("udp_server/server")
		s.Ready()
		c := client("udp_client/send", "--message", "hello, world", "--offset", "7", "--length", "3")
		port := c.Line(`sent 3 bytes to 127\.0\.0\.1:8080 from 0\.0\.0\.0:(\d+)`)[0]
		s.Line(`127\.0\.0\.1:` + port + ` IPv4 sent 3 bytes: "wor"`)
		c.Line(`received 3 bytes from 127\.0\.0\.1:8080: "wor"`)
		c.Exit(0)
		s.Stop()
	})
}
