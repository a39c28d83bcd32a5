package tcp_server

import (
	"regexp"
	"strings"
	"testing"

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
