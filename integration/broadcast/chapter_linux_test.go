package broadcast

import (
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// listening starts broadcast/client on a host, on every address.
func listening(t *testing.T, on *lab.Host, args ...string) *harness.Program {
	t.Helper()
	p := harness.Start(t, on, "broadcast/client", args...)
	p.Ready()
	return p
}

// broadcastOnce has the server send one datagram, and returns its line at a client.
func broadcastOnce(t *testing.T, on *lab.Host, to string) (data, port string) {
	t.Helper()
	p := harness.Start(t, on, "broadcast/server", "-addr", to, "-count", "1")
	port = broadcasting(p, to)
	data = p.Line(`sent 19 bytes: ("` + peer.Clock + `")`)[0]
	p.Exit(0)
	return data, port
}
