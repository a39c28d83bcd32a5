package tcp_server

import (
	"os"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

func TestPauseResumeTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/pause_resume", "-pause", "100ms")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to \S+ from (\S+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`closed`)
	client.Exit(0)
	server.Line(from + ` paused`)
	server.Line(from + ` resumed`)
	server.Line(from + ` ended after 5 bytes`)
	server.Stop()
	harness.Transcript(t, "pause_resume.txt", server, client)
}

// The pause is as long as asked for, and no pause is a pause.
func TestPauseResumePause(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, pause := range []time.Duration{300 * time.Millisecond, 0} {
		server := harness.Start(t, h, "tcp_server/pause_resume", "-addr", "127.0.0.1:0", "-pause", pause.String())
		addr := server.Ready()
		begin := time.Now()
		client := peer.DialTCP(t, h, addr)
		server.Line(peer.Of(client) + `paused`)
		server.Line(peer.Of(client) + `resumed`)
		assert.Assert(t, time.Since(begin) >= pause)
		assert.NilError(t, client.Close())
		server.Line(peer.Of(client) + `ended after 0 bytes`)
		server.Stop()
	}
}

// While one is paused, others are accepted; a signal ends them all.
func TestPauseResumeManyPaused(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		h := lab.NewHost(t, "h")
		server := harness.Start(t, h, "tcp_server/pause_resume", "-addr", "127.0.0.1:0", "-pause", "1h")
		addr := server.Ready()
		for range 10 {
			server.Line(peer.Of(peer.DialTCP(t, h, addr)) + `paused`)
		}
		server.Signal(sig)
		server.Line("closed")
		server.Exit(0)
	}
}

// Who resets the connection meanwhile has not ended in good order.
func TestPauseResumeReset(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/pause_resume", "-addr", "127.0.0.1:0", "-pause", "300ms")
	addr := server.Ready()
	rude := peer.DialTCP(t, h, addr)
	server.Line(peer.Of(rude) + `paused`)
	peer.Reset(t, rude)
	server.Line(peer.Of(rude) + `resumed`)
	other := peer.DialTCP(t, h, addr)
	server.Line(peer.Of(other) + `paused`)
	peer.PauseResumeServer.Serves(t, server, other)
	const want = "pause_resume: .*read: connection reset by peer\n"
	server.Complaint(want)
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, want)
}

func TestPauseResumeNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/pause_resume", "--pause", "100ms")
		s.Ready()
		c := client("tcp_client/write", "--bytes", "16777216")
		addr := peer.Connected(c)
		s.Line(addr + " paused")
		s.Line(addr + " resumed")
		s.Line(addr + " ended after 16777216 bytes")
		c.Line("wrote 16777216 bytes in 256 writes")
		c.Line("received 0 bytes")
		c.Line("closed")
		c.Exit(0)
		s.Stop()
	})
}
