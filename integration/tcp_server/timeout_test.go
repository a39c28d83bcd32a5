package tcp_server

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// A silent client is closed, in time and not before.
func TestTimeoutTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-timeout", "1s")
	addr := server.Ready()
	begin := time.Now()
	client := peer.DialTCP(t, h, addr)
	server.Line(peer.Of(client) + `timed out after 1s`)
	assert.Assert(t, time.Since(begin) >= time.Second)
	_, err := client.Read(make([]byte, 1))
	assert.Equal(t, err, io.EOF)
	server.Stop()
	harness.Transcript(t, "timeout.txt", server)
}

// stay waits on a connection on which nothing is to come for that long.
func stay(t *testing.T, client *net.TCPConn, d time.Duration) {
	t.Helper()
	client.SetReadDeadline(time.Now().Add(d))
	_, err := client.Read(make([]byte, 1))
	assert.Assert(t, os.IsTimeout(err), "%v", err)
	client.SetReadDeadline(time.Now().Add(harness.Patience()))
}

// A client that says something now and then stays connected for several times
// as long, and once it is silent has all of the time again. A silent one beside
// it does not profit.
func TestTimeoutActivity(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second // a busy machine may take two of them for a byte
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-addr", "127.0.0.1:0", "-timeout", timeout.String())
	addr := server.Ready()
	client, silent := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
	var last time.Time
	for begin := time.Now(); time.Since(begin) < timeout*3/2; {
		stay(t, client, timeout/6)
		last = time.Now()
		peer.Write(t, client, "!") // a byte is enough
		_, err := io.ReadFull(client, make([]byte, 1))
		assert.NilError(t, err)
	}
	server.Line(peer.Of(silent) + `timed out after 3s`)
	server.Line(peer.Of(client) + `timed out after 3s`)
	assert.Assert(t, time.Since(last) >= timeout)
	_, err := client.Read(make([]byte, 1))
	assert.Equal(t, err, io.EOF)
	server.Stop()
}

// Echoing to a client that does not read is no activity once nothing moves.
func TestTimeoutStuckWrite(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-addr", "127.0.0.1:0", "-timeout", "300ms")
	client := peer.DialTCP(t, h, server.Ready())
	go func() {
		for err := error(nil); err == nil; {
			_, err = client.Write(make([]byte, 1<<20))
		}
	}()
	server.Line(peer.Of(client) + `timed out after 300ms`)
	server.Stop()
}

// No timeout is no timeout, and no client's leaving is one.
func TestTimeoutNever(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-addr", "127.0.0.1:0", "-timeout", "0")
	addr := server.Ready()
	client := peer.DialTCP(t, h, addr)
	stay(t, client, 500*time.Millisecond)
	peer.TimeoutServer.Serves(t, server, client)
	peer.Reset(t, peer.DialTCP(t, h, addr))
	peer.TimeoutServer.Serves(t, server, peer.DialTCP(t, h, addr))
	const want = "timeout: .*connection reset by peer\n"
	server.Complaint(want)
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, want)
}

func TestTimeoutNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/timeout", "--timeout", "200ms")
		s.Ready()
		begin := time.Now()
		c, addr := peer.Waiting(client)
		s.Line(addr + " timed out after 200ms")
		assert.Assert(t, time.Since(begin) >= 200*time.Millisecond)
		c.Exit(0) // the server closed the connection
		s.Stop()
	})
}

// Left alone, Node's timer says once that nothing happens, and that is all: the
// connection stays, and what happens on it winds the timer up again. In Go the
// deadline makes Read fail, and the program closes.
func TestTimeoutNodeClosesNothing(t *testing.T) {
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		s := goes("tcp_server/timeout", "--timeout", "200ms")
		s.Ready()
		conn := peer.DialTCP(t, h, "127.0.0.1:8080")
		s.Line(`.* timed out after 200ms`)
		_, err := conn.Read(make([]byte, 1))
		assert.Error(t, err, "EOF")
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		s := node("testdata/timeout.js")
		s.Ready()
		first := peer.DialTCP(t, h, "127.0.0.1:8080")
		s.Line(first.LocalAddr().String() + " is idle")
		// Were the first idle a second time, it would say so before this one.
		second := peer.DialTCP(t, h, "127.0.0.1:8080")
		s.Line(second.LocalAddr().String() + " is idle")

		_, err := first.Write([]byte("hello"))
		assert.NilError(t, err)
		buf := make([]byte, 9)
		n, err := first.Read(buf)
		assert.NilError(t, err)
		assert.Equal(t, string(buf[:n]), "hello")
		s.Line(first.LocalAddr().String() + " is idle")
		s.Stop()
	})
}
