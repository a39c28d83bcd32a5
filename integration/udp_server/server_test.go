package udp_server

import (
	"bytes"
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

// roundTrip sends data to an echo server and demands it back.
func roundTrip(t *testing.T, conn *net.UDPConn, server netip.AddrPort, data string) {
	t.Helper()
	peer.SendUDP(t, conn, server, data)
	back, from := peer.ReceiveUDP(t, conn)
	assert.Assert(t, back == data, "sent %d bytes, %d came back", len(data), len(back))
	assert.Equal(t, from, server)
}

// pattern is n bytes of which no two neighbouring blocks are alike.
func pattern(n int) string {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d\xff\x00\n", i)
	}
	return b.String()[:n]
}

// The two programs with nothing but their defaults, as the page shows them.
func TestServerTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := peer.EchoServer(t, h)
	assert.Equal(t, addr.String(), "127.0.0.1:8080")
	client := harness.Start(t, h, "udp_client/client")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes from 127\.0\.0\.1:8080: "hello"`)
	client.Exit(0)
	server.Line(from + ` IPv4 sent 5 bytes: "hello"`)
	server.Stop()
	harness.Transcript(t, "server.txt", server, client)
}

// What was sent comes back, each datagram by itself, the empty one too, and
// none of them ends the server.
func TestServerEchoes(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, ip := range []string{"127.0.0.1", "[::1]"} {
		server, addr := peer.EchoServer(t, h, "-addr", ip+":0")
		conn := peer.ListenUDP(t, h, "udp", ip+":0")
		for _, c := range []struct{ data, shown string }{
			{"", `""`},
			{"x", `"x"`},
			{"caf\u00e9\n\x00\xff", `"café\\n\\x00\\xff"`},
			{strings.Repeat("x", 64), `"x{64}"`},
			{strings.Repeat("x", 65), `"x{64}"…`},
			{pattern(1400), `".*"…`},
			{"", `""`},
		} {
			roundTrip(t, conn, addr, c.data)
			server.Line(fmt.Sprintf(`\Q%v\E IPv[46] sent %d bytes: %s`, peer.AddrOf(conn), len(c.data), c.shown))
		}
		server.Stop()
	}
}

// The line has the four fields of rinfo: address, port, family, size. On a
// socket for both families an IPv4 peer is shown as what it is, and answered.
func TestServerRinfo(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	const four, six = "127.0.0.1", "::1"
	for _, c := range []struct {
		addr  string
		peers []string
	}{
		{"127.0.0.1:0", []string{four}},
		{"[::1]:0", []string{six}},
		{":0", []string{four, six}},
		{"[::]:0", []string{four, six}},
		{"0.0.0.0:0", []string{four}},
		{"localhost:0", []string{four}},
	} {
		server, addr := peer.EchoServer(t, h, "-addr", c.addr)
		for _, remote := range c.peers {
			family := "IPv4"
			if remote == six {
				family = "IPv6"
			}
			ip := netip.MustParseAddr(remote)
			conn := peer.ListenUDP(t, h, map[string]string{"IPv4": "udp4", "IPv6": "udp6"}[family], netip.AddrPortFrom(ip, 0).String())
			roundTrip(t, conn, netip.AddrPortFrom(ip, addr.Port()), "who am I")
			server.Line(fmt.Sprintf(`\Q%v\E %s sent 8 bytes: "who am I"`, peer.AddrOf(conn), family))
		}
		server.Stop()
	}
}

// What the socket itself says of an IPv4 peer, if it is for both families.
func TestServerMappedAddress(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	both, remote := peer.ListenUDP(t, h, "udp", ":0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	peer.SendUDP(t, remote, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), peer.AddrOf(both).Port()), "x")
	_, from := peer.ReceiveUDP(t, both)
	assert.Equal(t, from.Addr().String(), "::ffff:127.0.0.1")
	assert.Equal(t, from.Addr().Unmap().String(), "127.0.0.1")
	assert.Assert(t, from != peer.AddrOf(remote)) // as a map's key they differ
}

// Five hundred round trips in lockstep, five peers by turns on one socket:
// nobody's data goes to another.
func TestServerManyPeers(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := peer.EchoServer(t, h)
	var peers []*net.UDPConn
	for range 5 {
		peers = append(peers, peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"))
	}
	for i := range 500 {
		remote := peers[i%len(peers)]
		data := fmt.Sprint("round ", i)
		roundTrip(t, remote, addr, data)
		server.Line(fmt.Sprintf(`%v IPv4 sent %d bytes: %q`, peer.AddrOf(remote), len(data), data))
	}
	server.Stop()
}

// A datagram that is longer than the buffer is cut, and Read does not say so.
func TestServerTruncation(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	in, out := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	peer.SendUDP(t, out, peer.AddrOf(in), "hello, world")
	peer.SendUDP(t, out, peer.AddrOf(in), "next")
	buf := make([]byte, 5)
	n, _, err := in.ReadFromUDPAddrPort(buf)
	assert.NilError(t, err)
	assert.Equal(t, string(buf[:n]), "hello")
	data, _ := peer.ReceiveUDP(t, in)
	assert.Equal(t, data, "next") // the rest of the first is gone
}

func TestServerStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.StopBy(t, func() *harness.Program { p, _ := peer.EchoServer(t, h); return p })
}

func TestServerFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
	peer.Fails(t, h, "server: listen udp 127.0.0.1:8080: bind: address already in use", "udp_server/server")
	peer.Fails(t, h, "server: listen udp 192.0.2.1:8080: bind: cannot assign requested address", "udp_server/server", "-addr", "192.0.2.1:8080")
	peer.Unresolved(t, h, "udp_server/server")
}

// Node shows the peer of a udp6 socket as ::ffff:127.0.0.1, family IPv6; an
// empty message has the size 0.
func TestServerRinfoOfNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	node := harness.NodeScript(t, h, `
		const server = require('dgram').createSocket('udp6')
		server.on('message', (msg, rinfo) => console.log(rinfo.address, rinfo.family, rinfo.size))
		server.on('listening', () => console.log('bound'))
		process.on('SIGTERM', () => server.close())
		server.bind(8080)`)
	node.Line("bound")
	conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	peer.SendUDP(t, conn, netip.MustParseAddrPort("127.0.0.1:8080"), "")
	node.Line(`::ffff:127\.0\.0\.1 IPv6 0`)
	node.Signal(syscall.SIGTERM)
	node.Exit(0)
}

// A server on every address answers from the one that its routes prefer. A
// connected client that asked another of them does not hear it; a socket that
// is not connected does, from the address that it did not ask.
func TestServerAnswersFromAnotherAddress(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated()) // not every system's lo has all of 127.0.0.0/8
	h := lab.NewHost(t, "h")
	server, _ := peer.EchoServer(t, h, "-addr", ":8080")
	client := harness.Start(t, h, "udp_client/client", "-addr", "127.9.9.9:8080", "-timeout", "200ms")
	from := client.Line(`connected to 127\.9\.9\.9:8080 from (\S+:\d+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	server.Line(`\Q` + from + `\E IPv4 sent 5 bytes: "hello"`)
	client.ExitSaying(1, `client: read 127\.9\.9\.9:8080: no reply within 200ms\n`)

	send := harness.Start(t, h, "udp_client/send", "-addr", "127.9.9.9:8080")
	send.Line(`sent 5 bytes to 127\.9\.9\.9:8080 from 0\.0\.0\.0:\d+`)
	send.Line(`received 5 bytes from 127\.0\.0\.1:8080: "hello"`)
	send.Exit(0)
	server.Await(`\S+ IPv4 sent 5 bytes: "hello"`)
	server.Stop()
}

func TestServerNodePeer(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("udp_server/server")
		s.Line(`listening on 127\.0\.0\.1:8080`)
		for _, c := range []struct{ message, shown string }{
			{"hello", `"hello"`},
			{"", `""`},
			{strings.Repeat("x", 65507), `"x{64}"…`}, // the largest there is
		} {
			p := client("udp_client/client", "--timeout", "30s", "--message", c.message)
			addr := peer.Connected(p)
			p.Line(fmt.Sprintf(`sent %d bytes: %s`, len(c.message), c.shown))
			s.Line(fmt.Sprintf(`%s IPv4 sent %d bytes: %s`, addr, len(c.message), c.shown))
			p.Line(fmt.Sprintf(`received %d bytes from 127\.0\.0\.1:8080: %s`, len(c.message), c.shown))
			p.Exit(0)
		}
		s.Stop()
	})
}

func TestServerSocat(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		socat := harness.Socat(t, h)
		s := start("udp_server/server")
		s.Ready()
		p := socat("STDIO", "UDP4:127.0.0.1:8080")
		p.Await(`.* starting data transfer loop .*`)
		for range 3 { // each write is a datagram
			p.Write("hello\n")
			p.Await("hello")
			s.Line(`127\.0\.0\.1:\d+ IPv4 sent 6 bytes: "hello\\n"`)
		}
		p.Signal(syscall.SIGKILL) // of an end it hears only over TCP
		p.Exit(-1)
		s.Stop()
	})
}
