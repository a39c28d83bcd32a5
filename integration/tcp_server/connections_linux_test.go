package tcp_server

import (
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// A dropped client whose data has come by then gets RST: nobody has read it.
func TestConnectionsDropUnread(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/connections", "--addr", "127.0.0.1:0", "--max", "1")
		addr := server.Ready()
		first := peer.DialTCP(t, h, addr)
		server.Line(peer.Of(first) + "connected, 1 open")
		peer.Freeze(t, server)
		second := peer.DialTCP(t, h, addr)
		arrive(t, h, second, "hello")
		server.Signal(syscall.SIGCONT)
		server.Line(peer.Of(second) + "dropped, 1 open")
		_, err := second.Read(make([]byte, 1))
		assert.ErrorIs(t, err, syscall.ECONNRESET)
		server.Stop()
	})
}

func endOf(conn net.Conn) netip.AddrPort { return netip.MustParseAddrPort(conn.LocalAddr().String()) }

// A newcomer over the limit is connected, and gets FIN at once.
func TestConnectionsWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/connections", "-max", "1")
	peer.DialTCP(t, client, peer.Here)
	p.Line(`.* connected, 1 open`)
	newcomer := peer.DialTCP(t, client, peer.Here)
	io.Copy(io.Discard, newcomer)
	newcomer.Close()
	p.Line(`.* dropped, 1 open`)
	peer.Drawn(t, "connections", wire.Of(c.Await("both FINs", peer.Seen(wire.FIN, 2)), endOf(newcomer)))
	p.Stop()
}
