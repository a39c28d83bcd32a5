package tcp_server

import (
	"bytes"
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
	conn := peer.DialTCP(t, h, server.Ready())
	peer.Echoes(t, conn, "before")
	server.Signal(os.Interrupt)
	server.Line("no longer listening, 1 open")
	late := harness.Start(t, h, "tcp_client/client")
	late.ExitSaying(1, `client: dial tcp 127\.0\.0\.1:8080: connect: connection refused\n`)
	peer.Echoes(t, conn, "after")
	peer.Finish(t, conn)
	server.Line("closed")
	server.Exit(0)
	harness.Transcript(t, "close.txt", server)
}

// From the signal on new clients are refused and those connected are served.
// The program ends when the last has left, and not before.
func TestCloseServesTheRest(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		server, addr := tcpServer(t, h, "close")
		var open []*net.TCPConn
		for range 5 {
			open = append(open, peer.DialTCP(t, h, addr))
			peer.Echoes(t, open[len(open)-1], "before")
		}
		assert.Equal(t, len(peer.Finish(t, open[0])), 0)
		open = open[1:]
		server.Signal(sig)
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
			assert.Assert(t, bytes.Equal(peer.Finish(t, conn), data))
		}
		server.Line("closed")
		server.Exit(0)
	}
}

// A client that resets its connection has left like any other.
func TestCloseReset(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "close")
	conn := peer.DialTCP(t, h, addr)
	peer.Echoes(t, conn, "before")
	server.Signal(syscall.SIGTERM)
	server.Line("no longer listening, 1 open")
	peer.Reset(t, conn)
	server.Line("closed")
	server.ExitSaying(0, `close: .*connection reset by peer\n`)
}

func TestCloseNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/close")
		s.Ready()
		c, _ := peer.Waiting(client)
		// Its connection has been accepted once this later one has been served.
		before, _ := peer.Hello(client)
		before.Line(`received 5 bytes: "hello"`)
		before.Line("closed")
		before.Exit(0)

		s.Signal(syscall.SIGTERM)
		s.Line(`no longer listening, [12] open`) // 2 if before is not quite gone
		refused := client("tcp_client/client")
		refused.ExitSaying(1, `client: .*127\.0\.0\.1:8080.*refused\n|client: connect ECONNREFUSED 127\.0\.0\.1:8080\n`)
		c.Stop()
		s.Line("closed")
		s.Exit(0)
	})
}

// With nobody connected it ends at once; a second signal does not wait for
// those who are.
func TestCloseStops(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		server, _ := tcpServer(t, h, "close")
		server.Signal(sig)
		server.Line("no longer listening, 0 open")
		server.Line("closed")
		server.Exit(0)

		server, addr := tcpServer(t, h, "close")
		peer.Echoes(t, peer.DialTCP(t, h, addr), "before")
		server.Signal(sig)
		server.Line("no longer listening, 1 open")
		server.Signal(sig)
		server.Exit(-1) // killed
	}
}
