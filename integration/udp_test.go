package integration

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// echoServer starts udp_server:server and returns its address.
func echoServer(t *testing.T, on *lab.Host, args ...string) (p *harness.Program, addr netip.AddrPort) {
	t.Helper()
	p = harness.Start(t, on, "udp_server/server", args...)
	return p, netip.MustParseAddrPort(p.Ready())
}

// sendUDP sends one datagram.
func sendUDP(t *testing.T, from *net.UDPConn, to netip.AddrPort, data string) {
	t.Helper()
	_, err := from.WriteToUDPAddrPort([]byte(data), to)
	assert.NilError(t, err)
}

// receiveUDP waits for the next datagram.
func receiveUDP(t *testing.T, conn *net.UDPConn) (data string, from netip.AddrPort) {
	t.Helper()
	buf := make([]byte, 65536)
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	assert.NilError(t, err)
	return string(buf[:n]), from
}

// addrOf returns the address that a socket is bound to.
func addrOf(conn net.PacketConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// roundTrip sends data to an echo server and demands it back.
func roundTrip(t *testing.T, conn *net.UDPConn, server netip.AddrPort, data string) {
	t.Helper()
	sendUDP(t, conn, server, data)
	back, from := receiveUDP(t, conn)
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

// stopBy ends a program with each of the two signals that ask it to.
func stopBy(t *testing.T, start func() *harness.Program) {
	t.Helper()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := start()
		p.Signal(sig)
		p.Line("closed")
		p.Exit(0)
	}
}

// testUnresolved checks what a program says of a host that has no address.
func testUnresolved(t *testing.T, on *lab.Host, section string) {
	t.Helper()
	p := harness.Start(t, on, section, "-addr", "host.invalid:1")
	_, name, _ := strings.Cut(section, "/")
	p.ExitSaying(1, name+`: [^\n]*lookup host\.invalid[^\n]*\n`)
}

// The two programs with nothing but their defaults, as the page shows them.
func TestUDPServerServerTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := echoServer(t, h)
	assert.Equal(t, addr.String(), "127.0.0.1:8080")
	client := harness.Start(t, h, "udp_client/client")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes from 127\.0\.0\.1:8080: "hello"`)
	client.Exit(0)
	server.Line(from + ` IPv4 sent 5 bytes: "hello"`)
	server.Stop()
	harness.Transcript(t, "udp_server/server.txt", server, client)
}

// What was sent comes back, each datagram by itself, the empty one too, and
// none of them ends the server.
func TestUDPServerServerEchoes(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, ip := range []string{"127.0.0.1", "[::1]"} {
		server, addr := echoServer(t, h, "-addr", ip+":0")
		conn := listenUDP(t, h, "udp", ip+":0")
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
			server.Line(fmt.Sprintf(`\Q%v\E IPv[46] sent %d bytes: %s`, addrOf(conn), len(c.data), c.shown))
		}
		server.Stop()
	}
}

// The line has the four fields of rinfo: address, port, family, size. On a
// socket for both families an IPv4 peer is shown as what it is, and answered.
func TestUDPServerServerRinfo(t *testing.T) {
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
		server, addr := echoServer(t, h, "-addr", c.addr)
		for _, peer := range c.peers {
			family := "IPv4"
			if peer == six {
				family = "IPv6"
			}
			ip := netip.MustParseAddr(peer)
			conn := listenUDP(t, h, map[string]string{"IPv4": "udp4", "IPv6": "udp6"}[family], netip.AddrPortFrom(ip, 0).String())
			roundTrip(t, conn, netip.AddrPortFrom(ip, addr.Port()), "who am I")
			server.Line(fmt.Sprintf(`\Q%v\E %s sent 8 bytes: "who am I"`, addrOf(conn), family))
		}
		server.Stop()
	}
}

// What the socket itself says of an IPv4 peer, if it is for both families.
func TestUDPServerServerMappedAddress(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	both, peer := listenUDP(t, h, "udp", ":0"), listenUDP(t, h, "udp4", "127.0.0.1:0")
	sendUDP(t, peer, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addrOf(both).Port()), "x")
	_, from := receiveUDP(t, both)
	assert.Equal(t, from.Addr().String(), "::ffff:127.0.0.1")
	assert.Equal(t, from.Addr().Unmap().String(), "127.0.0.1")
	assert.Assert(t, from != addrOf(peer)) // as a map's key they differ
}

// Five hundred round trips in lockstep, five peers by turns on one socket:
// nobody's data goes to another.
func TestUDPServerServerManyPeers(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := echoServer(t, h)
	var peers []*net.UDPConn
	for range 5 {
		peers = append(peers, listenUDP(t, h, "udp4", "127.0.0.1:0"))
	}
	for i := range 500 {
		peer := peers[i%len(peers)]
		data := fmt.Sprint("round ", i)
		roundTrip(t, peer, addr, data)
		server.Line(fmt.Sprintf(`%v IPv4 sent %d bytes: %q`, addrOf(peer), len(data), data))
	}
	server.Stop()
}

// A datagram that is longer than the buffer is cut, and Read does not say so.
func TestUDPServerServerTruncation(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	in, out := listenUDP(t, h, "udp4", "127.0.0.1:0"), listenUDP(t, h, "udp4", "127.0.0.1:0")
	sendUDP(t, out, addrOf(in), "hello, world")
	sendUDP(t, out, addrOf(in), "next")
	buf := make([]byte, 5)
	n, _, err := in.ReadFromUDPAddrPort(buf)
	assert.NilError(t, err)
	assert.Equal(t, string(buf[:n]), "hello")
	data, _ := receiveUDP(t, in)
	assert.Equal(t, data, "next") // the rest of the first is gone
}

func TestUDPServerServerStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	stopBy(t, func() *harness.Program { p, _ := echoServer(t, h); return p })
}

func TestUDPServerServerCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "udp_server/server", "addr=127.0.0.1:8080")
}

func TestUDPServerServerFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	listenUDP(t, h, "udp4", "127.0.0.1:8080")
	testFailure(t, h, "server: listen udp 127.0.0.1:8080: bind: address already in use", "udp_server/server")
	testFailure(t, h, "server: listen udp 192.0.2.1:8080: bind: cannot assign requested address", "udp_server/server", "-addr", "192.0.2.1:8080")
	testUnresolved(t, h, "udp_server/server")
}

// Node shows the peer of a udp6 socket as ::ffff:127.0.0.1, family IPv6; an
// empty message has the size 0.
func TestUDPServerServerRinfoOfNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	node := startNode(t, h, `
		const server = require('dgram').createSocket('udp6')
		server.on('message', (msg, rinfo) => console.log(rinfo.address, rinfo.family, rinfo.size))
		server.on('listening', () => console.log('bound'))
		process.on('SIGTERM', () => server.close())
		server.bind(8080)`)
	node.Line("bound")
	conn := listenUDP(t, h, "udp4", "127.0.0.1:0")
	sendUDP(t, conn, netip.MustParseAddrPort("127.0.0.1:8080"), "")
	node.Line(`::ffff:127\.0\.0\.1 IPv6 0`)
	node.Signal(syscall.SIGTERM)
	node.Exit(0)
}

// Once for each family, as the page shows it.
func TestUDPServerBindTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	four := harness.Start(t, h, "udp_server/bind")
	four.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
	six := harness.Start(t, h, "udp_server/bind", "-network", "udp6", "-addr", "[::1]:8080")
	six.Line(`listening on \[::1\]:8080 \(udp6\)`)
	four.Stop()
	six.Stop()
	harness.Transcript(t, "udp_server/bind.txt", four, six)
}

// One port can be bound twice if the families differ, also for any address;
// not so by Go's "udp", which takes both.
func TestUDPServerBindFamilies(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	four := harness.Start(t, h, "udp_server/bind", "-addr", ":8080")
	four.Line(`listening on 0\.0\.0\.0:8080 \(udp4\)`)
	six := harness.Start(t, h, "udp_server/bind", "-addr", ":8080", "-network", "udp6")
	six.Line(`listening on \[::\]:8080 \(udp6\)`)
	testFailure(t, h, "server: listen udp :8080: bind: address already in use", "udp_server/server", "-addr", ":8080")
	four.Stop()
	six.Stop()

	chosen := harness.Start(t, h, "udp_server/bind", "-addr", "127.0.0.1:0")
	port := chosen.Line(`listening on 127\.0\.0\.1:(\d+) \(udp4\)`)[0]
	assert.Assert(t, port != "0")
	chosen.Stop()
}

// Taken, or not this machine's: the program ends and names the address.
func TestUDPServerBindFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	listenTCP(t, h, "127.0.0.1:8080") // TCP's ports are others
	first := harness.Start(t, h, "udp_server/bind")
	first.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
	testFailure(t, h, "bind: listen udp4 127.0.0.1:8080: bind: address already in use", "udp_server/bind")
	testFailure(t, h, "bind: listen udp4 0.0.0.0:8080: bind: address already in use", "udp_server/bind", "-addr", "0.0.0.0:8080")
	first.Stop()
	testFailure(t, h, "bind: listen udp4 192.0.2.1:8080: bind: cannot assign requested address", "udp_server/bind", "-addr", "192.0.2.1:8080")
	testFailure(t, h, "bind: listen udp6 [2001:db8::1]:8080: bind: cannot assign requested address",
		"udp_server/bind", "-network", "udp6", "-addr", "[2001:db8::1]:8080")
	testFailure(t, h, "bind: listen udp4: address ::1: no suitable address found", "udp_server/bind", "-addr", "[::1]:8080")
	testFailure(t, h, "bind: listen udp6: address 127.0.0.1: no suitable address found", "udp_server/bind", "-network", "udp6")
	testUnresolved(t, h, "udp_server/bind")
}

func TestUDPServerBindStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	stopBy(t, func() *harness.Program {
		p := harness.Start(t, h, "udp_server/bind")
		p.Line(`listening on .*`)
		return p
	})
}

// wrongNetworks lists what -network is not.
func wrongNetworks(name string) (wrong []misuse) {
	for _, network := range []string{"udp", "tcp4", "UDP4", "", "ip4:udp"} {
		wrong = append(wrong, misuse{[]string{"-network", network}, name + ": -network " + strconv.Quote(network) + " is not udp4 or udp6"})
	}
	return wrong
}

func TestUDPServerBindCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "udp_server/bind", "addr=127.0.0.1:8080 network=udp4", wrongNetworks("bind")...)
}

func TestUDPServerAddressTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	given := harness.Start(t, h, "udp_server/address")
	given.Line(`listening on 127\.0\.0\.1:8080`)
	given.Line(`address: 127\.0\.0\.1`)
	given.Line(`port: 8080`)
	given.Line(`family: IPv4`)
	given.Stop()
	any6 := harness.Start(t, h, "udp_server/address", "-network", "udp6", "-addr", ":8080")
	any6.Line(`listening on \[::\]:8080`)
	any6.Line(`address: ::`)
	any6.Line(`port: 8080`)
	any6.Line(`family: IPv6`)
	any6.Stop()
	harness.Transcript(t, "udp_server/address.txt", given, any6)
}

// The parts are those of the ready line, and of the socket that peers reach.
func TestUDPServerAddressParts(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ network, addr, ip, family string }{
		{"udp4", "127.0.0.1:0", "127.0.0.1", "IPv4"},
		{"udp4", ":0", "0.0.0.0", "IPv4"},
		{"udp4", "localhost:0", "127.0.0.1", "IPv4"},
		{"udp6", "[::1]:0", "::1", "IPv6"},
		{"udp6", "[::]:0", "::", "IPv6"},
	} {
		p := harness.Start(t, h, "udp_server/address", "-network", c.network, "-addr", c.addr)
		ready := netip.MustParseAddrPort(p.Ready())
		assert.Equal(t, ready.Addr().String(), c.ip)
		assert.Assert(t, ready.Port() != 0)
		p.Line("address: " + c.ip)
		p.Line(fmt.Sprint("port: ", ready.Port()))
		p.Line("family: " + c.family)
		p.Stop()
	}
}

func TestUDPServerAddressStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	stopBy(t, func() *harness.Program {
		p := harness.Start(t, h, "udp_server/address")
		p.Ready()
		p.Line("address: .*")
		p.Line("port: .*")
		p.Line("family: .*")
		return p
	})
}

func TestUDPServerAddressCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "udp_server/address", "addr=127.0.0.1:8080 network=udp4", wrongNetworks("address")...)
}

func TestUDPServerAddressFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	listenUDP(t, h, "udp4", "127.0.0.1:8080")
	testFailure(t, h, "address: listen udp4 127.0.0.1:8080: bind: address already in use", "udp_server/address")
	testFailure(t, h, "address: listen udp4 192.0.2.1:8080: bind: cannot assign requested address", "udp_server/address", "-addr", "192.0.2.1:8080")
	testFailure(t, h, "address: listen udp4: address ::1: no suitable address found", "udp_server/address", "-addr", "[::1]:8080")
	testUnresolved(t, h, "udp_server/address")
}

// Node: address() throws before bind has come to an end, on which it tells
// address, family and port.
func TestUDPServerAddressOfNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	node := startNode(t, h, `
		const socket = require('dgram').createSocket('udp4')
		const tell = () => { try { console.log(socket.address()) } catch (e) { console.log(e.code) } }
		socket.on('listening', () => { tell(); socket.close() })
		tell()
		socket.bind(8080, '127.0.0.1')
		tell()`)
	node.Line("EBADF")
	node.Line("EBADF")
	node.Line(`\{ address: '127\.0\.0\.1', family: 'IPv4', port: 8080 \}`)
	node.Exit(0)
}

// waitingClient starts a client whose datagram arrives at a plain socket of
// the test's, and returns the address that it was sent from.
func waitingClient(t *testing.T, h *lab.Host, peer *net.UDPConn, args ...string) (p *harness.Program, from netip.AddrPort) {
	t.Helper()
	p = harness.Start(t, h, "udp_client/client", append(args, "-addr", addrOf(peer).String())...)
	from = netip.MustParseAddrPort(p.Line(fmt.Sprintf(`connected to \Q%v\E from (\S+:\d+)`, addrOf(peer)))[0])
	p.Line(`sent 5 bytes: "hello"`)
	data, src := receiveUDP(t, peer)
	assert.Equal(t, data, "hello")
	assert.Equal(t, src, from)
	return p, from
}

func TestUDPClientClientTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, _ := echoServer(t, h)
	var clients []*harness.Program
	for _, message := range []string{"hello", "", "你好"} {
		args := []string{"-message", message}
		if message == "hello" {
			args = nil
		} else if message == "" {
			args = []string{"-message="}
		}
		client := harness.Start(t, h, "udp_client/client", args...)
		from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
		client.Line(fmt.Sprintf(`sent %d bytes: %q`, len(message), message))
		client.Line(fmt.Sprintf(`received %d bytes from 127\.0\.0\.1:8080: %q`, len(message), message))
		client.Exit(0)
		keepPort(t, h, from)
		server.Line(fmt.Sprintf(`%s IPv4 sent %d bytes: %q`, from, len(message), message))
		clients = append(clients, client)
	}
	server.Stop()
	harness.Transcript(t, "udp_client/client.txt", append([]*harness.Program{server}, clients...)...)
}

// Any address that reaches the server will do.
func TestUDPClientClientAddresses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, _ := echoServer(t, h, "-addr", ":8080")
	for addr, peer := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080", "[::1]:8080": "[::1]:8080", "localhost:8080": "127.0.0.1:8080",
		":8080": "127.0.0.1:8080",
	} {
		client := harness.Start(t, h, "udp_client/client", "-addr", addr)
		from := client.Line(`connected to \Q` + peer + `\E from (\S+:\d+)`)[0]
		client.Line(`sent 5 bytes: "hello"`)
		client.Line(`received 5 bytes from \Q` + peer + `\E: "hello"`)
		client.Exit(0)
		server.Line(`\Q` + from + `\E IPv[46] sent 5 bytes: "hello"`)
	}
	server.Stop()
}

// A server on every address answers from the one that its routes prefer. A
// connected client that asked another of them does not hear it; a socket that
// is not connected does, from the address that it did not ask.
func TestUDPServerServerAnswersFromAnotherAddress(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated()) // not every system's lo has all of 127.0.0.0/8
	h := lab.NewHost(t, "h")
	server, _ := echoServer(t, h, "-addr", ":8080")
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

// Silence: the client gives up after -timeout, not before, and says so.
func TestUDPClientClientTimeout(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	silent := listenUDP(t, h, "udp4", "127.0.0.1:8080")
	begin := time.Now()
	client, _ := waitingClient(t, h, silent, "-timeout", "200ms")
	client.ExitSaying(1, `client: read 127\.0\.0\.1:8080: no reply within 200ms\n`)
	assert.Assert(t, time.Since(begin) >= 200*time.Millisecond)

	// Had the deadline not come from the flag, this reply would be too late.
	client, from := waitingClient(t, h, silent, "-timeout", "1h")
	sendUDP(t, silent, from, "late")
	client.Line(`received 4 bytes from 127\.0\.0\.1:8080: "late"`)
	client.Exit(0)
}

// Left alone, the client waits for two seconds.
func TestUDPClientClientDefaultTimeout(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	begin := time.Now()
	client, _ := waitingClient(t, h, listenUDP(t, h, "udp4", "127.0.0.1:8080"))
	client.ExitSaying(1, `client: read 127\.0\.0\.1:8080: no reply within 2s\n`)
	assert.Assert(t, time.Since(begin) >= 2*time.Second)
}

// Nobody listens: the client's socket is connected, so the kernel tells it.
func TestUDPClientClientClosedPort(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, addr := range []string{"127.0.0.1:8080", "[::1]:8080"} {
		client := harness.Start(t, h, "udp_client/client", "-timeout", "1h", "-addr", addr)
		from := client.Line(`connected to \Q` + addr + `\E from (\S+:\d+)`)[0]
		client.Line(`sent 5 bytes: "hello"`)
		client.ExitSaying(1, `client: read udp \Q`+from+`->`+addr+`\E: read: connection refused\n`)
	}
}

// The reply is the peer's, not what anybody else sends; an empty one is one;
// of several the first.
func TestUDPClientClientHearsItsPeerOnly(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer, stranger := listenUDP(t, h, "udp4", "127.0.0.1:0"), listenUDP(t, h, "udp4", "127.0.0.1:0")
	client, from := waitingClient(t, h, peer, "-timeout", "1h")
	sendUDP(t, stranger, from, "not me")
	sendUDP(t, peer, from, "")
	sendUDP(t, peer, from, "second")
	client.Line(fmt.Sprintf(`received 0 bytes from %v: ""`, addrOf(peer)))
	client.Exit(0)
}

// A long message and a long reply arrive whole, and are shown cut.
func TestUDPClientClientLongReply(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := echoServer(t, h)
	for _, c := range []struct {
		n     int
		shown string
	}{{64, `"x{64}"`}, {65, `"x{64}"…`}, {8000, `"x{64}"…`}} {
		client := harness.Start(t, h, "udp_client/client", "-message", strings.Repeat("x", c.n), "-timeout", "1h")
		client.Line(`connected to .*`)
		client.Line(fmt.Sprintf(`sent %d bytes: %s`, c.n, c.shown))
		client.Line(fmt.Sprintf(`received %d bytes from %v: %s`, c.n, addr, c.shown))
		client.Exit(0)
		server.Line(fmt.Sprintf(`\S+ IPv4 sent %d bytes: %s`, c.n, c.shown))
	}
	server.Stop()
}

func TestUDPClientClientStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	silent := listenUDP(t, h, "udp4", "127.0.0.1:0")
	stopBy(t, func() *harness.Program { p, _ := waitingClient(t, h, silent, "-timeout", "1h"); return p })
}

func TestUDPClientClientCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "udp_client/client", "addr=127.0.0.1:8080 message=hello timeout=2s",
		misuse{[]string{"-timeout", "0"}, "client: -timeout 0s is not positive"},
		misuse{[]string{"-timeout", "-1s"}, "client: -timeout -1s is not positive"},
		misuse{[]string{"-timeout", "2"}, `invalid value "2" for flag -timeout: parse error`})
}

func TestUDPClientClientFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	testUnresolved(t, h, "udp_client/client")
	client := harness.Start(t, h, "udp_client/client", "-addr", "127.0.0.1:9", "-message", strings.Repeat("x", 65508))
	from := client.Line(`connected to 127\.0\.0\.1:9 from (\S+)`)[0]
	client.ExitSaying(1, `client: write udp \Q`+from+`\E->127\.0\.0\.1:9: write: message too long\n`)
}

// sentBy returns a sender once it has sent n bytes, and its address as it says.
func sentBy(t *testing.T, h *lab.Host, n int, to, local string, args ...string) (p *harness.Program, port uint16) {
	t.Helper()
	p = harness.Start(t, h, "udp_client/send", args...)
	from := p.Line(fmt.Sprintf(`sent %d bytes to \Q%s\E from (\Q%s\E:\d+)`, n, to, local))[0]
	port = netip.MustParseAddrPort(from).Port()
	assert.Assert(t, port != 0)
	return p, port
}

func TestUDPClientSendTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, _ := echoServer(t, h)
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
		keepPort(t, h, fmt.Sprintf(":%d", port))
		server.Line(fmt.Sprintf(`127\.0\.0\.1:%d IPv4 sent %d bytes: %s`, port, c.n, c.shown))
		programs = append(programs, p)
	}
	server.Stop()
	harness.Transcript(t, "udp_client/send.txt", append([]*harness.Program{server}, programs...)...)
}

// The port that the system chose is the one the peer sees, and its reply gets
// there; over IPv6 as well.
func TestUDPClientSendPort(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ host, peer, local string }{
		{"127.0.0.1", "127.0.0.1", "0.0.0.0"},
		{"[::1]", "[::1]", "[::]"},
		{"", "127.0.0.1", "0.0.0.0"}, // left out, it is this machine
	} {
		peer := listenUDP(t, h, "udp", c.peer+":0")
		to := fmt.Sprintf("%s:%d", c.host, addrOf(peer).Port())
		p, port := sentBy(t, h, 5, to, c.local, "-addr", to)
		data, from := receiveUDP(t, peer)
		assert.Equal(t, data, "hello")
		assert.Equal(t, from.String(), fmt.Sprintf("%s:%d", c.peer, port))
		sendUDP(t, peer, from, "")
		p.Line(fmt.Sprintf(`received 0 bytes from \Q%v\E: ""`, addrOf(peer)))
		p.Exit(0)
	}
}

// A socket that nobody connected takes anybody's datagram for the reply, whole,
// and shows 64 bytes of it.
func TestUDPClientSendHearsAnybody(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer, stranger := listenUDP(t, h, "udp4", "127.0.0.1:0"), listenUDP(t, h, "udp4", "127.0.0.1:0")
	for n, shown := range map[int]string{64: `"x{64}"`, 65: `"x{64}"…`, 8000: `"x{64}"…`} {
		p, port := sentBy(t, h, 5, addrOf(peer).String(), "0.0.0.0", "-addr", addrOf(peer).String())
		sendUDP(t, stranger, netip.AddrPortFrom(addrOf(stranger).Addr(), port), strings.Repeat("x", n))
		p.Line(fmt.Sprintf(`received %d bytes from %v: %s`, n, addrOf(stranger), shown))
		p.Exit(0)
	}
}

// Nobody listens: the sender is not told, and waits on.
func TestUDPClientSendClosedPort(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	other := listenUDP(t, h, "udp4", "127.0.0.1:0")
	p, port := sentBy(t, h, 5, "127.0.0.1:8080", "0.0.0.0")
	sendUDP(t, other, netip.AddrPortFrom(addrOf(other).Addr(), port), "still there?")
	p.Line(fmt.Sprintf(`received 12 bytes from %v: "still there\?"`, addrOf(other)))
	p.Exit(0)
}

// Offset and length count bytes, not characters, and reach from nothing to the
// whole message.
func TestUDPClientSendOffsetAndLength(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := echoServer(t, h)
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

func TestUDPClientSendStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	stopBy(t, func() *harness.Program { p, _ := sentBy(t, h, 5, "127.0.0.1:8080", "0.0.0.0"); return p })
}

func TestUDPClientSendCommandLine(t *testing.T) {
	t.Parallel()
	offset := func(n, size int) misuse {
		return misuse{[]string{"-message", "a€é"[:size], "-offset", fmt.Sprint(n)},
			fmt.Sprintf("send: -offset %d is not from 0 to the message's %d bytes", n, size)}
	}
	length := func(offset, n, rest int) misuse {
		return misuse{[]string{"-message", "a€é", "-offset", fmt.Sprint(offset), "-length", fmt.Sprint(n)},
			fmt.Sprintf("send: -length %d is not from 0 to the %d bytes after the offset", n, rest)}
	}
	const most = 1<<63 - 1
	testCommandLine(t, "udp_client/send", "addr=127.0.0.1:8080 message=hello offset length",
		offset(7, 6), offset(-1, 6), offset(1, 0), offset(most, 6), offset(-most, 6),
		length(0, 7, 6), length(0, -1, 6), length(1, 6, 5), length(6, 1, 0), length(2, most, 4), length(6, -1, 0),
		misuse{[]string{"-offset", "x"}, `invalid value "x" for flag -offset: parse error`},
		misuse{[]string{"-length", "1.5"}, `invalid value "1.5" for flag -length: parse error`})
}

func TestUDPClientSendFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	testUnresolved(t, h, "udp_client/send")
}

// A plain socket that is not connected outlives a closed port; a connected one
// is told, once.
func TestUDPClientSendPlainSockets(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	// Not a port that was open a moment ago: the system may choose it again.
	const closed = "127.0.0.1:8080"
	live, unconnected := listenUDP(t, h, "udp4", "127.0.0.1:0"), listenUDP(t, h, "udp4", "127.0.0.1:0")
	for range 3 {
		sendUDP(t, unconnected, netip.MustParseAddrPort(closed), "x")
	}
	sendUDP(t, unconnected, addrOf(live), "on")
	data, _ := receiveUDP(t, live)
	assert.Equal(t, data, "on")

	var conn net.Conn
	var err error
	h.Do(func() { conn, err = net.Dial("udp4", closed) })
	assert.NilError(t, err)
	ours(t, conn.(*net.UDPConn))
	_, err = conn.Write([]byte("x")) // leaves, and is refused
	assert.NilError(t, err)
	_, err = conn.Read(make([]byte, 1))
	assert.Assert(t, errors.Is(err, syscall.ECONNREFUSED), "%v", err)
}

// Node binds on the way to the first send: there is no port before that. It
// refuses an offset or a length outside the buffer; both count bytes.
func TestUDPClientSendOfNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer := listenUDP(t, h, "udp4", "127.0.0.1:8080")
	node := startNode(t, h, `
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
	data, from := receiveUDP(t, peer)
	assert.Equal(t, data, "\xa9llo")
	assert.Equal(t, from.String(), "127.0.0.1:"+port)
}
