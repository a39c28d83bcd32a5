package tcp_server

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// The transcript of this section shows a port without a colon before it, so
// that the harness does not know it for one: it is made the same each time.
func TestSocketAddressTranscript(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	peer.SetSysctl(t, h, "net/ipv4/ip_local_port_range", "50001 50001")
	server := harness.Start(t, h, "tcp_server/socket_address")
	server.Ready()
	client := harness.Start(t, h, "tcp_client/client")
	client.Line(`connected to 127\.0\.0\.1:8080 from \S+`)
	client.Line(`sent 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(`local .*`)
	server.Stop()
	harness.Transcript(t, "socket_address.txt", server, client)
}

// A link-local address is shown with its zone, at both ends.
func TestSocketAddressZone(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		other := lab.NewHost(t, "other")
		lab.Link(t, h, "fe80::1/64", other, "fe80::2/64")
		server := start("tcp_server/socket_address", "--addr", "[fe80::1%eth0]:8080")
		server.Line(regexp.QuoteMeta("listening on [fe80::1%eth0]:8080"))
		conn := peer.DialTCP(t, other, "[fe80::1%eth0]:8080")
		line := ends(conn, "", "IPv6")
		assert.Equal(t, strings.Count(line, "%eth0 "), 2, line)
		server.Line(line)
		peer.Finish(t, conn)
		server.Stop()
	})
}

// Of a client that has reset its connection before it was accepted Go knows the address:
// accept(2) tells it. Node asks later, and gets none.
func TestSocketAddressGone(t *testing.T) {
	test := func(remote func(net.Addr) string) func(*testing.T, *lab.Host, harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			server := start("tcp_server/socket_address", "--addr", "127.0.0.1:0")
			addr := server.Ready()
			peer.Freeze(t, server)
			conn := peer.DialTCP(t, h, addr)
			peer.Reset(t, conn)
			server.Signal(unix.SIGCONT)
			server.Line(`local 127\.0\.0\.1 port \d+ family IPv4, remote ` + remote(conn.LocalAddr()))
			const want = `socket_address: .*(connection reset by peer|ECONNRESET)\n`
			server.Complaint(want)
			server.Signal(unix.SIGTERM)
			server.Line("closed")
			server.ExitSaying(0, want)
		}
	}
	harness.Compare(t, test(func(from net.Addr) string {
		return fmt.Sprintf(`127\.0\.0\.1 port %d family IPv4`, peer.TCPPort(from))
	}), test(func(net.Addr) string { return "undefined port undefined family undefined" }))
}
