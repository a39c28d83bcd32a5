package udp_client

import (
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

func TestClientWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "udp_server/server")
	program := harness.Start(t, client, "udp_client/client", "-addr", peer.Here)
	program.Await(`received .*`)
	program.Exit(0)
	peer.Drawn(t, "client", c.Await("the reply", peer.Seen(wire.UDP, 2)))
	p.Stop()
}

// Nobody is there: the answer is not UDP's.
func TestClientRefusedWire(t *testing.T) {
	t.Parallel()
	client, _, c := peer.Cabled(t)
	program := harness.Start(t, client, "udp_client/client", "-addr", peer.Here)
	program.Await(`sent .*`)
	program.ExitSaying(1, `client: .* connection refused\n`)
	peer.Drawn(t, "client_refused", c.Await("ICMP", peer.Seen(wire.ICMP, 1)))
}
