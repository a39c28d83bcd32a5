package tcp_client

import (
	"os"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Both ways against the echo server, as the page shows it: it is the server
// that ends the one who waits.
func TestUnrefTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	gone := harness.Start(t, h, "tcp_client/unref", "-ref=false")
	from := gone.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	gone.Line("not waiting")
	gone.Exit(0)
	server.Line(from + " connected")
	server.Line(from + " closed after 0 bytes")

	waits := harness.Start(t, h, "tcp_client/unref")
	from = waits.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	waits.Line("waiting for the peer")
	server.Line(from + " connected")
	server.Stop()
	waits.Exit(0)
	harness.Transcript(t, "unref.txt", server, gone, waits)
}

// -ref=true, which is the default: it goes on reading, more than the kernel
// would keep for a program that had ended, until the peer closes.
func TestUnrefWaits(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"-ref=true"}} {
		client, remote := dialledBy(t, lab.NewHost(t, "h"), "unref", args...)
		client.Line("waiting for the peer")
		peer.Write(t, remote, peer.Noise(16<<20))
		assert.NilError(t, remote.CloseWrite())
		client.Exit(0)
		assert.Equal(t, readToFIN(t, remote), "")
	}
}

// -ref=false: it ends while the peer has said and done nothing, and the peer
// reads an end.
func TestUnrefDoesNotWait(t *testing.T) {
	t.Parallel()
	client, remote := dialledBy(t, lab.NewHost(t, "h"), "unref", "-ref=false")
	client.Line("not waiting")
	client.Exit(0)
	assert.Equal(t, readToFIN(t, remote), "")
}

func TestUnrefStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, _ := dialledBy(t, lab.NewHost(t, "h"), "unref")
		client.Line("waiting for the peer")
		stopWaiting(t, client, sig)
	}
}

func TestUnrefReset(t *testing.T) {
	t.Parallel()
	client, remote := dialledBy(t, lab.NewHost(t, "h"), "unref")
	client.Line("waiting for the peer")
	testReset(t, client, remote)
}

func TestUnrefFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "unref")
}

// The same flag, and the same end; but Node had to be told not to wait.
func TestUnrefNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/server")
		s.Ready()
		c := client("tcp_client/unref", "--ref=false")
		addr := peer.Connected(c)
		c.Line("not waiting")
		c.Exit(0)
		s.Line(addr + " connected")
		s.Line(addr + " closed after 0 bytes")

		c, addr = peer.Waiting(client)
		s.Line(addr + " connected")
		c.Stop()
		s.Line(addr + " closed after 0 bytes")
		s.Stop()
	})
}
