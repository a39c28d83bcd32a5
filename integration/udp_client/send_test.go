package udp_client

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// sentBy returns a sender once it has sent n bytes, and its port as it says.
func sentBy(t *testing.T, start harness.Starter, n int, to, local string, args ...string) (p *harness.Program, port uint16) {
	t.Helper()
	p = start("udp_client/send", args...)
	from := p.Line(fmt.Sprintf(`sent %d bytes to \Q%s\E from (\Q%s\E:\d+)`, n, to, local))[0]
	port = netip.MustParseAddrPort(from).Port()
	assert.Assert(t, port != 0)
	return p, port
}

// As the page shows it.
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
		{[]string{"-offset", "1", "-length", "3"}, `"ell"`, 3},
		{[]string{"-message", "héllo", "-offset", "2"}, `"(?:\\xa9|[^l]*)llo"`, 4},
	} {
		p, port := sentBy(t, harness.Go(t, h), c.n, "127.0.0.1:8080", "0.0.0.0", c.args...)
		p.Line(fmt.Sprintf(`received %d bytes from 127\.0\.0\.1:8080: %s`, c.n, c.shown))
		p.Exit(0)
		peer.KeepPort(t, h, fmt.Sprintf(":%d", port))
		server.Line(fmt.Sprintf(`127\.0\.0\.1:%d IPv4 sent %d bytes: %s`, port, c.n, c.shown))
		programs = append(programs, p)
	}
	server.Stop()
	harness.Transcript(t, "send.txt", append([]*harness.Program{server}, programs...)...)
}

// The port that the system chose is the one that the peer sees, and its reply gets
// there; over IPv6 as well. The address that the peer sees is not 0.0.0.0.
func TestSendPort(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, c := range []struct{ host, peer, local string }{
			{"127.0.0.1", "127.0.0.1", "0.0.0.0"},
			{"[::1]", "[::1]", "[::]"},
			{"", "127.0.0.1", "0.0.0.0"}, // left out, it is this machine
		} {
			if peer.InOurNode(t) && c.host == "127.0.0.1" {
				continue // TestSendAnybody has it
			}
			remote := peer.ListenUDP(t, h, "udp", c.peer+":0")
			to := fmt.Sprintf("%s:%d", c.host, peer.AddrOf(remote).Port())
			p, port := sentBy(t, start, 5, to, c.local, "--addr", to)
			data, from := peer.ReceiveUDP(t, remote)
			assert.Equal(t, data, "hello")
			assert.Equal(t, from.String(), fmt.Sprintf("%s:%d", c.peer, port))
			peer.SendUDP(t, remote, from, "")
			p.Line(fmt.Sprintf(`received 0 bytes from \Q%v\E: ""`, peer.AddrOf(remote)))
			p.Exit(0)
		}
	})
}

// A socket that nobody connected takes anybody's datagram for the reply. With no
// server at the port it is not told, and waits on.
func TestSendAnybody(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		stranger := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
		p, port := sentBy(t, start, 5, "127.0.0.1:8080", "0.0.0.0")
		peer.SendUDP(t, stranger, netip.AddrPortFrom(peer.AddrOf(stranger).Addr(), port), strings.Repeat("x", 8000))
		p.Line(fmt.Sprintf(`received 8000 bytes from %v: "x{64}"`, peer.AddrOf(stranger)))
		p.Exit(0)
	})
}

// Offset and length count bytes, not characters, and reach from nothing to the
// whole message.
func TestSendOffsetAndLength(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, addr := peer.EchoServer(t, h)
		const message = "a€é" // of 1, 3 and 2 bytes
		for _, c := range []struct {
			args  string
			bytes string
			node  bool // the rest is in those, and in other tests
		}{
			{"", "a€é", false},
			{"--offset 0 --length 0", "", true},
			{"--length 2", "a\xe2", false},
			{"--offset 2 --length 3", "\x82\xac\xc3", true},
			{"--offset 6", "", true},
		} {
			if peer.InOurNode(t) && !c.node {
				continue
			}
			args := append([]string{"--message", message}, strings.Fields(c.args)...)
			p, port := sentBy(t, start, len(c.bytes), addr.String(), "0.0.0.0", args...)
			p.Line(fmt.Sprintf(`received %d bytes from %v: ".*"`, len(c.bytes), addr))
			p.Exit(0)
			shown := strings.ReplaceAll(fmt.Sprintf("%q", c.bytes), `\`, `\\`)
			server.Line(fmt.Sprintf(`127\.0\.0\.1:%d IPv4 sent %d bytes: %s`, port, len(c.bytes), shown))
		}
		server.Stop()
	})
}

// An offset or a length outside the message ends with exit code 2 and the usage; not
// even one that overflows reaches back into it.
func TestSendOutside(t *testing.T) {
	harness.Ours(t, "what a program refuses, and in which words, is its own affair")
	t.Parallel()
	h := lab.NewHost(t, "h")
	outside := regexp.MustCompile(`^send: -offset \d and -length \d+ reach beyond the message's 5 bytes\n$`)
	for _, args := range []string{"-offset 6", "-length 6", "-offset 3 -length 3", "-offset 2 -length 18446744073709551615", "-offset 6 -length 0"} {
		stdout, stderr, code := harness.Run(t, h, "udp_client/send", strings.Fields(args)...)
		assert.Equal(t, code, 1, args)
		assert.Equal(t, stdout, "", args)
		assert.Assert(t, outside.MatchString(stderr), "%s: %s", args, stderr)
	}
}

// A byte more than the largest datagram is refused, and the destination named.
func TestSendTooLong(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for addr, size := range map[string]int{"127.0.0.1:8080": 65507, "[::1]:8080": 65527} {
			if peer.InOurNode(t) && size == 65507 {
				continue // to Node one is as the other
			}
			p := start("udp_client/send", "--addr", addr, "--message", strings.Repeat("x", size+1))
			p.ExitSaying(1, `send: (write udp[46] \S+->\Q`+addr+`\E: sendto: message too long|send EMSGSIZE \S+:8080)\n`)
		}
	})
}

// A signal ends the wait for the reply.
func TestSendStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.StopByEach(t, []os.Signal{syscall.SIGINT, syscall.SIGTERM},
			func() *harness.Program { p, _ := sentBy(t, start, 5, "127.0.0.1:8080", "0.0.0.0"); return p })
	})
}

// A socket that is not connected is not told of a closed port, however often it
// sends there; a connected one is told, once.
func TestSendPlainSockets(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	// Not a port that was open a moment ago: the system may choose it again.
	closed := netip.MustParseAddrPort("127.0.0.1:8080")
	live, unconnected := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	for range 3 {
		peer.SendUDP(t, unconnected, closed, "x")
	}
	peer.SendUDP(t, unconnected, peer.AddrOf(live), "on")
	data, _ := peer.ReceiveUDP(t, live)
	assert.Equal(t, data, "on")

	conn := dial(t, h, closed)
	_, err := conn.Write([]byte("x")) // leaves, and is refused
	assert.NilError(t, err)
	_, err = conn.Read(make([]byte, 1))
	assert.Assert(t, errors.Is(err, syscall.ECONNREFUSED), "%v", err)
	_, err = conn.Write([]byte("x"))
	assert.NilError(t, err)
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
		socket.send(new Uint16Array([0x6968]), 8080, '127.0.0.1')
		socket.send('héllo', 2, 4, 8080, '127.0.0.1', (err, n) => { console.log(n, tell().address, tell().port); socket.close() })
		console.log(tell())`)
	node.Line("EBADF")
	for range 4 {
		node.Line("ERR_BUFFER_OUT_OF_BOUNDS")
	}
	node.Line("EBADF")
	port := node.Line(`4 0\.0\.0\.0 (\d+)`)[0]
	node.Exit(0)
	for _, want := range []string{"hi", "\xa9llo"} {
		data, from := peer.ReceiveUDP(t, remote)
		assert.Equal(t, data, want)
		assert.Equal(t, from.String(), "127.0.0.1:"+port)
	}
}
