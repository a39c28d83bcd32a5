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

// The two programs with nothing but their defaults, as the page shows them.
func TestKeepaliveTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/keepalive")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	client.Line(`keep-alive on: idle 15s, interval 15s, count 9`)
	server.Line(from + " connected")
	stopWaiting(t, client, syscall.SIGTERM)
	server.Line(from + " closed after 0 bytes")
	server.Stop()
	harness.Transcript(t, "keepalive.txt", server, client)
}

// It holds the connection, whatever the peer sends, until the peer's end.
func TestKeepaliveHolds(t *testing.T) {
	t.Parallel()
	client, remote := dialledBy(t, lab.NewHost(t, "h"), "keepalive")
	client.Await(`keep-alive on: .*`)
	peer.Write(t, remote, peer.Noise(16<<20)) // more than the kernel would keep
	assert.NilError(t, remote.CloseWrite())
	client.Line("closed")
	client.Exit(0)
	assert.Equal(t, readToFIN(t, remote), "")
}

// An end that is an error is what this program is about: it is told like any
// other, and the exit code is 0.
func TestKeepaliveReset(t *testing.T) {
	t.Parallel()
	client, remote := dialledBy(t, lab.NewHost(t, "h"), "keepalive")
	client.Await(`keep-alive on: .*`)
	peer.Reset(t, remote)
	client.Line("closed with error: connection reset by peer")
	client.Exit(0)
}

func TestKeepaliveStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, _ := dialledBy(t, lab.NewHost(t, "h"), "keepalive")
		client.Await(`keep-alive on: .*`)
		stopWaiting(t, client, sig)
	}
}

func TestKeepaliveFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "keepalive")
}

func TestKeepaliveNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/server")
		s.Ready()
		c := client("tcp_client/keepalive", "--idle", "7s")
		addr := peer.Connected(c)
		s.Line(addr + " connected")
		c.Line(`keep-alive on: idle 7s(, interval 15s, count 9)?`)
		c.Stop()
		s.Line(addr + " closed after 0 bytes")
		s.Stop()
	})
}
