package udp_server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// The largest datagram of either family comes back whole; one byte more is
// refused, and the message names the destination.
func TestServerLargest(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for ip, size := range map[string]int{"127.0.0.1": 65507, "[::1]": 65527} {
		server, addr := peer.EchoServer(t, h, "-addr", ip+":0")
		conn := peer.ListenUDP(t, h, "udp", ip+":0")
		roundTrip(t, conn, addr, pattern(size))
		server.Line(fmt.Sprintf(`\S+ IPv[46] sent %d bytes: ".*"…`, size))
		stdout, stderr, code := harness.Run(t, h, "udp_client/send", "-addr", addr.String(), "-message", strings.Repeat("x", size+1))
		assert.Equal(t, code, 1)
		assert.Equal(t, stdout, "")
		assert.Assert(t, strings.HasPrefix(stderr, "send: write udp") && strings.HasSuffix(stderr, "->"+addr.String()+": sendto: message too long\n"), stderr)
		server.Stop()
	}
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

// Clients that are gone when the reply comes refuse it (ICMP); the server does
// not even hear of that, and serves the others.
func TestServerVanishedClients(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := peer.EchoServer(t, h)
	there := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0") // from now on, lest it get the port of one that is gone
	peer.Freeze(t, server)                               // so that they are gone before it answers
	for range 5 {
		conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
		peer.SendUDP(t, conn, addr, "gone")
		conn.Close()
	}
	server.Signal(syscall.SIGCONT)
	for range 5 {
		server.Line(`\S+ IPv4 sent 4 bytes: "gone"`)
	}
	roundTrip(t, there, addr, "here")
	server.Line(`\S+ IPv4 sent 4 bytes: "here"`)
	server.Stop() // and nothing on stderr
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

// A reply that cannot be sent, here for want of a route, is told, and is that
// peer's loss only.
func TestServerUnreachableClient(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24 192.0.2.1/32", b, "10.0.0.2/24")
	for _, ifname := range []string{"all", "eth0"} { // let in what there is no way back to
		peer.SetSysctl(t, b, "net/ipv4/conf/"+ifname+"/rp_filter", "0")
	}
	server, addr := peer.EchoServer(t, b, "-addr", "10.0.0.2:8080")
	far, near := peer.ListenUDP(t, a, "udp4", "192.0.2.1:8080"), peer.ListenUDP(t, a, "udp4", "10.0.0.1:8080")
	peer.SendUDP(t, far, addr, "far")
	server.Line(`192\.0\.2\.1:8080 IPv4 sent 3 bytes: "far"`)
	server.Complaint(`server: write udp 10\.0\.0\.2:8080->192\.0\.2\.1:8080: sendto: network is unreachable\n`)
	roundTrip(t, near, addr, "near")
	server.Line(`10\.0\.0\.1:8080 IPv4 sent 4 bytes: "near"`)
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, `server: .*\n`)
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
