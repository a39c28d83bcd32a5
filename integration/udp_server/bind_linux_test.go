package udp_server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Bound is enough: what is sent there waits in the kernel, in order, though the
// program never reads, until there is no room. Before and after nobody is there.
func TestBindKeepsWhatIsSent(t *testing.T) {
	harness.NotNode(t, "Node reads from the moment it is bound")
	t.Parallel()
	h := lab.NewHost(t, "h")
	refused := func() {
		t.Helper()
		var conn net.Conn
		var err error
		h.Do(func() { conn, err = net.Dial("udp4", "127.0.0.1:8080") })
		assert.NilError(t, err)
		peer.Ours(t, conn.(*net.UDPConn))
		// A program that another test starts just now may hold the socket until its exec.
		peer.Until(t, "a datagram is refused", func() bool {
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
	fds := peer.SocketsOf(t, p)
	assert.Equal(t, len(fds), 1)

	sender := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	full := func() bool { return peer.Counter(t, h, "Udp", "RcvbufErrors") > 0 }
	sent := 0
	for ; !full(); sent++ {
		assert.Assert(t, sent < 10_000)
		peer.SendUDP(t, sender, netip.MustParseAddrPort("127.0.0.1:8080"), fmt.Sprintf("%1000d", sent))
	}
	buf := make([]byte, 2000)
	for i := range sent - 1 { // the last was dropped
		n, _, err := unix.Recvfrom(fds[0], buf, unix.MSG_DONTWAIT)
		assert.NilError(t, err)
		assert.Equal(t, string(buf[:n]), fmt.Sprintf("%1000d", i))
	}
	_, _, err := unix.Recvfrom(fds[0], buf, unix.MSG_DONTWAIT)
	assert.ErrorIs(t, err, unix.EAGAIN)
	peer.LetGo(t, fds[0])
	p.Stop()
	refused()
}

// A UDP socket of Go's may broadcast from the start, one of Node's once it has
// asked. Either language's socket for udp6 on :: is what the kernel says.
func TestBindNodeKernel(t *testing.T) {
	ask := func(t *testing.T, h *lab.Host, start harness.Starter, v6only, broadcast int) {
		s := start("udp_server/bind", "--network", "udp6", "--addr", "[::]:8080")
		s.Line(`listening on .* \(udp6\)`)
		assert.Equal(t, peer.Option(t, s, false, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY), v6only)
		assert.Equal(t, peer.Option(t, s, false, unix.SOL_SOCKET, unix.SO_BROADCAST), broadcast)
		s.Stop()
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		ask(t, h, goes, 1, 1)
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		ask(t, h, node, 0, 0)
	})
}

// What is refused here: for a multicast group Go's call binds every address, Node's the
// group, and neither joins it.
func TestBindGroupUnjoined(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	assert.Equal(t, peer.AddrOf(peer.ListenUDP(t, h, "udp4", "239.1.1.1:8080")).Addr().String(), "0.0.0.0")
	node := harness.NodeScript(t, h, `
		const socket = require('dgram').createSocket('udp4')
		socket.bind(8081, '239.1.1.1', () => console.log(socket.address().address))
		process.on('SIGTERM', () => socket.close())`)
	node.Line(`239\.1\.1\.1`)
	var groups []byte
	var err error
	h.Do(func() { groups, err = os.ReadFile("/proc/thread-self/net/igmp") })
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(groups), "010000E0"), "%s", groups) // 224.0.0.1, which every interface joins
	assert.Assert(t, !strings.Contains(string(groups), "010101EF"), "%s", groups)
	node.Signal(syscall.SIGTERM)
	node.Exit(0)
}

// An address that this machine does not have can be bound once
// net.ipv4.ip_nonlocal_bind is 1.
func TestBindNonlocal(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	peer.Refuses(t, h, "udp_server/bind", `listen udp4 192\.0\.2\.1:8080: bind: cannot assign requested address`, "-addr", "192.0.2.1:8080")
	peer.SetSysctl(t, h, "net/ipv4/ip_nonlocal_bind", "1")
	p := harness.Start(t, h, "udp_server/bind", "-addr", "192.0.2.1:8080")
	p.Line(`listening on 192\.0\.2\.1:8080 \(udp4\)`)
	p.Stop()
}

// Where localhost is two addresses, a socket takes the one of its family; Go's "udp"
// takes the IPv4 one.
func TestBindLocalhost(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.Names(t, h, "127.0.0.1 localhost", "::1 localhost") // as in Debian
		four := start("udp_server/bind", "--addr", "localhost:8080")
		four.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
		six := start("udp_server/bind", "--network", "udp6", "--addr", "localhost:8080")
		six.Line(`listening on \[::1\]:8080 \(udp6\)`)
		four.Stop()
		server := start("udp_server/server", "--addr", "localhost:8080")
		server.Line(`listening on 127\.0\.0\.1:8080`)
		server.Stop()
		six.Stop()
	})
}
