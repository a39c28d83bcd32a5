package tcp_server

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// While the reply is under way one half of the connection is closed, and the
// kernel says so: the client has sent its FIN and had it acknowledged, the
// server has not sent one.
func TestHalfOpenStates(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	data := peer.Noise(peer.Overfill(t, h))
	server, addr := tcpServer(t, h, "half_open")
	conn := peer.DialTCP(t, h, addr)
	peer.Write(t, conn, data)
	assert.NilError(t, conn.CloseWrite())
	server.Line(clientAddr(conn) + fmt.Sprintf(" ended after %d bytes", len(data)))

	client, served := peer.TCPPort(conn.LocalAddr()), peer.TCPPort(conn.RemoteAddr())
	peer.Until(t, "one half is closed", func() bool {
		states := map[[2]int]int{}
		for _, s := range peer.TCPSockets(t, h) {
			states[[2]int{s.Local, s.Remote}] = s.State
		}
		return states[[2]int{client, served}] == tcpFinWait2 && states[[2]int{served, client}] == tcpCloseWait
	})
	got, err := io.ReadAll(conn)
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(got, data))
	server.Line(clientAddr(conn) + fmt.Sprintf(" replied %d bytes", len(data)))
	server.Line(clientAddr(conn) + " closed")
	server.Stop()
}

// When data and a reset arrive together, Node before 24.16 emits 'end' as for a FIN;
// Go reads the data and then gets the error, and so does Node 24.16.
func TestHalfOpenResetAfterData(t *testing.T) {
	resets := func(t *testing.T, h *lab.Host, start harness.Starter) (server *harness.Program, conn *net.TCPConn) {
		server, addr := halfOpen(start)
		conn, last := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
		peer.Finish(t, last)
		ended(t, server, last, 0) // and so conn has been accepted
		peer.Freeze(t, server)
		peer.Write(t, conn, "hello")
		peer.Reset(t, conn)
		peer.Until(t, "the reset has come", func() bool { return unreadOf(t, h, conn.LocalAddr().String()) == 0 })
		server.Signal(syscall.SIGCONT)
		return server, conn
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, conn := resets(t, h, start)
		server.Line(clientAddr(conn) + " closed")
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, `half_open: read .*: connection reset by peer\n`)
	}, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, conn := resets(t, h, start)
		call := "read"
		if !harness.NodeTellsResets(t) {
			server.Line(clientAddr(conn) + " ended after 5 bytes")
			call = "write"
		}
		server.Line(clientAddr(conn) + " closed")
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, `half_open: `+call+` (ECONNRESET|EPIPE)\n`)
	})
}

// The client's FIN, then the server's data: the other way is still open.
func TestHalfOpenWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/half_open")
	harness.Hint(t, "a reply before the client's FIN, or none after it")
	program := harness.Start(t, client, "tcp_client/client", "-addr", peer.Here)
	program.Await("closed")
	program.Exit(0)
	peer.Drawn(t, "half_open", wire.Merge(c.Await("both FINs", peer.Seen(wire.FIN, 2))))
	p.Stop()
}

// What Node does by default: FIN answers FIN.
func TestHalfOpenDefaultWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/half_open", "-allow=false")
	program := harness.Start(t, client, "tcp_client/client", "-addr", peer.Here)
	program.Await("closed")
	program.Exit(0)
	peer.Drawn(t, "half_open_default", wire.Merge(c.Await("both FINs", peer.Seen(wire.FIN, 2))))
	p.Stop()
}
