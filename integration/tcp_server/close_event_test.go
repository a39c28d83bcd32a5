package tcp_server

import (
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// A FIN and a reset, as the page shows them.
func TestCloseEventTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/close_event")
	addr := server.Ready()
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to \S+ from (\S+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`closed`)
	client.Exit(0)
	server.Line(from + ` closed`)
	rude := peer.DialTCP(t, h, addr)
	peer.Reset(t, rude)
	server.Line(peer.Of(rude) + `closed with error: connection reset by peer`)
	server.Stop()
	harness.Transcript(t, "close_event.txt", server, client)
}

// However much came before it, a FIN is a good end and a reset is not; the one
// says nothing of the other connections.
func TestCloseEventAfterData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/close_event", "-addr", "127.0.0.1:0")
	addr := server.Ready()
	other := peer.DialTCP(t, h, addr)
	for _, n := range []int{0, 1, 1 << 20} {
		client := peer.DialTCP(t, h, addr)
		_, err := client.Write(peer.Noise(n))
		assert.NilError(t, err)
		assert.NilError(t, client.Close())
		server.Line(peer.Of(client) + `closed`)

		client = peer.DialTCP(t, h, addr)
		_, err = client.Write(peer.Noise(n))
		assert.NilError(t, err)
		peer.Reset(t, client)
		server.Line(peer.Of(client) + `closed with error: connection reset by peer`)
	}
	peer.CloseEventServer.Serves(t, server, other)
	server.Stop()
}

func TestCloseEventNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/close_event")
		s.Ready()
		for _, c := range []struct{ how, client, server string }{
			{"end", "ended: sent FIN, still reading", "closed"},
			{"destroy", "destroyed", "closed"},
			{"reset", "reset: sent RST", `closed with error: (connection reset by peer|read ECONNRESET)`},
		} {
			p := client("tcp_client/close", "--how", c.how)
			addr := peer.Connected(p)
			p.Line(c.client)
			if c.how == "end" {
				p.Line("closed")
			}
			p.Exit(0)
			if c.how == "reset" { // of a client gone before it was accepted, Node knows no address
				addr = "(?:" + addr + "|undefined:undefined)"
			}
			s.Line(addr + " " + c.server)
		}
		p, addr := peer.Hello(client) // unread data would hide the end
		s.Line(addr + " closed")
		p.Line("closed")
		p.Exit(0)
		s.Stop()
	})
}
