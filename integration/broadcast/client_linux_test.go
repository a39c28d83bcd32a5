package broadcast

import (
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// Three clients on one machine and two on another each hear each datagram,
// once: the directed broadcast of a network.
func TestClientsAllHear(t *testing.T) {
	t.Parallel()
	segment := lab.NewSegment(t, "segment")
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	segment.Join(t, a, "10.0.0.1/24")
	segment.Join(t, b, "10.0.0.2/24")
	clients := []*harness.Program{listening(t, a), listening(t, a), listening(t, a), listening(t, b), listening(t, b)}
	for range 3 { // a second copy of one would not be the line of the next
		data, port := broadcastOnce(t, a, "10.0.0.255:8080")
		for _, client := range clients {
			client.Line(`10\.0\.0\.1:` + port + `: ` + data)
		}
	}
	for _, client := range clients {
		client.Stop()
	}
}

// Bound to one of the machine's own addresses, a socket hears no broadcast;
// bound to the broadcast address it hears nothing else.
func TestClientBoundToAnAddress(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	all, own, broad := listening(t, b), listening(t, b, "-addr", "10.0.0.2:8080"), listening(t, b, "-addr", "10.0.0.255:8080")
	data, port := broadcastOnce(t, a, "10.0.0.255:8080")
	line := `10\.0\.0\.1:` + port + `: ` + data
	all.Line(line)
	broad.Line(line)
	data, port = broadcastOnce(t, a, "10.0.0.2:8080")
	own.Line(`10\.0\.0\.1:` + port + `: ` + data) // and not the one before
	data, port = broadcastOnce(t, a, "10.0.0.255:8080")
	broad.Line(`10\.0\.0\.1:` + port + `: ` + data) // and not the one before
	for _, p := range []*harness.Program{all, own, broad} {
		p.Stop()
	}
}
