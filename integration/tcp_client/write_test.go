package tcp_client

import (
	"fmt"
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

// All bytes go to the echo server and all come back, more than the kernels' buffers
// hold too, in as many writes as it takes. The last takes what is left.
func TestWriteChunks(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		const most = 16 << 20 // for a chunk
		much := peer.Overfill(t, h)
		server := harness.Start(t, h, "tcp_server/server", "-addr", "127.0.0.1:0")
		addr := server.Ready()
		type exchange struct{ bytes, chunk, writes int }
		cases := []exchange{
			{much, 65536, much / 65536},
			{much, most, (much + most - 1) / most},
			{1000, 300, 4},
			{0, 65536, 0},
		}
		if !peer.InOurNode(t) { // it has no least chunk, and the first was as even
			cases = append(cases, exchange{900, 300, 3}, exchange{5, 1, 5})
		}
		for _, c := range cases {
			client := start("tcp_client/write", "--addr", addr, "--bytes", fmt.Sprint(c.bytes), "--chunk", fmt.Sprint(c.chunk))
			from := client.Line(`connected to \S+ from (\S+)`)[0]
			client.Line(fmt.Sprintf(`wrote %d bytes in %d writes`, c.bytes, c.writes))
			client.Line(fmt.Sprintf(`received %d bytes`, c.bytes))
			client.Line("closed")
			client.Exit(0)
			server.Line(from + " connected")
			server.Line(fmt.Sprintf(`%s closed after %d bytes`, from, c.bytes))
		}
		server.Stop()
	})
}

// What it says it received is what the peer sent, be it more or less than it
// wrote, and after its FIN as well.
func TestWriteReceives(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "write", "--bytes", "100000")
		peer.Write(t, remote, "before")
		assert.Equal(t, len(readToFIN(t, remote)), 100_000)
		client.Line(`wrote 100000 bytes in 2 writes`)
		peer.Write(t, remote, "and after")
		remote.Close()
		client.Line(`received 15 bytes`)
		client.Line("closed")
		client.Exit(0)
	})
}

// The peer's FIN does not end the writing: it comes before the peer has read
// anything, of more than all buffers hold.
func TestWriteAfterThePeersFIN(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		size := peer.Overfill(t, h)
		client, remote := dialled(t, h, start, "write", "--bytes", fmt.Sprint(size))
		assert.NilError(t, remote.CloseWrite())
		assert.Equal(t, len(readToFIN(t, remote)), size)
		client.Line(fmt.Sprintf(`wrote %d bytes in %d writes`, size, size/65536))
		client.Line(`received 0 bytes`)
		client.Line("closed")
		client.Exit(0)
	})
}

// A signal ends the wait for the peer's FIN.
func TestWriteStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "write", "--bytes", "5")
		client.Line(`wrote 5 bytes in 1 writes`)
		assert.Equal(t, len(readToFIN(t, remote)), 5)
		client.Signal(syscall.SIGINT)
		client.Line(`received 0 bytes`)
		client.Line("closed")
		client.Exit(0)
	})
}

// A reset is an error: one line, and exit code 1. While the client only reads, it
// has told what it wrote.
func TestWriteReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "write", "--bytes", "1000000000000")
		peer.Reset(t, remote)
		client.Await(`received 0 bytes`)
		client.ExitSaying(1, `write: (write tcp \S+->\S+: write: (connection reset by peer|broken pipe)|(read|write) (ECONNRESET|EPIPE))\n`)

		client, remote = dialled(t, h, start, "write", "--bytes", "5")
		client.Line(`wrote 5 bytes in 1 writes`)
		assert.Equal(t, len(readToFIN(t, remote)), 5)
		peer.Reset(t, remote)
		client.Line(`received 0 bytes`)
		client.ExitSaying(1, `write: .*(read: connection reset by peer|read ECONNRESET)\n`)
	})
}

// What no write can use is refused before there is a connection.
func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, chunk := range []string{"0", "16777217"} {
		peer.Refuses(t, h, "tcp_client/write", "want a -chunk from 1 to 16777216 .*", "-chunk", chunk)
	}
	for _, arg := range []string{"--chunk=0", "--chunk=1.5", "--chunk=x", "--bytes=1.5", "--bytes=-1", "--bytes=x"} {
		harness.Node(t, h)("tcp_client/write", arg).ExitSaying(1, `write: want --bytes of 0 or more and a --chunk of 1 or more, not .*\n`)
	}
}

// Nobody there, or a name that means nothing.
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
