package tcp_server

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

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
