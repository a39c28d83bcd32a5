package tcp_client

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// The two programs with nothing but their defaults, as the page shows them.
func TestWriteTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/write")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	client.Line(`wrote 1048576 bytes in 16 writes`)
	client.Line(`received 1048576 bytes`)
	client.Line("closed")
	client.Exit(0)
	server.Line(from + " connected")
	server.Line(from + " closed after 1048576 bytes")
	server.Stop()
	harness.Transcript(t, "write.txt", server, client)
}

// All bytes go to the echo server and all come back, more than fits the
// kernel's buffers too. The last write takes what is left.
func TestWriteChunks(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server", "-addr", "127.0.0.1:0")
	addr := server.Ready()
	for _, c := range []struct{ bytes, chunk, writes int }{
		{16 << 20, 65536, 256},
		{16 << 20, 16 << 20, 1},
		{1000, 300, 4},
		{900, 300, 3},
		{10, 65536, 1},
		{3, 1, 3},
		{0, 65536, 0},
	} {
		client := harness.Start(t, h, "tcp_client/write", "-addr", addr, "-bytes", fmt.Sprint(c.bytes), "-chunk", fmt.Sprint(c.chunk))
		from := client.Line(`connected to \S+ from (\S+)`)[0]
		client.Line(fmt.Sprintf(`wrote %d bytes in %d writes`, c.bytes, c.writes))
		client.Line(fmt.Sprintf(`received %d bytes`, c.bytes))
		client.Line("closed")
		client.Exit(0)
		server.Line(from + " connected")
		server.Line(fmt.Sprintf(`%s closed after %d bytes`, from, c.bytes))
	}
	server.Stop()
}

// What it says it received is what the peer sent, be it more or less than it
// wrote, and after its FIN as well.
func TestWriteReceives(t *testing.T) {
	t.Parallel()
	client, remote := dialledBy(t, lab.NewHost(t, "h"), "write", "-bytes", "100000")
	peer.Write(t, remote, "before")
	assert.Equal(t, len(readToFIN(t, remote)), 100_000)
	client.Line(`wrote 100000 bytes in 2 writes`)
	peer.Write(t, remote, "and after")
	remote.Close()
	client.Line(`received 15 bytes`)
	client.Line("closed")
	client.Exit(0)
}

// A signal ends the wait for the peer's FIN.
func TestWriteStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, remote := dialledBy(t, lab.NewHost(t, "h"), "write", "-bytes", "5")
		client.Line(`wrote 5 bytes in 1 writes`)
		assert.Equal(t, len(readToFIN(t, remote)), 5)
		client.Signal(sig)
		client.Line(`received 0 bytes`)
		client.Line("closed")
		client.Exit(0)
	}
}

// A peer that resets, while the client writes and while it only reads.
func TestWriteReset(t *testing.T) {
	t.Parallel()
	client, remote := dialledBy(t, lab.NewHost(t, "h"), "write", "-bytes", "1000000000000")
	peer.Reset(t, remote)
	client.ExitSaying(1, `write: write tcp \S+->\S+: write: (connection reset by peer|broken pipe)\n`)

	client, remote = dialledBy(t, lab.NewHost(t, "h"), "write", "-bytes", "5")
	client.Line(`wrote 5 bytes in 1 writes`)
	assert.Equal(t, len(readToFIN(t, remote)), 5)
	testReset(t, client, remote)
}

func TestWriteFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "write")
}

// A server that only reads: what the client sent is what the server counts.
func TestWriteWithRead(t *testing.T) {
	s, c, from := pair(t, "tcp_server/read", "tcp_client/write", "-bytes", "100000", "-chunk", "30000")
	c.Line(`wrote 100000 bytes in 4 writes`)
	c.Line(`received 0 bytes`)
	c.Line(`closed`)
	c.Exit(0)
	s.Await(from + ` ended after 100000 bytes`)
	s.Stop()
}

// Much more than all buffers hold: neither stops reading while it writes.
func TestWriteNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/server")
		s.Ready()
		c := client("tcp_client/write", "--bytes", "33554433")
		addr := peer.Connected(c)
		c.Line("wrote 33554433 bytes in 513 writes")
		c.Line("received 33554433 bytes")
		c.Line("closed")
		c.Exit(0)
		s.Line(addr + " connected")
		s.Line(addr + " closed after 33554433 bytes")
		s.Stop()
	})
}
