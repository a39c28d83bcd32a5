package peer

import (
	"sync/atomic"
	"syscall"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/wire"
)

// Routed is two segments, left and right, with a host on each and a router
// between them, eth0 to the left and eth1 to the right.
func Routed(t *testing.T) (left, router, right *lab.Host) {
	t.Helper()
	left, router, right = lab.NewHost(t, "left"), lab.NewHost(t, "router"), lab.NewHost(t, "right")
	lab.Link(t, router, "10.0.1.1/24", left, "10.0.1.2/24")
	lab.Link(t, router, "10.0.2.1/24", right, "10.0.2.2/24")
	left.Route(t, "10.0.2.0/24", "10.0.1.1")
	right.Route(t, "10.0.1.0/24", "10.0.2.1")
	router.Forward(t)
	return left, router, right
}

// Cabled is a client at 10.0.0.2 and a server at 10.0.0.1, and all that crosses
// the cable between them.
func Cabled(t *testing.T) (client, server *lab.Host, c *wire.Capture) {
	t.Helper()
	client, server = lab.NewHost(t, "client"), lab.NewHost(t, "server")
	lab.Link(t, server, "10.0.0.1/24", client, "10.0.0.2/24")
	return client, server, wire.Start(t, client, "eth0")
}

// Here is where programs listen at the server's end of Cabled's cable.
const Here = "10.0.0.1:8080"

// Serving starts a section of tcp_server or udp_server that listens at Here.
func Serving(t *testing.T, on *lab.Host, section string, args ...string) *harness.Program {
	t.Helper()
	p := harness.Start(t, on, section, append([]string{"-addr", Here}, args...)...)
	p.Line(`listening on ` + Here + `.*`)
	return p
}

// Drawn compares events with testdata/NAME.mmd. The server is the last party;
// the others are one client unless the test tells several apart.
func Drawn(t *testing.T, name string, events []wire.Event, clients ...wire.Party) {
	t.Helper()
	if clients == nil {
		clients = []wire.Party{{Name: "client", Addr: "10.0.0.2"}}
	}
	harness.Drawn(t, name, wire.Diagram(events, append(clients, wire.Party{Name: "server", Addr: "10.0.0.1"})...))
}

// Seen tells whether that many events of a kind have crossed.
func Seen(kind wire.Kind, n int) func([]wire.Event) bool {
	return func(events []wire.Event) bool { return len(wire.Only(events, kind)) >= n }
}

// StopsLookingUp has a section's program in Node look a name up, and tells it to end
// meanwhile: it does, as ever, though it is told then that there is no such name.
func StopsLookingUp(t *testing.T, section string, args ...string) {
	t.Helper()
	harness.Ours(t, "when a program looks a name up is its own affair")
	h := lab.NewHost(t, "h")
	var asked atomic.Bool
	told := make(chan struct{})
	NameServer(t, h, "127.0.0.1:53", nil, func(string) { asked.Store(true); <-told })
	Asks(t, h, "127.0.0.1")
	p := harness.Node(t, h)(section, args...)
	Until(t, "it looks the name up", asked.Load)
	p.Signal(syscall.SIGTERM)
	p.Await("closed")
	close(told)
	p.Exit(0)
}
