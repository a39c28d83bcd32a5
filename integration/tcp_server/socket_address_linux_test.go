package tcp_server

import (
	"os"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// The transcript of this section shows a port without a colon before it, so
// that the harness does not know it for one: it is made the same each time.
func TestSocketAddressTranscript(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	var err error
	h.Do(func() { err = os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("50001 50001"), 0) })
	assert.NilError(t, err)
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
