package tcp_server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// The two programs with nothing but their defaults, as the page shows them.
func TestServerTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(from + " connected")
	server.Line(from + " closed after 5 bytes")
	server.Stop()
	harness.Transcript(t, "server.txt", server, client)
}

// All bytes come back in order, those too that are under way at the client's FIN.
func TestServerEchoes(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/server", "--addr", "127.0.0.1:0")
		addr := server.Ready()
		for _, n := range []int{0, 1, 5, 1 << 10, 64 << 10} {
			conn, data := peer.DialTCP(t, h, addr), peer.Noise(n)
			server.Line(peer.Of(conn) + "connected")
			peer.Write(t, conn, data)
			peer.Same(t, peer.Finish(t, conn), data)
			server.Line(fmt.Sprintf("%sclosed after %d bytes", peer.Of(conn), n))
		}
		server.Stop()
	})
}

// More than all buffers hold, while both sides read and write at once.
func TestServerEchoesALot(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		data := peer.Noise(peer.Overfill(t, h))
		server := start("tcp_server/server", "--addr", "127.0.0.1:0")
		conn := peer.DialTCP(t, h, server.Ready())
		server.Line(peer.Of(conn) + "connected")
		sent := make(chan error, 1)
		go func() {
			_, err := conn.Write(data)
			sent <- errors.Join(err, conn.CloseWrite())
		}()
		hash := sha256.New()
		_, err := io.Copy(hash, conn)
		assert.NilError(t, errors.Join(err, <-sent))
		assert.Equal(t, [32]byte(hash.Sum(nil)), sha256.Sum256(data))
		server.Line(peer.Of(conn) + fmt.Sprintf("closed after %d bytes", len(data)))
		server.Stop()
	})
}

// 200 clients are connected at a time, and each gets its own bytes, in the opposite
// order to that in which they came.
func TestServerManyAtOnce(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/server", "--addr", "127.0.0.1:0")
		addr := server.Ready()
		harness.Hint(t, "one client served at a time: while it is, nobody accepts the others")
		conns := make([]*net.TCPConn, 200)
		for i := range conns {
			conns[i] = peer.DialTCP(t, h, addr)
			server.Line(peer.Of(conns[i]) + "connected")
		}
		for i := range conns {
			conn := conns[len(conns)-1-i]
			data := peer.Noise(10000 + i)
			peer.Write(t, conn, data)
			peer.Same(t, peer.Finish(t, conn), data)
			server.Line(fmt.Sprintf("%sclosed after %d bytes", peer.Of(conn), len(data)))
		}
		server.Stop()
	})
}

// Who writes and does not read keeps nobody else waiting, and a reset costs its own
// connection.
func TestServerBadClient(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.Overfill(t, h) // and so it soon is stuck
		server := start("tcp_server/server", "--addr", "127.0.0.1:0")
		addr := server.Ready()
		harness.Hint(t, "one client served at a time: while it is, nobody accepts the others")
		good := peer.DialTCP(t, h, addr)
		server.Line(peer.Of(good) + "connected")
		bad := peer.DialTCP(t, h, addr)
		server.Line(peer.Of(bad) + "connected")
		peer.Pour(t, bad)
		peer.Echoes(t, good, "while the other is stuck")
		peer.Reset(t, bad)
		server.Line(peer.Of(bad) + `closed after \d+ bytes`)
		peer.Echoes(t, good, "and gone")
		peer.Silent(t, good)
		server.Line(peer.Of(good) + "closed after 32 bytes")

		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, `server: .*(connection reset by peer|ECONNRESET|EPIPE|broken pipe)\n`)
	})
}

// Each program with the other language's peer.
func TestServerNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/server")
		s.Line(`listening on 127\.0\.0\.1:8080`)
		c, addr := peer.Hello(client)
		c.Line(`received 5 bytes: "hello"`)
		c.Line("closed")
		c.Exit(0)
		s.Line(addr + " connected")
		s.Line(addr + " closed after 5 bytes")
		s.Stop()
	})
}

// In Node an 'error' without a listener ends the process.
func TestServerNodeError(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	s := harness.Node(t, h)("testdata/error.js")
	conn := peer.DialTCP(t, h, s.Ready())
	s.Line(peer.Of(conn) + "connected")
	peer.Reset(t, conn)
	s.ExitSaying(1, `(?s).*Unhandled 'error' event.*read ECONNRESET.*`)
}
