package tcp_server

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// A client that connects and says nothing, as the page shows it.
func TestTimeoutTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-timeout", "1s")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client, from := peer.Waiting(harness.Go(t, h))
	server.Line(from + ` timed out after 1s`)
	client.Exit(0) // the server closed the connection
	server.Stop()
	harness.Transcript(t, "timeout.txt", server, client)
}

// Silence ends it, and not too soon: the client reads an end, and no byte.
func TestTimeoutSilence(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/timeout", "--addr", "127.0.0.1:0", "--timeout", "500ms")
		addr := server.Ready()
		begin := time.Now()
		client := peer.DialTCP(t, h, addr)
		server.Line(peer.Of(client) + `timed out after 500ms`)
		assert.Assert(t, time.Since(begin) >= 499*time.Millisecond) // Node counts whole milliseconds
		_, err := client.Read(make([]byte, 1))
		assert.Equal(t, err, io.EOF)
		server.Stop()
	})
}

// stay waits on a connection on which nothing is to come for that long.
func stay(t *testing.T, client *net.TCPConn, d time.Duration) {
	t.Helper()
	client.SetReadDeadline(time.Now().Add(d))
	harness.Note(t, "%v waits for %v, and nothing is to come", client.LocalAddr(), d)
	_, err := client.Read(make([]byte, 1))
	assert.Assert(t, os.IsTimeout(err), "want the connection open and silent for %v, and %v came", d, err)
	client.SetReadDeadline(time.Now().Add(harness.Patience()))
}

// A byte now and then keeps a connection open for longer than the timeout, and
// once its client is silent it has all of the time again. A silent one beside it
// does not profit.
func TestTimeoutActivity(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		const timeout = 3 * time.Second // a busy machine may take two of them for a byte
		server := start("tcp_server/timeout", "--addr", "127.0.0.1:0", "--timeout", timeout.String())
		addr := server.Ready()
		client, silent := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
		harness.Hint(t, "a deadline that is set once: it is a moment, and has to be set again after each read and write")
		var last time.Time
		for begin := time.Now(); time.Since(begin) < timeout*3/2; {
			stay(t, client, timeout/6)
			last = time.Now()
			peer.Echoes(t, client, "!") // a byte is enough
		}
		server.Line(peer.Of(silent) + `timed out after 3s`)
		server.Line(peer.Of(client) + `timed out after 3s`)
		assert.Assert(t, time.Since(last) >= timeout-time.Millisecond)
		_, err := client.Read(make([]byte, 1))
		assert.Equal(t, err, io.EOF)
		server.Stop()
	})
}

// A client that sends and does not read is closed like a silent one.
func TestTimeoutStuckWrite(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.Overfill(t, h) // and so it soon is stuck
		server := start("tcp_server/timeout", "--addr", "127.0.0.1:0", "--timeout", "300ms")
		client := peer.DialTCP(t, h, server.Ready())
		go func() {
			chunk := make([]byte, 1<<16)
			for err := error(nil); err == nil; {
				_, err = client.Write(chunk)
			}
		}()
		server.Line(peer.Of(client) + `timed out after 300ms`)
		server.Stop()
	})
}

// 0 is never, and no client's leaving is a timeout.
func TestTimeoutNever(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/timeout", "--addr", "127.0.0.1:0", "--timeout", "0")
		addr := server.Ready()
		client := peer.DialTCP(t, h, addr)
		stay(t, client, 500*time.Millisecond)
		peer.TimeoutServer.Serves(t, server, client)
		peer.Reset(t, peer.DialTCP(t, h, addr))
		peer.TimeoutServer.Serves(t, server, peer.DialTCP(t, h, addr))
		const want = "timeout: .*(connection reset by peer|ECONNRESET)\n"
		server.Complaint(want)
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, want)
	})
}

// Node's timer closes nothing, and comes once: the connection stays, and only
// what moves on it winds the timer up again.
func TestTimeoutNodeClosesNothing(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Node(t, h)("testdata/timeout.js")
	addr := server.Ready()
	first := peer.DialTCP(t, h, addr)
	server.Line(peer.Of(first) + `is idle, timeout 200`)
	// Were the first idle a second time, it would say so before this one.
	second := peer.DialTCP(t, h, addr)
	server.Line(peer.Of(second) + `is idle, timeout 200`)
	peer.Echoes(t, first, "hello")
	server.Line(peer.Of(first) + `is idle, timeout 200`)
	server.Stop()
}
