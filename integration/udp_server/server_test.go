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
	assert.Assert(t, back == data, "want the %d bytes that were sent, and %d came back", len(data), len(back))
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

// What was sent comes back, each datagram by itself, the empty one too, and none of
// them ends the server.
func TestServerEchoes(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, ip := range []string{"127.0.0.1", "[::1]"} {
			if peer.InOurNode(t) && ip == "[::1]" {
				break // TestServerLargest has one of 65527 bytes
			}
			server := start("udp_server/server", "--addr", ip+":0")
			addr := netip.MustParseAddrPort(server.Ready())
			conn := peer.ListenUDP(t, h, "udp", ip+":0")
			for _, c := range []struct{ data, shown string }{
				{"", `""`},
				{"x", `"x"`},
				{"caf\u00e9\n", `"café\\n"`},
				{"\x00\xff", `"\\(x|u00)00.*"`},
				{strings.Repeat("x", 64), `"x{64}"`},
				{strings.Repeat("x", 65), `"x{64}"`},
				{pattern(1400), `".*"`},
				{"", `""`},
			} {
				roundTrip(t, conn, addr, c.data)
				server.Line(fmt.Sprintf(`\Q%v\E IPv[46] sent %d bytes: %s`, peer.AddrOf(conn), len(c.data), c.shown))
			}
			server.Stop()
		}
	})
}

// The line has the four fields of rinfo: address, port, family, size. On a socket
// for both families an IPv4 peer is shown as what it is, and answered; such a socket
// is what Go makes of 0.0.0.0 and of no host at all.
func TestServerRinfo(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	const four, six = "127.0.0.1", "::1"
	for _, c := range []struct {
		addr  string
		on    string
		peers []string
	}{
		{"127.0.0.1:0", four, []string{four}},
		{"[::1]:0", six, []string{six}},
		{":0", "::", []string{four, six}},
		{"[::]:0", "::", []string{four, six}},
		{"0.0.0.0:0", "::", []string{four, six}},
		{"localhost:0", four, []string{four}},
	} {
		if c.on == "::" && harness.Judged() {
			continue // a socket for both families is a choice of Go's
		}
		server, addr := peer.EchoServer(t, h, "-addr", c.addr)
		assert.Equal(t, addr.Addr().String(), c.on, c.addr)
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

// On [::] Go's server shows an IPv4 peer by its IPv4 address, Node's as
// ::ffff:127.0.0.1, family IPv6.
func TestServerMappedAddress(t *testing.T) {
	shown := func(pattern string) func(t *testing.T, h *lab.Host, start harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			server := start("udp_server/server", "--addr", "[::]:8080")
			server.Ready()
			conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
			roundTrip(t, conn, netip.MustParseAddrPort("127.0.0.1:8080"), "")
			server.Line(fmt.Sprintf(pattern, peer.AddrOf(conn).Port()))
			server.Stop()
		}
	}
	harness.Compare(t, shown(`127\.0\.0\.1:%d IPv4 sent 0 bytes: ""`), shown(`\[::ffff:127\.0\.0\.1\]:%d IPv6 sent 0 bytes: ""`))
}

// What a socket for both families itself says of an IPv4 peer is ::ffff:127.0.0.1:
// as a map's key that is another address, until Unmap.
func TestServerUnmap(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	both, remote := peer.ListenUDP(t, h, "udp", ":0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	peer.SendUDP(t, remote, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), peer.AddrOf(both).Port()), "x")
	_, from := peer.ReceiveUDP(t, both)
	assert.Equal(t, from.Addr().String(), "::ffff:127.0.0.1")
	assert.Assert(t, from.Addr() != peer.AddrOf(remote).Addr())
	assert.Equal(t, from.Addr().Unmap(), peer.AddrOf(remote).Addr())
}

// A hundred round trips in lockstep, five peers by turns on one socket: nobody's
// data goes to another.
func TestServerManyPeers(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("udp_server/server")
		addr := netip.MustParseAddrPort(server.Ready())
		var peers []*net.UDPConn
		for range 5 {
			peers = append(peers, peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"))
		}
		for i := range 100 {
			remote := peers[i%len(peers)]
			data := fmt.Sprint("round ", i)
			roundTrip(t, remote, addr, data)
			server.Line(fmt.Sprintf(`%v IPv4 sent %d bytes: %q`, peer.AddrOf(remote), len(data), data))
		}
		server.Stop()
	})
}

// A datagram that is longer than the buffer is cut, and Read does not say so (Linux);
// the rest is gone.
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
	assert.Equal(t, data, "next")
}

// A multicast group is refused: a socket that has not joined it would wait in vain.
func TestServerGroup(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		refusesGroup(t, start("udp_server/server", "--addr", "239.1.1.1:8080"), `239\.1\.1\.1:8080`)
		refusesGroup(t, start("udp_server/server", "--addr", "[ff02::1]:8080"), `\[ff02::1\]:8080`)
	})
}

// refusesGroup demands that a program says which group it cannot listen on, and
// where one can see how that is done.
func refusesGroup(t *testing.T, p *harness.Program, group string) {
	t.Helper()
	p.ExitSaying(1, `\w+: (listen udp[46]?|bind) `+group+`: a multicast group has to be joined, see multicast:client\n`)
}

// A signal ends it.
func TestServerStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.StopBy(t, func() *harness.Program {
			p := start("udp_server/server")
			p.Ready()
			return p
		})
	})
}

// Our client and Node's server, and the other way round: empty, short, and the
// largest there is.
func TestServerNodePeer(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("udp_server/server")
		s.Line(`listening on 127\.0\.0\.1:8080`)
		for _, c := range []struct{ message, shown string }{
			{"hello", `"hello"`},
			{"", `""`},
			{strings.Repeat("x", 65507), `"x{64}"`},
		} {
			if s.Section != "node" && !harness.Judged() && len(c.message) < 65507 {
				continue // Node's client has those in udp_client's tests
			}
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

// socat as the client.
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
