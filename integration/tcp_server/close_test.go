package tcp_server

import (
	"net"
	"os"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// The server is told to stop while a client is connected, and ends after that
// client has. The client that comes after the signal is refused.
func TestCloseTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/close")
	server.Ready()
	client, _ := peer.Waiting(harness.Go(t, h))
	// The first has been accepted when one who came after it is echoed to.
	after := peer.DialTCP(t, h, "127.0.0.1:8080")
	peer.Echoes(t, after, "hello")
	peer.Finish(t, after)

	server.Signal(os.Interrupt)
	server.Line("no longer listening, 1 open")
	late := harness.Start(t, h, "tcp_client/client")
	late.ExitSaying(1, `client: dial tcp 127\.0\.0\.1:8080: connect: connection refused\n`)
	client.Signal(os.Interrupt)
	client.Line("closed")
	client.Exit(0)
	server.Line("closed")
	server.Exit(0)
	harness.Transcript(t, "close.txt", server, client)
}

// From the signal on a newcomer is refused and the others are echoed to; closed
// and exit code 0 come after the last has left, and not before; the number of open
// ones is exact.
func TestCloseServesTheRest(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/close", "--addr", "127.0.0.1:0")
		addr := server.Ready()
		var open []*net.TCPConn
		for range 4 {
			open = append(open, peer.DialTCP(t, h, addr))
			peer.Echoes(t, open[len(open)-1], "before")
		}
		server.Signal(syscall.SIGTERM)
		server.Line("no longer listening, 4 open")
		var err error
		h.Do(func() { _, err = net.Dial("tcp", addr) })
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		for i, conn := range open {
			for _, rest := range open[i:] {
				peer.Echoes(t, rest, "after") // had the program ended, this would fail
			}
			assert.Equal(t, len(server.Lines()), 2)
			data := peer.Noise(64 << 10)
			peer.Write(t, conn, data)
			peer.Same(t, peer.Finish(t, conn), data)
		}
		server.Line("closed")
		server.Exit(0)
	})
}

// Who has left before the signal is not counted.
func TestCloseCount(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "close")
	stays, leaves := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
	peer.Echoes(t, stays, "before")
	peer.Echoes(t, leaves, "before")
	peer.Silent(t, leaves)
	server.Signal(os.Interrupt)
	server.Line("no longer listening, 1 open")
	peer.Finish(t, stays)
	server.Line("closed")
	server.Exit(0)
}

// A client that resets its connection has left like any other.
func TestCloseReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/close", "--addr", "127.0.0.1:0")
		conn := peer.DialTCP(t, h, server.Ready())
		peer.Echoes(t, conn, "before")
		server.Signal(syscall.SIGTERM)
		server.Line("no longer listening, 1 open")
		peer.Reset(t, conn)
		server.Line("closed")
		server.ExitSaying(0, `close: .*(connection reset by peer|ECONNRESET)\n`)
	})
}

// With nobody connected it ends at once; a second signal, be it the other one, does
// not wait for those who are.
func TestCloseStops(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/close", "--addr", "127.0.0.1:0")
		server.Ready()
		server.Signal(os.Interrupt)
		server.Line("no longer listening, 0 open")
		server.Line("closed")
		server.Exit(0)

		server = start("tcp_server/close", "--addr", "127.0.0.1:0")
		peer.Echoes(t, peer.DialTCP(t, h, server.Ready()), "before")
		server.Signal(os.Interrupt)
		server.Line("no longer listening, 1 open")
		server.Signal(syscall.SIGTERM)
		server.Exit(-1) // killed
	})
}
