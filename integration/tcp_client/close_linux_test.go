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

// connectedWithData starts a section whose connection has data from its peer
// waiting to be read before the program knows that it is connected: it is
// stopped while it connects, and goes on when the data is there.
func connectedWithData(t *testing.T, on *lab.Host, data, section string, args ...string) (*harness.Program, *net.TCPConn) {
	t.Helper()
	p, ln, unblock := connectingBy(t, on, section, args...)
	peer.Freeze(t, p)
	unblock()
	remote := peer.AcceptTCP(t, ln) // the SYN is sent again after a second
	peer.Write(t, remote, data)
	awaitProcTCP(t, on, "given data to read", func(s peer.TCPSocket) bool {
		return s.Local == peer.TCPPort(remote.RemoteAddr()) && s.Unread == len(data)
	})
	p.Signal(syscall.SIGCONT)
	connectedFrom(p, ln.Addr())
	return p, remote
}

// Closing with unread data resets: the peer is told that its data was lost.
func TestCloseDestroyWithUnreadData(t *testing.T) {
	t.Parallel()
	client, remote := connectedWithData(t, lab.NewHost(t, "h"), "unread", "close", "-how", "destroy")
	client.Line("destroyed")
	client.Exit(0)
	_, err := remote.Read(make([]byte, 1))
	assert.ErrorIs(t, err, syscall.ECONNRESET)
}

// With -how end the same data is read, and nothing is reset.
func TestCloseEndWithUnreadData(t *testing.T) {
	t.Parallel()
	client, remote := connectedWithData(t, lab.NewHost(t, "h"), "unread", "close", "-how", "end")
	client.Line("ended: sent FIN, still reading")
	client.Line(`received 6 bytes: "unread"`)
	assert.Equal(t, readToFIN(t, remote), "")
	remote.Close()
	client.Line("closed")
	client.Exit(0)
}

// A signal comes between connecting and the first step. Whatever the client says
// of a step, it has taken: the peer gets a FIN and nothing else.
func TestCloseSignalFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		section string
		args    []string
		last    string
	}{
		{"tcp_client/client", nil, "closed"},
		{"tcp_client/close", []string{"-how", "end"}, "closed"},
		{"tcp_client/close", []string{"-how", "destroy"}, "destroyed"},
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
