package tcp_client

import (
	"fmt"
	"io"
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

	waits, from := peer.Waiting(harness.Go(t, h))
	server.Line(from + " connected")
	server.Stop()
	waits.Exit(0)
	harness.Transcript(t, "unref.txt", server, gone, waits)
}

// By default it reads on, more than the kernel would keep for a program that had
// ended, and ends when the peer closes.
func TestUnrefWaits(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		data := make([]byte, peer.Overfill(t, h))
		client, remote := dialled(t, h, start, "unref")
		client.Line("waiting for the peer")
		peer.Write(t, remote, data)
		assert.NilError(t, remote.CloseWrite())
		client.Exit(0)
		assert.Equal(t, readToFIN(t, remote), "")
	})
}

// -ref=false: it ends with 0 while the peer has said and done nothing, and the
// peer reads an end.
func TestUnrefDoesNotWait(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "unref", "--ref=false")
		client.Line("not waiting")
		client.Exit(0)
		assert.Equal(t, readToFIN(t, remote), "")
	})
}

// A write under way holds Node, though the socket is unref'd: all of it arrives.
func TestUnrefNodeWritesFirst(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	size := peer.Overfill(t, h)
	ln := peer.ListenTCP(t, h, "127.0.0.1:0")
	client := harness.Node(t, h)("testdata/unref.js", ln.Addr().String(), fmt.Sprint(size))
	remote := peer.AcceptTCP(t, ln)
	client.Line(fmt.Sprintf("not waiting, %d bytes to write", size))
	n, err := io.Copy(io.Discard, remote)
	assert.NilError(t, err)
	assert.Equal(t, int(n), size)
	client.Exit(0)
}

// A signal ends the wait.
func TestUnrefStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "unref", "--ref=true")
		client.Line("waiting for the peer")
		stopWaiting(t, client, syscall.SIGINT)
		assert.Equal(t, readToFIN(t, remote), "")
	})
}

// A reset is an error.
func TestUnrefReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "unref")
		client.Line("waiting for the peer")
		peer.Reset(t, remote)
		client.ExitSaying(1, "unref: .*(read: connection reset by peer|read ECONNRESET)\n")
	})
}

// Nobody there, or a name that means nothing.
func TestUnrefFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "unref")
}
