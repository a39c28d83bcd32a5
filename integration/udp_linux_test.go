package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

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
	freeze(t, server)                               // so that they are gone before it answers
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

// A reply that cannot be sent, here for want of a route, is told, and is that
// peer's loss only.
func TestUDPServerServerUnreachableClient(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24 192.0.2.1/32", b, "10.0.0.2/24")
	for _, ifname := range []string{"all", "eth0"} { // let in what there is no way back to
		setSysctl(t, b, "net/ipv4/conf/"+ifname+"/rp_filter", "0")
	}
	server, addr := echoServer(t, b, "-addr", "10.0.0.2:8080")
	far, near := listenUDP(t, a, "udp4", "192.0.2.1:8080"), listenUDP(t, a, "udp4", "10.0.0.1:8080")
	sendUDP(t, far, addr, "far")
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
func TestUDPServerServerSignalBeforeTheEcho(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	p := startDeaf(t, h, "udp_server/server", 1)
	conn := listenUDP(t, h, "udp4", "127.0.0.1:0")
	_, err := conn.WriteToUDPAddrPort([]byte("hi"), netip.MustParseAddrPort("127.0.0.1:8080"))
	assert.NilError(t, err)
	p.awaitLine()
	p.Signal(syscall.SIGTERM)
	until(t, "its socket is closed", func() bool { return p.sockets() == 0 })
	assert.DeepEqual(t, p.hear(), []string{fmt.Sprintf(`%v IPv4 sent 2 bytes: "hi"`, addrOf(conn)), "closed"})
}

// Bound is enough: what is sent there waits in the kernel, in order, though the
// program never reads, until there is no room. Before and after nobody is there.
func TestUDPServerBindKeepsWhatIsSent(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	refused := func() {
		t.Helper()
		var conn net.Conn
		var err error
		h.Do(func() { conn, err = net.Dial("udp4", "127.0.0.1:8080") })
		assert.NilError(t, err)
		ours(t, conn.(*net.UDPConn))
		// A program that another test starts just now may hold the socket until its exec.
		until(t, "a datagram is refused", func() bool {
			_, err := conn.Write([]byte("x")) // tells of the one before
			if err == nil {
				conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				_, err = conn.Read(make([]byte, 1))
			}
			return errors.Is(err, syscall.ECONNREFUSED)
		})
	}
	refused()
	p := harness.Start(t, h, "udp_server/bind")
	p.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
	fds := socketsOf(t, p)
	assert.Equal(t, len(fds), 1)

	sender := listenUDP(t, h, "udp4", "127.0.0.1:0")
	full := func() bool { return counter(t, h, "Udp", "RcvbufErrors") > 0 }
	sent := 0
	for ; !full(); sent++ {
		assert.Assert(t, sent < 10_000)
		sendUDP(t, sender, netip.MustParseAddrPort("127.0.0.1:8080"), fmt.Sprintf("%1000d", sent))
	}
	buf := make([]byte, 2000)
	for i := range sent - 1 { // the last was dropped
		n, _, err := unix.Recvfrom(fds[0], buf, unix.MSG_DONTWAIT)
		assert.NilError(t, err)
		assert.Equal(t, string(buf[:n]), fmt.Sprintf("%1000d", i))
	}
	_, _, err := unix.Recvfrom(fds[0], buf, unix.MSG_DONTWAIT)
	assert.ErrorIs(t, err, unix.EAGAIN)
	letGo(t, fds[0])
	p.Stop()
	refused()
}
