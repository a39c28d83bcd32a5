package udp_server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
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

// Node's bind keeps 16 bits of the port.
func TestBindNodePort(t *testing.T) {
	harness.Ours(t, "it is about Node's bind")
	t.Parallel()
	h := lab.NewHost(t, "h")
	s := harness.Node(t, h)("udp_server/server", "--addr", "127.0.0.1:73616")
	s.Line(`listening on 127\.0\.0\.1:8080`)
	s.Stop()
}

// What is refused here: for a multicast group Go's call binds every address, Node's the
// group, and neither joins it. So nothing arrives, unless another socket joins; but what
// is for all on the link does, since every interface has joined that.
func TestBindGroupUnjoined(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h, other := lab.NewHost(t, "h"), lab.NewHost(t, "other")
	lab.Link(t, h, "10.0.0.1/24 fe80::1/64", other, "10.0.0.2/24 fe80::2/64")
	conn := peer.ListenUDP(t, h, "udp4", "239.1.1.1:8080")
	assert.Equal(t, peer.AddrOf(conn).Addr().String(), "0.0.0.0")
	node := harness.NodeScript(t, h, `
		const socket = require('dgram').createSocket('udp4')
		socket.on('message', (data) => console.log(String(data)))
		socket.bind(8081, '239.1.1.1', () => console.log(socket.address().address))
		process.on('SIGTERM', () => socket.close())`)
	node.Line(`239\.1\.1\.1`)
	sender := peer.Sender(t, other, "eth0", net.IPv4(10, 0, 0, 2))
	send := func(ip net.IP, data string) {
		t.Helper()
		for _, port := range []int{8080, 8081} {
			_, err := sender.WriteTo([]byte(data), nil, &net.UDPAddr{IP: ip, Port: port})
			assert.NilError(t, err)
		}
	}
	receives := func(conn *net.UDPConn, want string) {
		t.Helper()
		data, _ := peer.ReceiveUDP(t, conn)
		assert.Equal(t, data, want)
	}
	group := net.IPv4(239, 1, 1, 1)
	send(group, "to nobody")
	send(net.IPv4allsys, "to all")
	receives(conn, "to all")
	peer.Member(t, h, "239.1.1.1:8082", "eth0")
	send(group, "to a member")
	receives(conn, "to a member")
	node.Line("to a member")
	node.Signal(syscall.SIGTERM)
	node.Exit(0)

	conn = peer.ListenUDP(t, h, "udp6", "[ff02::1]:8083")
	peer.SendUDP(t, peer.ListenUDP(t, other, "udp6", "[fe80::2%eth0]:0"), netip.MustParseAddrPort("[ff02::1%eth0]:8083"), "to all")
	receives(conn, "to all")
}

// An address that this machine does not have can be bound once net.ipv4.ip_nonlocal_bind,
// or IPv6's, is 1, or by a socket with IP_FREEBIND.
func TestBindNonlocal(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	free := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		return err
	}}
	for _, c := range []struct{ network, addr, setting string }{
		{"udp4", "192.0.2.1:808", "net/ipv4/ip_nonlocal_bind"},
		{"udp6", "[2001:db8::1]:808", "net/ipv6/ip_nonlocal_bind"},
	} {
		var conn net.PacketConn
		var err error
		h.Do(func() { conn, err = free.ListenPacket(t.Context(), c.network, c.addr+"1") })
		assert.NilError(t, err)
		conn.Close()

		args := []string{"-network", c.network, "-addr", c.addr + "0"}
		peer.Refuses(t, h, "udp_server/bind", fmt.Sprintf(`listen %s \Q%s0\E: bind: cannot assign requested address`, c.network, c.addr), args...)
		peer.SetSysctl(t, h, c.setting, "1")
		p := harness.Start(t, h, "udp_server/bind", args...)
		p.Line(fmt.Sprintf(`listening on \Q%s0\E \(%s\)`, c.addr, c.network))
		p.Stop()
	}
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
