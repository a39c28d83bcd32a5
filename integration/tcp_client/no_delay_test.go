package tcp_client

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Whatever the flags, the peer gets the message and nothing else, and its FIN ends the
// client.
func TestNoDelayDelivers(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		long := strings.Repeat("long", 256)
		for _, c := range []struct {
			message string
			writes  int
			node    bool // the rest is in TestNoDelaySegments, and it has no limits
			args    []string
		}{
			{"x", 1, false, nil},
			{long, 1024, true, nil},
			{long, 1024, false, []string{"--no-delay=false"}},
			{long, 1, false, []string{"--cork"}},
			{long, 1, true, []string{"--cork", "--no-delay=false"}},
		} {
			if peer.InOurNode(t) && !c.node {
				continue
			}
			client, remote := dialled(t, h, start, "no_delay", append(c.args, "--message", c.message)...)
			client.Line(fmt.Sprintf("wrote %d bytes in %d writes", len(c.message), c.writes))
			assert.NilError(t, remote.CloseWrite())
			assert.Equal(t, readToFIN(t, remote), c.message)
			client.Await("closed")
			assert.Equal(t, client.Wait(), 0)
		}
	})
}

// A signal ends the wait for the peer's FIN.
func TestNoDelayStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			client, remote := dialled(t, h, start, "no_delay")
			client.Line("wrote 20 bytes in 20 writes")
			client.Signal(sig)
			client.Await("closed")
			assert.Equal(t, client.Wait(), 0)
			assert.Equal(t, readToFIN(t, remote), "twenty bytes of text")
		}
	})
}

// What one write cannot take whole is refused before there is a connection.
func TestNoDelayRefuses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, message := range []string{"", strings.Repeat("x", 1025)} {
		peer.Refuses(t, h, "tcp_client/no_delay", "want a -message of 1 to 1024 bytes .*", "-message", message)
	}
}

// Nobody there, or a name that means nothing.
func TestNoDelayFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "no_delay")
}
