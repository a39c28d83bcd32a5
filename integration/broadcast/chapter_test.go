package broadcast

import (
	"os"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// broadcasting waits for the server's first line and returns from where it sends.
func broadcasting(p *harness.Program, to string) (port string) {
	return p.Line(`sending to \Q` + to + `\E from 0\.0\.0\.0:(\d+)`)[0]
}

// sentLine is what the server says of each datagram.
const sentLine = `sent 19 bytes: ("` + peer.Clock + `")`

// listening starts a client on every address of a host.
func listening(t *testing.T, on *lab.Host) *harness.Program {
	t.Helper()
	p := harness.Start(t, on, "broadcast/client", "-addr", "0.0.0.0:8080")
	p.Ready()
	return p
}

// broadcastOnce has the server send one datagram, and returns its data as a client
// shows it.
func broadcastOnce(t *testing.T, start harness.Starter, to string) (data, port string) {
	t.Helper()
	p := start("broadcast/server", "--addr", to, "--count", "1")
	port = broadcasting(p, to)
	data = p.Line(sentLine)[0]
	p.Exit(0)
	return data, port
}
