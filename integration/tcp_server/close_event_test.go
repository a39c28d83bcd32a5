package tcp_server

import (
	"net"
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
	server.Line(gone(rude) + `closed with error: .+`)
	server.Stop()
	harness.Transcript(t, "close_event.txt", server, client)
}

// gone begins a line on a client that may have gone before it was accepted: Node knows
// no address of it then.
func gone(client net.Conn) string { return `(?:` + peer.Of(client) + `|undefined:undefined )` }

// However much came before it, a FIN is a good end. A reset is an error, and costs
// its own connection only.
func TestCloseEventFINAndReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/close_event", "--addr", "127.0.0.1:0")
		addr := server.Ready()
		other := peer.DialTCP(t, h, addr)
		for _, n := range []int{0, 1, 1 << 20} {
			client := peer.DialTCP(t, h, addr)
			peer.Write(t, client, peer.Noise(n))
			assert.NilError(t, client.Close())
			server.Line(peer.Of(client) + `closed`)
		}
		rude := peer.DialTCP(t, h, addr)
		peer.Reset(t, rude)
		server.Line(gone(rude) + `closed with error: .+`)
		peer.CloseEventServer.Serves(t, server, other)
		server.Stop()
	})
}
