package tcp_client

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// bufferSizes reads the three lines of buffer_size.
func bufferSizes(t *testing.T, p *harness.Program) (sendBuffer, queued, wrote int) {
	t.Helper()
	for _, line := range []struct {
		pattern string
		value   *int
	}{
		{`send buffer (\d+) bytes`, &sendBuffer},
		{`queued (\d+) bytes, the peer has not acknowledged them`, &queued},
		{`wrote (\d+) bytes before blocking`, &wrote},
	} {
		n, err := strconv.Atoi(p.Line(line.pattern)[0])
		assert.NilError(t, err)
		*line.value = n
	}
	return sendBuffer, queued, wrote
}

// What the kernel can keep is written though nobody reads, and what a peer
// reads is not limited by what it can keep.
func TestBufferSizeDoesNotBlock(t *testing.T) {
	harness.NotNode(t, "Node's write does not wait")
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, size := range []int{0, 1000, 100_000, peer.Overfill(t, h)} {
		client, remote := dialledBy(t, h, "buffer_size", "-bytes", fmt.Sprint(size))
		if size > 1000 {
			assert.Equal(t, len(readToFIN(t, remote)), size)
		}
		client.Await(fmt.Sprintf(`wrote %d bytes, the kernel took them all`, size))
		client.Exit(0)
		assert.Equal(t, len(readToFIN(t, remote)), map[bool]int{true: 0, false: size}[size > 1000])
	}
}

// A signal ends it while it writes. The peer reads, or it would end by itself.
func TestBufferSizeStop(t *testing.T) {
	harness.NotNode(t, "Node's write does not wait")
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, remote := dialledBy(t, lab.NewHost(t, "h"), "buffer_size", "-bytes", "1000000000000")
		read := make(chan error)
		go func() {
			_, err := io.Copy(io.Discard, remote)
			read <- err
		}()
		stopWaiting(t, client, sig)
		assert.NilError(t, <-read)
	}
}

// A peer that resets the connection is an error.
func TestBufferSizeReset(t *testing.T) {
	harness.NotNode(t, "Node's write does not wait")
	t.Parallel()
	client, remote := dialledBy(t, lab.NewHost(t, "h"), "buffer_size", "-bytes", "1000000000000")
	peer.Reset(t, remote)
	client.ExitSaying(1, `buffer_size: write tcp \S+->\S+: write: (connection reset by peer|broken pipe)\n`)
}

// Nobody there, or a name that means nothing. Part of a byte, or what is no number, is
// refused, in Node too.
func TestBufferSizeFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "buffer_size")
	node := harness.Node(t, lab.NewHost(t, "h"))
	for _, bytes := range []string{"1.5", "-1", "x"} {
		node("tcp_client/buffer_size", "--bytes="+bytes).ExitSaying(1, "buffer_size: want whole --bytes, not "+bytes+`\n`)
	}
}

// listen never accepts, so nobody reads: the writer is stopped by the kernel alone.
func TestBufferSizeWithListen(t *testing.T) {
	harness.NotNode(t, "Node's write does not wait")
	s, c, _ := pair(t, "tcp_server/listen", "tcp_client/buffer_size")
	bufferSizes(t, c)
	c.Exit(0)
	s.Stop()
}

// Node's write never waits: what the kernel does not take queues in the program,
// and destroy drops it. What the kernel took is delivered, and part of the piece
// that still counts as queued may be among that.
func TestBufferSizeNode(t *testing.T) {
	harness.OnlyNode(t)
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	c := harness.Node(t, h)("tcp_client/buffer_size")
	remote := peer.AcceptTCP(t, ln)
	peer.Connected(c)
	var queued, wrote int
	fmt.Sscan(c.Line(`queued (\d+) bytes, the kernel has not taken them`)[0], &queued)
	fmt.Sscan(c.Line(`wrote (\d+) bytes without blocking`)[0], &wrote)
	c.Exit(0)
	assert.Equal(t, queued, 65536) // one piece
	assert.Assert(t, wrote > queued && wrote < 64<<20, "%d", wrote)
	got := len(readToFIN(t, remote))
	assert.Assert(t, got >= wrote-queued && got < wrote, "%d of %d, %d queued", got, wrote, queued)
}
