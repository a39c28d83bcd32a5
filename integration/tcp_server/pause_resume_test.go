package tcp_server

import (
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// A client that has more to send than the kernels hold, as the page shows it.
func TestPauseResumeTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/pause_resume", "-pause", "500ms")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/write", "-bytes", "67108864")
	from := client.Line(`connected to \S+ from (\S+)`)[0]
	server.Line(from + ` paused`)
	server.Line(from + ` resumed`)
	server.Line(from + ` ended after 67108864 bytes`)
	client.Line(`wrote 67108864 bytes in 1024 writes`)
	client.Line(`received 0 bytes`)
	client.Line(`closed`)
	client.Exit(0)
	server.Stop()
	harness.Transcript(t, "pause_resume.txt", server, client)
}

// The pause is as long as asked for, and no pause is none.
func TestPauseResumePause(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, pause := range []time.Duration{300 * time.Millisecond, 0} {
			server := start("tcp_server/pause_resume", "--addr", "127.0.0.1:0", "--pause", pause.String())
			addr := server.Ready()
			begin := time.Now()
			client := peer.DialTCP(t, h, addr)
			server.Line(peer.Of(client) + `paused`)
			server.Line(peer.Of(client) + `resumed`)
			assert.Assert(t, time.Since(begin) >= pause-time.Millisecond) // Node counts whole ones
			assert.NilError(t, client.Close())
			server.Line(peer.Of(client) + `ended after 0 bytes`)
			server.Stop()
		}
	})
}

// While one is paused, others are accepted; a signal ends them all.
func TestPauseResumeManyPaused(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/pause_resume", "--addr", "127.0.0.1:0", "--pause", "720h")
		addr := server.Ready()
		for range 10 {
			server.Line(peer.Of(peer.DialTCP(t, h, addr)) + `paused`)
		}
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.Exit(0)
	})
}

// A reset meanwhile is an error, not an end, and costs its own connection only.
func TestPauseResumeReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/pause_resume", "--addr", "127.0.0.1:0", "--pause", "300ms")
		addr := server.Ready()
		rude := peer.DialTCP(t, h, addr)
		server.Line(peer.Of(rude) + `paused`)
		peer.Reset(t, rude)
		server.Line(peer.Of(rude) + `resumed`)
		other := peer.DialTCP(t, h, addr)
		server.Line(peer.Of(other) + `paused`)
		peer.PauseResumeServer.Serves(t, server, other)
		const want = "pause_resume: .*(read: connection reset by peer|read ECONNRESET)\n"
		server.Complaint(want)
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, want)
	})
}
