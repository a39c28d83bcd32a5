package tcp_client

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// What the kernel can keep is written though nobody reads, and what a peer
// reads is not limited by what it can keep.
func TestBufferSizeDoesNotBlock(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1000, 100_000, 32 << 20} {
		client, remote := dialledBy(t, lab.NewHost(t, "h"), "buffer_size", "-bytes", fmt.Sprint(size))
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

func TestBufferSizeReset(t *testing.T) {
	t.Parallel()
	client, remote := dialledBy(t, lab.NewHost(t, "h"), "buffer_size", "-bytes", "1000000000000")
	peer.Reset(t, remote)
	client.ExitSaying(1, `buffer_size: write tcp \S+->\S+: write: (connection reset by peer|broken pipe)\n`)
}

func TestBufferSizeFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "buffer_size")
}

// listen never accepts, so nobody reads: the writer is stopped by the kernel alone.
func TestBufferSizeWithListen(t *testing.T) {
	s, c, _ := pair(t, "tcp_server/listen", "tcp_client/buffer_size")
	c.Line(`send buffer \d+ bytes`)
	c.Line(`queued \d+ bytes, the peer has not acknowledged them`)
	c.Line(`wrote \d+ bytes before blocking`)
	c.Exit(0)
	s.Stop()
}

// A paused server makes either client stop. What Go has written by then is in
// the kernel; Node has taken one piece too many, and queues it in the process.
func TestBufferSizeNode(t *testing.T) {
	const all = 67108864
	paused := func(t *testing.T, server, client harness.Starter) (s, c *harness.Program) {
		s = server("tcp_server/pause_resume", "--pause", "3600s")
		s.Ready()
		c = client("tcp_client/buffer_size")
		s.Line(peer.Connected(c) + " paused")
		return s, c
	}
	number := func(c *harness.Program, pattern string) (n int) {
		fmt.Sscan(c.Await(pattern)[0], &n)
		return n
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		s, c := paused(t, harness.Node(t, h), goes)
		wrote := number(c, `wrote (\d+) bytes before blocking`)
		assert.Assert(t, wrote > 0 && wrote < all, "%d", wrote)
		c.Exit(0)
		s.Signal(syscall.SIGTERM)
		s.Line("closed") // it had not resumed
		s.ExitSaying(0, `(pause_resume: read ECONNRESET\n)?`)
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		s, c := paused(t, harness.Go(t, h), node)
		queued := number(c, `queued (\d+) bytes, the kernel has not taken them`)
		wrote := number(c, `wrote (\d+) bytes without blocking`)
		assert.Assert(t, queued > 0 && queued <= 65536, "%d", queued)
		assert.Assert(t, wrote > queued && wrote < all, "%d", wrote)
		c.Stop()
		s.Signal(syscall.SIGTERM)
		s.Line("closed") // it had not resumed
		s.Exit(0)
	})
}
