package tcp_server

import (
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

// The server's view of both ends is the client's, the other way round. An IPv4
// client of a server that listens everywhere is an IPv4 client.
func TestSocketAddress(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ listen, dial, family string }{
		{"127.0.0.1:0", "127.0.0.1", "IPv4"},
		{"[::1]:0", "::1", "IPv6"},
		{":0", "127.0.0.1", "IPv4"},
		{":0", "::1", "IPv6"},
		{"0.0.0.0:0", "127.0.0.1", "IPv4"},
	} {
		server := harness.Start(t, h, "tcp_server/socket_address", "-addr", c.listen)
		port := netip.MustParseAddrPort(server.Ready()).Port()
		for range 2 { // a client has a port of its own each time
			conn := peer.DialTCP(t, h, net.JoinHostPort(c.dial, fmt.Sprint(port)))
			ours, theirs := conn.LocalAddr().(*net.TCPAddr), conn.RemoteAddr().(*net.TCPAddr)
			server.Line(fmt.Sprintf("local %s port %d family %s, remote %s port %d family %s",
				theirs.IP, theirs.Port, c.family, ours.IP, ours.Port, c.family))
			assert.Equal(t, len(peer.Finish(t, conn)), 0)
		}
		server.Stop()
	}
}

// A client that resets its connection costs that connection only.
func TestSocketAddressReset(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "socket_address")
	good, bad := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
	server.Line(`local .*`)
	server.Line(`local .*`)
	peer.Reset(t, bad)
	peer.Finish(t, peer.DialTCP(t, h, addr))
	server.Line(`local .*`)
	assert.Equal(t, len(peer.Finish(t, good)), 0)
	const want = `socket_address: .*connection reset by peer\n`
	server.Complaint(want)
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, want)
}

func TestSocketAddressNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/socket_address")
		s.Ready()
		c, addr := peer.Waiting(client)
		port, _ := strings.CutPrefix(addr, "127.0.0.1:")
		s.Line(`local 127\.0\.0\.1 port 8080 family IPv4, remote 127\.0\.0\.1 port ` + port + ` family IPv4`)
		c.Stop()
		s.Stop()
	})
}
