package tcp_server

import (
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

const noHalfClose = "the client's FIN taken for the end of the connection: it ends what the client sends, and no more"

// tcp_client:client sends, finishes sending, and still gets the reply.
func TestHalfOpenTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/half_open")
	server.Ready()
	harness.Hint(t, noHalfClose)
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(from + " ended after 5 bytes")
	server.Line(from + " replied 5 bytes")
	server.Line(from + " closed")
	server.Stop()
	harness.Transcript(t, "half_open.txt", server, client)
}

// halfOpen starts the server on a free port.
func halfOpen(start harness.Starter, args ...string) (server *harness.Program, addr string) {
	server = start("tcp_server/half_open", append([]string{"--addr", "127.0.0.1:0"}, args...)...)
	return server, server.Ready()
}

// ended demands the lines of a half_open server about a client that sent, and
// was replied, that much.
func ended(t *testing.T, server *harness.Program, conn *net.TCPConn, n int) {
	t.Helper()
	server.Line(fmt.Sprintf("%s ended after %d bytes", clientAddr(conn), n))
	server.Line(fmt.Sprintf("%s replied %d bytes", clientAddr(conn), n))
	server.Line(clientAddr(conn) + " closed")
}

// A client sends all, then FIN, and then gets all of it back, and EOF.
func TestHalfOpenReplies(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, addr := halfOpen(start)
		harness.Hint(t, noHalfClose)
		for _, n := range []int{1 << 20, 0, 1} {
			conn, data := peer.DialTCP(t, h, addr), peer.Noise(n)
			peer.Write(t, conn, data)
			peer.Same(t, peer.Finish(t, conn), data)
			ended(t, server, conn, n)
		}
		server.Stop()
	})
}

// Nothing is sent back before the FIN: a client can write more than the kernels'
// buffers hold without reading. An echo would block both sides.
func TestHalfOpenWaitsForTheEnd(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		data := peer.Noise(peer.Overfill(t, h))
		server, addr := halfOpen(start)
		conn := peer.DialTCP(t, h, addr)
		harness.Hint(t, "a reply before the client's FIN: nobody reads it yet, and both sides wait")
		peer.Write(t, conn, data)
		peer.Same(t, peer.Finish(t, conn), data)
		ended(t, server, conn, len(data))
		server.Stop()
	})
}

// With -allow=false, Node's default, the server closes at the FIN: EOF, and
// nothing came back.
func TestHalfOpenNotAllowed(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, addr := halfOpen(start, "--allow=false")
		for _, n := range []int{1 << 20, 0, 5} {
			conn := peer.DialTCP(t, h, addr)
			peer.Write(t, conn, peer.Noise(n))
			peer.Silent(t, conn)
			server.Line(fmt.Sprintf("%s ended after %d bytes", clientAddr(conn), n))
			server.Line(clientAddr(conn) + " closed")
		}
		server.Stop()
	})
}

// A reset ends that connection, whether it comes while the client sends or
// while it is replied to, and no other.
func TestHalfOpenReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		size := peer.Overfill(t, h)
		server, addr := halfOpen(start)
		good, sending, receiving := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
		last := peer.DialTCP(t, h, addr) // accepted after the others, of which Node knows the address only if they are there still
		peer.Finish(t, last)
		ended(t, server, last, 0)
		peer.Write(t, good, "hello")

		peer.Write(t, sending, peer.Noise(1<<20))
		peer.Reset(t, sending)
		server.Await(clientAddr(sending) + " closed") // Node may say that it ended, see TestHalfOpenResetAfterData

		peer.Write(t, receiving, make([]byte, size))
		assert.NilError(t, receiving.CloseWrite())
		server.Line(clientAddr(receiving) + fmt.Sprintf(" ended after %d bytes", size))
		_, err := io.ReadFull(receiving, make([]byte, 1<<16))
		assert.NilError(t, err)
		peer.Reset(t, receiving)
		server.Line(clientAddr(receiving) + " closed") // and no "replied"

		assert.Equal(t, string(peer.Finish(t, good)), "hello")
		ended(t, server, good, 5)
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, `(half_open: .*(connection reset by peer|broken pipe|ECONNRESET|EPIPE)\n){2}`)
	})
}

// What one client may make the server keep has a limit, and may be as much as that.
func TestHalfOpenLimit(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, addr := halfOpen(start, "--allow=false")
		conn, chunk := peer.DialTCP(t, h, addr), make([]byte, 1<<20)
		harness.Note(t, "%v sends 64 MiB", conn.LocalAddr())
		for range 64 {
			_, err := conn.Write(chunk)
			assert.NilError(t, err)
		}
		peer.Silent(t, conn)
		server.Line(clientAddr(conn) + " ended after 67108864 bytes")
		server.Line(clientAddr(conn) + " closed")

		conn = peer.DialTCP(t, h, addr)
		for {
			if _, err := conn.Write(chunk); err != nil {
				assert.Assert(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), "%v", err)
				break
			}
		}
		server.Line(clientAddr(conn) + " closed")
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, `half_open: read \S+: more than 67108864 bytes\n`)
	})
}

// Both reply after the client's FIN, Node only because it was told to.
func TestHalfOpenNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/half_open")
		s.Ready()
		c, addr := peer.Hello(client)
		c.Line(`received 5 bytes: "hello"`)
		c.Line("closed")
		c.Exit(0)
		s.Line(addr + " ended after 5 bytes")
		s.Line(addr + " replied 5 bytes")
		s.Line(addr + " closed")
		s.Stop()
	})
}

// A Node server that did not ask to allow half-open connections can reply in the
// 'end' listener and in process.nextTick. With setImmediate its half is closed.
func TestHalfOpenNodeReplyIsLate(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ways := []string{"once", "nextTick", "setImmediate"}
	s := harness.Node(t, h)("testdata/half_open.js", ways...)
	s.Ready()
	for _, when := range ways {
		c, _ := peer.Hello(harness.Go(t, h))
		if when == "setImmediate" {
			s.Line("This socket has been ended by the other party|Cannot call end after a stream was finished|write after end")
		} else {
			c.Line(`received 5 bytes: "reply"`)
			s.Line("replied")
		}
		c.Line("closed")
		c.Exit(0)
	}
	s.Stop()
}

// socat ends its half at the end of its input, and waits for what still comes.
func TestHalfOpenSocat(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		socat := harness.Socat(t, h)
		s := start("tcp_server/half_open")
		s.Ready()
		p := socat("-t", "30", harness.SocatSays(t, "hello"), "TCP4:127.0.0.1:8080")
		assert.Equal(t, harness.SocatPrinted(t, p), "hello")
		s.Line(`.* ended after 5 bytes`)
		s.Line(`.* replied 5 bytes`)
		s.Line(`.* closed`)
		s.Stop()

		if peer.InOurNode(t) { // TestHalfOpenNotAllowed is of its socket's end, and this of socat
			return
		}
		s = start("tcp_server/half_open", "--allow=false")
		s.Ready()
		p = socat("-t", "30", harness.SocatSays(t, "hello"), "TCP4:127.0.0.1:8080")
		assert.Equal(t, harness.SocatPrinted(t, p), "")
		s.Line(`.* ended after 5 bytes`)
		s.Line(`.* closed`)
		s.Stop()
	})
}
