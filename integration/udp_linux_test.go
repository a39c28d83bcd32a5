package integration

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
)

// The largest datagram of either family comes back whole; one byte more is
// refused, and the message names the destination.
func TestUDPServerServerLargest(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for ip, size := range map[string]int{"127.0.0.1": 65507, "[::1]": 65527} {
		server, addr := echoServer(t, h, "-addr", ip+":0")
		conn := listenUDP(t, h, "udp", ip+":0")
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
func TestUDPServerServerTwoHosts(t *testing.T) {
	t.Parallel()
	client, server, _ := cabled(t)
	p := serving(t, server, "udp_server/server")
	conn := listenUDP(t, client, "udp4", "10.0.0.2:0")
	for _, size := range []int{5, 30_000} {
		roundTrip(t, conn, netip.MustParseAddrPort(here), pattern(size))
		p.Line(fmt.Sprintf(`\Q%v\E IPv4 sent %d bytes: .*`, addrOf(conn), size))
	}
	p.Stop()
}

// Clients that are gone when the reply comes refuse it (ICMP); the server does
// not even hear of that, and serves the others.
func TestUDPServerServerVanishedClients(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := echoServer(t, h)
	there := listenUDP(t, h, "udp4", "127.0.0.1:0") // from now on, lest it get the port of one that is gone
	server.Signal(syscall.SIGSTOP)                  // so that they are gone before it answers
	for range 5 {
		conn := listenUDP(t, h, "udp4", "127.0.0.1:0")
		sendUDP(t, conn, addr, "gone")
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
func TestUDPServerServerSharedPort(t *testing.T) {
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
		return ours(t, conn.(*net.UDPConn))
	}
	first, last := bind(), bind()
	sender := listenUDP(t, h, "udp4", "127.0.0.1:0")
	for _, data := range []string{"one", "two", "three"} {
		sendUDP(t, sender, addrOf(last), data)
		got, _ := receiveUDP(t, last)
		assert.Equal(t, got, data)
	}
	raw, err := first.SyscallConn()
	assert.NilError(t, err)
	var queued int
	assert.NilError(t, raw.Control(func(fd uintptr) { queued, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }))
	assert.NilError(t, err)
	assert.Equal(t, queued, 0)
}
