package tcp_server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
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

// Bytes come back as they were sent, whatever they are, those included that had
// not come back when the client sent its FIN.
func TestServerEchoesExactly(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	for _, n := range []int{0, 1, 5, 1 << 10, 64 << 10} {
		conn, data := peer.DialTCP(t, h, addr), peer.Noise(n)
		server.Line(clientAddr(conn) + " connected")
		peer.Write(t, conn, data)
		assert.Assert(t, bytes.Equal(peer.Finish(t, conn), data), "%d bytes", n)
		server.Line(fmt.Sprintf("%s closed after %d bytes", clientAddr(conn), n))
	}
	server.Stop()
}

// 16 MiB, far more than the kernel's buffers hold, while both sides read and
// write at once.
func TestServerEchoesALot(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	conn, data := peer.DialTCP(t, h, addr), peer.Noise(16<<20)
	server.Line(clientAddr(conn) + " connected")
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(data)
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	hash := sha256.New()
	_, err := io.Copy(hash, conn)
	assert.NilError(t, errors.Join(err, <-sent))
	assert.Equal(t, [32]byte(hash.Sum(nil)), sha256.Sum256(data))
	server.Line(clientAddr(conn) + " closed after 16777216 bytes")
	server.Stop()
}

// 200 clients are connected at the same time, and each gets its own bytes, in
// the opposite order to that in which they came.
func TestServerManyAtOnce(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	conns := make([]*net.TCPConn, 200)
	for i := range conns {
		conns[i] = peer.DialTCP(t, h, addr)
		server.Line(clientAddr(conns[i]) + " connected")
	}
	for i := range conns {
		conn := conns[len(conns)-1-i]
		data := peer.Noise(10000 + i)
		peer.Write(t, conn, data)
		assert.Assert(t, bytes.Equal(peer.Finish(t, conn), data))
		server.Line(fmt.Sprintf("%s closed after %d bytes", clientAddr(conn), len(data)))
	}
	server.Stop()
}

// A client that sends and does not read blocks its own goroutine; a client that
// resets its connection ends it. The others notice neither.
func TestServerBadClient(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	good := peer.DialTCP(t, h, addr)
	server.Line(clientAddr(good) + " connected")
	bad := peer.DialTCP(t, h, addr)
	server.Line(clientAddr(bad) + " connected")
	peer.Pour(t, bad)
	peer.Echoes(t, good, "while the other is stuck")
	peer.Reset(t, bad)
	server.Line(clientAddr(bad) + ` closed after \d+ bytes`)
	peer.Echoes(t, good, "and gone")
	assert.Equal(t, len(peer.Finish(t, good)), 0)
	server.Line(clientAddr(good) + " closed after 32 bytes")

	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, `server: .*connection reset by peer\n`)
}

// IPv6 works as IPv4 does.
func TestServerIPv6(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server", "-addr", "[::1]:0")
	addr := server.Ready()
	assert.Equal(t, netip.MustParseAddrPort(addr).Addr(), netip.IPv6Loopback())
	conn := peer.DialTCP(t, h, addr)
	server.Line(strings.NewReplacer("[", `\[`, "]", `\]`).Replace(clientAddr(conn)) + " connected")
	peer.Echoes(t, conn, "hello")
	peer.Finish(t, conn)
	server.Line(`\[::1\]:\d+ closed after 5 bytes`)
	server.Stop()
}

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

// In Go a connection's error is what Read returns. In Node it is an event, and
// one that nobody listens for ends the process.
func TestServerNodeError(t *testing.T) {
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		s := goes("tcp_server/server")
		s.Ready()
		conn := peer.DialTCP(t, h, "127.0.0.1:8080")
		s.Line(`.* connected`)
		conn.SetLinger(0)
		conn.Close()
		s.Line(`.* closed after 0 bytes`)
		s.Signal(syscall.SIGTERM)
		s.Line("closed")
		s.ExitSaying(0, `server: .*: connection reset by peer\n`)
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		reset := func(s *harness.Program) {
			addr := s.Ready()
			conn := peer.DialTCP(t, h, addr)
			s.Line(`.* connected`)
			conn.SetLinger(0)
			conn.Close()
		}
		s := node("tcp_server/server")
		reset(s)
		s.Line(`.* closed after 0 bytes`)
		s.Signal(syscall.SIGTERM)
		s.Line("closed")
		s.ExitSaying(0, `server: read ECONNRESET\n`)

		s = node("testdata/error.js")
		reset(s)
		s.ExitSaying(1, `(?s).*Unhandled 'error' event.*read ECONNRESET.*`)
	})
}
