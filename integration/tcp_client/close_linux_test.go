package tcp_client

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// connectedWithData starts the section so that its connection has data from its
// peer waiting to be read before the program knows that it is connected: it is
// stopped while it connects, and goes on when the data is there.
func connectedWithData(t *testing.T, h *lab.Host, start harness.Starter, how string) (*harness.Program, *net.TCPConn) {
	t.Helper()
	p, ln, unblock := connecting(t, h, h, "127.0.0.1:0", start, "close", "--how", how)
	peer.Freeze(t, p)
	unblock()
	remote := peer.AcceptTCP(t, ln) // the SYN is sent again after a second
	peer.Write(t, remote, "unread")
	awaitProcTCP(t, h, "given data to read", func(s peer.TCPSocket) bool {
		return s.Local == peer.TCPPort(remote.RemoteAddr()) && s.Unread == len("unread")
	})
	p.Signal(syscall.SIGCONT)
	connectedFrom(p, ln.Addr())
	return p, remote
}

// Closing with unread data resets: the peer is told that its data was lost.
func TestCloseDestroyWithUnreadData(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := connectedWithData(t, h, start, "destroy")
		client.Line("destroyed")
		client.Exit(0)
		_, err := remote.Read(make([]byte, 1))
		assert.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

// With -how end the same data is read, and nothing is reset.
func TestCloseEndWithUnreadData(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := connectedWithData(t, h, start, "end")
		client.Line("ended: sent FIN, still reading")
		client.Line(`received 6 bytes: "unread"`)
		assert.Equal(t, readToFIN(t, remote), "")
		remote.Close()
		client.Line("closed")
		client.Exit(0)
	})
}

// What the kernel has taken and not yet sent is dropped with a reset, be it asked for
// or made by Close because data is unread: the peer gets what had reached it, and
// then an error. (After any other Close all arrives, unless the peer sends something:
// TestWriteCountsWhatTheKernelTook, TestWriteLostWithThePeerSpeaking.)
func TestCloseResetDropsWhatIsUnsent(t *testing.T) {
	t.Parallel()
	h := smallBuffers(t)
	for _, unread := range []string{"", "unread"} {
		ln := peer.ListenTCP(t, h, "127.0.0.1:0")
		conn := peer.DialTCP(t, h, ln.Addr().String())
		remote := peer.AcceptTCP(t, ln)
		peer.Write(t, remote, unread)
		wrote := make(chan int)
		go func() {
			n, _ := conn.Write(make([]byte, 1<<20))
			wrote <- n
		}()
		awaitShutWindow(t, h, peer.TCPPort(conn.LocalAddr()), peer.TCPPort(ln.Addr()))
		if unread == "" {
			assert.NilError(t, conn.SetLinger(0))
		}
		assert.NilError(t, conn.Close())
		n := <-wrote
		awaitGone(t, h, peer.TCPPort(conn.LocalAddr())) // before reading makes room for more
		got, err := io.ReadAll(remote)
		assert.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Assert(t, 0 < len(got) && len(got) < n, "%d of %d bytes", len(got), n)
	}
}

// Node's destroy drops what is queued in the process: the peer gets what the kernel
// had taken, which ends within the first piece of the queue or with it. Node 20 calls
// that piece back without an error, Node 24 does not.
func TestCloseNodeDropsItsQueue(t *testing.T) {
	t.Parallel()
	queued, bytesWritten, got, calledBack := nodeQueue(t, "destroy")
	taken := bytesWritten - queued
	assert.Assert(t, taken <= got && got <= taken+1000, "%d written, %d queued, %d arrived", bytesWritten, queued, got)
	if harness.NodeMajor(t) < 24 {
		taken += 1000
	}
	assert.Equal(t, calledBack, taken)
}

// A signal comes between connecting and the first step: the peer gets a FIN and
// nothing else, and no step is claimed.
func TestCloseSignalFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		section string
		args    []string
		last    string
	}{
		{"tcp_client/client", nil, "closed"},
		{"tcp_client/close", []string{"-how", "end"}, "closed"},
		{"tcp_client/close", []string{"-how", "destroy"}, "closed"},
		{"tcp_client/close", []string{"-how", "reset"}, "closed"},
	} {
		t.Run(strings.Join(append([]string{c.section}, c.args...), " "), func(t *testing.T) {
			t.Parallel()
			lab.Require(t, "namespaces", lab.Isolated())
			h := lab.NewHost(t, "h")
			ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
			p := peer.StartDeaf(t, h, c.section, 0, c.args...)
			p.AwaitLine()
			p.Signal(syscall.SIGTERM)
			peer.Until(t, "its socket is closed", func() bool { return p.Sockets() == 0 })
			got, err := io.ReadAll(peer.AcceptTCP(t, ln))
			assert.NilError(t, err)
			assert.Equal(t, string(got), "")
			lines := p.Hear()
			assert.Equal(t, len(lines), 2, "%q", lines)
			assert.Assert(t, strings.HasPrefix(lines[0], "connected to "), "%q", lines)
			assert.Equal(t, lines[1], c.last)
		})
	}
}

// destroy is FIN to the peer as end is, until the peer sends something.
func TestCloseDestroyWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	ln := peer.ListenTCP(t, server, peer.Here)
	program := harness.Start(t, client, "tcp_client/close", "-addr", peer.Here, "-how", "destroy")
	conn := peer.AcceptTCP(t, ln)
	program.Await("destroyed")
	program.Exit(0)
	io.Copy(io.Discard, conn)
	fmt.Fprint(conn, "hello")
	peer.Drawn(t, "close_destroy", c.Await("RST", peer.Seen(wire.RST, 1)))
}

// end is FIN, and what still comes is read.
func TestCloseEndWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	ln := peer.ListenTCP(t, server, peer.Here)
	program := harness.Start(t, client, "tcp_client/close", "-addr", peer.Here, "-how", "end")
	conn := peer.AcceptTCP(t, ln)
	io.Copy(io.Discard, conn)
	fmt.Fprint(conn, "hello")
	conn.Close()
	program.Await("closed")
	program.Exit(0)
	peer.Drawn(t, "close_end", wire.Merge(c.Await("both FINs", peer.Seen(wire.FIN, 2))))
}
