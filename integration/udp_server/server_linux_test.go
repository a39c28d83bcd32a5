package udp_server

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// The largest datagram of either family comes back whole.
func TestServerLargest(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for ip, size := range map[string]int{"127.0.0.1": 65507, "[::1]": 65527} {
			family := 4
			if ip == "[::1]" {
				family = 6
			} else if peer.InOurNode(t) {
				continue // TestServerNodePeer has it
			}
			server := start("udp_server/server", "--addr", ip+":0")
			addr := netip.MustParseAddrPort(server.Ready())
			conn := peer.ListenUDP(t, h, "udp", ip+":0")
			roundTrip(t, conn, addr, pattern(size))
			server.Line(fmt.Sprintf(`\Q%v\E IPv%d sent %d bytes: ".*"`, peer.AddrOf(conn), family, size))
			server.Stop()
		}
	})
}

// On two hosts, with a datagram of twenty times the link's MTU.
func TestServerTwoHosts(t *testing.T) {
	t.Parallel()
	client, server, _ := peer.Cabled(t)
	p := peer.Serving(t, server, "udp_server/server")
	conn := peer.ListenUDP(t, client, "udp4", "10.0.0.2:0")
	for _, size := range []int{5, 30_000} {
		roundTrip(t, conn, netip.MustParseAddrPort(peer.Here), pattern(size))
		p.Line(fmt.Sprintf(`\Q%v\E IPv4 sent %d bytes: .*`, peer.AddrOf(conn), size))
	}
	p.Stop()
}

// Clients that are gone when the reply comes refuse it (ICMP); the server is not
// even told, and serves the others.
func TestServerVanishedClients(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("udp_server/server")
		addr := netip.MustParseAddrPort(server.Ready())
		there := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0") // from now on, lest it get the port of one that is gone
		peer.Freeze(t, server)                               // so that they are gone before it answers
		for range 5 {
			conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
			peer.SendUDP(t, conn, addr, "gone")
			port := peer.AddrOf(conn).Port()
			conn.Close()
			// A program that another test starts just now may hold the socket until its exec.
			peer.Until(t, "it is gone", func() bool { return procUDP(t, h, "udp", port) == nil })
		}
		server.Signal(syscall.SIGCONT)
		for range 5 {
			server.Line(`\S+ IPv4 sent 4 bytes: "gone"`)
		}
		roundTrip(t, there, addr, "here")
		server.Line(`\S+ IPv4 sent 4 bytes: "here"`)
		assert.Equal(t, peer.Counter(t, h, "Icmp", "OutDestUnreachs"), 5)
		server.Stop() // and nothing on stderr
	})
}

// Two sockets that share a unicast port by SO_REUSEADDR do not share what comes:
// the last to bind gets it all (Linux).
func TestServerSharedPort(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	bind := func() *net.UDPConn {
		config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
			return err
		}}
		var conn net.PacketConn
		var err error
		h.Do(func() { conn, err = config.ListenPacket(context.Background(), "udp4", "127.0.0.1:8080") })
		assert.NilError(t, err)
		return peer.Ours(t, conn.(*net.UDPConn))
	}
	first, last := bind(), bind()
	sender := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	for _, data := range []string{"one", "two", "three"} {
		peer.SendUDP(t, sender, peer.AddrOf(last), data)
		got, _ := peer.ReceiveUDP(t, last)
		assert.Equal(t, got, data)
	}
	raw, err := first.SyscallConn()
	assert.NilError(t, err)
	var queued int
	assert.NilError(t, raw.Control(func(fd uintptr) { queued, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }))
	assert.NilError(t, err)
	assert.Equal(t, queued, 0)
}

// A reply that cannot be sent, for want of a route or of a port to send it to, is
// told, and is that peer's loss only.
func TestServerUnreachableClient(t *testing.T) {
	unreachable := func(noPort, noRoute string) func(t *testing.T, h *lab.Host, start harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			client := lab.NewHost(t, "client")
			lab.Link(t, client, "10.0.0.2/24 192.0.2.1/32", h, "10.0.0.1/24")
			for _, ifname := range []string{"all", "eth0"} { // let in what there is no way back to
				peer.SetSysctl(t, h, "net/ipv4/conf/"+ifname+"/rp_filter", "0")
			}
			server := start("udp_server/server", "--addr", peer.Here)
			addr := netip.MustParseAddrPort(server.Ready())
			peer.Spoof(t, peer.RawIPv4(t, client), net.IPv4(10, 0, 0, 2), 0, net.UDPAddrFromAddrPort(addr), "no port") // RFC 768
			server.Line(`10\.0\.0\.2:0 IPv4 sent 7 bytes: "no port"`)
			server.Complaint(noPort)
			peer.SendUDP(t, peer.ListenUDP(t, client, "udp4", "192.0.2.1:8080"), addr, "far")
			server.Line(`192\.0\.2\.1:8080 IPv4 sent 3 bytes: "far"`)
			server.Complaint(noPort + noRoute)
			roundTrip(t, peer.ListenUDP(t, client, "udp4", "10.0.0.2:8080"), addr, "near")
			server.Line(`10\.0\.0\.2:8080 IPv4 sent 4 bytes: "near"`)
			server.Signal(syscall.SIGTERM)
			server.Line("closed")
			server.ExitSaying(0, noPort+noRoute)
		}
	}
	harness.Compare(t, unreachable(
		`server: write udp 10\.0\.0\.1:8080->10\.0\.0\.2:0: .*invalid argument\n`,
		`server: write udp 10\.0\.0\.1:8080->192\.0\.2\.1:8080: .*network is unreachable\n`,
	), unreachable(`server: no port to reply to\n`, `server: send ENETUNREACH 192\.0\.2\.1:8080\n`))
}

// In Node a send to port 0 throws. One that the kernel refuses tells its callback, and
// if it has none, nobody.
func TestServerOfNode(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated()) // no route to anywhere
	node := harness.NodeScript(t, lab.NewHost(t, "h"), `
		const socket = require('dgram').createSocket('udp4')
		socket.on('error', (e) => console.log('error', e.code))
		try { socket.send('x', 0, '127.0.0.1') } catch (e) { console.log(e.code) }
		socket.send('x', 8080, '192.0.2.1')
		socket.send('x', 8080, '192.0.2.1', (e) => {
			console.log('callback', e.code)
			setImmediate(() => socket.close())
		})`)
	node.Line("ERR_SOCKET_BAD_PORT")
	node.Line("callback ENETUNREACH")
	node.Exit(0)
}

// A signal comes between a datagram and its echo, which is not sent then, and no
// failure: the socket was closed on purpose.
func TestServerSignalBeforeTheEcho(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	p := peer.StartDeaf(t, h, "udp_server/server", 1)
	conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	_, err := conn.WriteToUDPAddrPort([]byte("hi"), netip.MustParseAddrPort("127.0.0.1:8080"))
	assert.NilError(t, err)
	p.AwaitLine()
	p.Signal(syscall.SIGTERM)
	peer.Until(t, "its socket is closed", func() bool { return p.Sockets() == 0 })
	assert.DeepEqual(t, p.Hear(), []string{fmt.Sprintf(`%v IPv4 sent 2 bytes: "hi"`, peer.AddrOf(conn)), "closed"})
}

// A datagram larger than the link's 1500 bytes crosses in fragments, 1480 bytes
// in each after IP's header, and arrives whole.
func TestServerFragmentsWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "udp_server/server")
	program := harness.Start(t, client, "udp_client/client", "-addr", peer.Here, "-message", strings.Repeat("x", 4000))
	program.Await(`received 4000 bytes .*`)
	program.Exit(0)
	peer.Drawn(t, "fragments", c.Await("six fragments", peer.Seen(wire.Fragment, 6)))
	p.Stop()
}

// A server on every address answers from the one that its routes prefer. A connected
// client that asked another of them does not receive that; a socket that is not
// connected does, from the address that it did not ask.
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

// procNet returns a file of a host's /proc/net.
func procNet(t *testing.T, on *lab.Host, name string) string {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/" + name) })
	assert.NilError(t, err)
	return string(text)
}

// procUDP returns what /proc/net/udp, or udp6, says of the socket at a port, or nothing.
func procUDP(t *testing.T, on *lab.Host, name string, port uint16) []string {
	t.Helper()
	for line := range strings.Lines(procNet(t, on, name)) {
		if fields := strings.Fields(line); strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
			return fields
		}
	}
	return nil
}

// drops returns how many datagrams the kernel has thrown away because the buffer of
// the socket at an IPv4 port was full: the last column of /proc/net/udp.
func drops(t *testing.T, on *lab.Host, port uint16) int {
	t.Helper()
	return dropsIn(t, on, "udp", port)
}

func dropsIn(t *testing.T, on *lab.Host, name string, port uint16) int {
	t.Helper()
	fields := procUDP(t, on, name, port)
	assert.Assert(t, fields != nil, "no socket at port %d", port)
	n, err := strconv.Atoi(fields[len(fields)-1])
	assert.NilError(t, err)
	return n
}

// Of a thousand datagrams that come while the server is held up, it gets the first
// that its buffer has room for. No call fails; the kernel counts what it drops, for
// the machine (RcvbufErrors) and for the socket.
func TestServerBurst(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		const burst = 1000
		server := start("udp_server/server")
		addr := netip.MustParseAddrPort(server.Ready())
		sender, other := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
		peer.Freeze(t, server)
		for i := range burst {
			peer.SendUDP(t, sender, addr, fmt.Sprint(i))
		}
		lost := drops(t, h, addr.Port())
		assert.Assert(t, 0 < lost && lost < burst, "%d are lost", lost)
		assert.Equal(t, peer.Counter(t, h, "Udp", "RcvbufErrors"), lost)
		server.Signal(syscall.SIGCONT)
		for i := range burst - lost {
			server.Line(fmt.Sprintf(`\S+ IPv4 sent \d+ bytes: "%d"`, i))
		}
		roundTrip(t, other, addr, "now there is room")
		server.Line(`\S+ IPv4 sent 17 bytes: .*`)
		server.Stop()
	})
}

// One forged datagram, and two echo servers answer each other until one of them ends.
func TestServerEchoLoop(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	b, a := lab.NewHost(t, "b"), lab.NewHost(t, "a")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	one, addr := peer.EchoServer(t, a, "-addr", "10.0.0.1:8080")
	other, _ := peer.EchoServer(t, b, "-addr", "10.0.0.2:8080")
	peer.Spoof(t, peer.RawIPv4(t, b), net.IPv4(10, 0, 0, 2), 8080, net.UDPAddrFromAddrPort(addr), "ping")
	for range 50 {
		one.Line(`10\.0\.0\.2:8080 IPv4 sent 4 bytes: "ping"`)
		other.Line(`10\.0\.0\.1:8080 IPv4 sent 4 bytes: "ping"`)
	}
	one.Stop()
	other.Stop()
}

// UDP's checksum: over IPv4 it may be left out; where it is wrong the datagram is
// dropped and counted; but data whose 16-bit words have changed places has the same.
func TestServerChecksum(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	client, h := lab.NewHost(t, "client"), lab.NewHost(t, "h")
	lab.Link(t, h, "10.0.0.1/24", client, "10.0.0.2/24")
	server := peer.Serving(t, h, "udp_server/server")
	raw := peer.RawIPv4(t, client)
	send := func(data string, checksum uint16) {
		t.Helper()
		segment := append(binary.BigEndian.AppendUint16([]byte{4, 210, 31, 144, 0, 12}, checksum), data...) // from port 1234 to 8080
		assert.NilError(t, raw.WriteTo(&ipv4.Header{Version: 4, Len: 20, TotalLen: 32, TTL: 64, Protocol: unix.IPPROTO_UDP,
			Src: net.IPv4(10, 0, 0, 2), Dst: net.IPv4(10, 0, 0, 1)}, segment, nil))
	}
	// RFC 768: the addresses, protocol and length, then header and data, in one's complement.
	sum := 0
	for _, word := range []int{0x0a00, 0x0002, 0x0a00, 0x0001, 17, 12, 1234, 8080, 12, 'a'<<8 | 'b', 'c'<<8 | 'd'} {
		sum += word
	}
	right := ^uint16(sum%65536 + sum/65536)
	send("none", 0)
	send("abce", right)
	send("cdab", right)
	send("abcd", right)
	for _, data := range []string{"none", "cdab", "abcd"} {
		server.Line(fmt.Sprintf(`10\.0\.0\.2:1234 IPv4 sent 4 bytes: %q`, data))
	}
	assert.Equal(t, peer.Counter(t, h, "Udp", "InCsumErrors"), 1)
	server.Stop()
}
