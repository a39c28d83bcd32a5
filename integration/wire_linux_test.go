package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/wire"
)

// What crosses the wire, as the pages draw it. The flag -update rewrites the
// diagrams in testdata.

// cabled is a client at 10.0.0.2 and a server at 10.0.0.1, and all that crosses
// the cable between them.
func cabled(t *testing.T) (client, server *lab.Host, c *wire.Capture) {
	t.Helper()
	client, server = lab.NewHost(t, "client"), lab.NewHost(t, "server")
	lab.Link(t, server, "10.0.0.1/24", client, "10.0.0.2/24")
	return client, server, wire.Start(t, client, "eth0")
}

// here is where the programs of these tests listen.
const here = "10.0.0.1:8080"

// serving starts a section of tcp_server or udp_server there.
func serving(t *testing.T, on *lab.Host, section string, args ...string) *harness.Program {
	t.Helper()
	p := harness.Start(t, on, section, append([]string{"-addr", here}, args...)...)
	p.Line(`listening on ` + here + `.*`)
	return p
}

// drawn compares events with testdata/NAME.mmd. The server is the last party;
// the others are one client unless the test tells several apart.
func drawn(t *testing.T, name string, events []wire.Event, clients ...wire.Party) {
	t.Helper()
	if clients == nil {
		clients = []wire.Party{{Name: "client", Addr: "10.0.0.2"}}
	}
	golden.Assert(t, wire.Diagram(events, append(clients, wire.Party{Name: "server", Addr: "10.0.0.1"})...), name+".mmd")
}

// party is one of several connections of the client's.
func party(name string, conn net.Conn) wire.Party {
	return wire.Party{Name: name, Addr: conn.LocalAddr().String()}
}

// seen tells whether that many events of a kind have crossed.
func seen(kind wire.Kind, n int) func([]wire.Event) bool {
	return func(events []wire.Event) bool { return len(wire.Only(events, kind)) >= n }
}

func endOf(conn net.Conn) netip.AddrPort { return netip.MustParseAddrPort(conn.LocalAddr().String()) }

// An echo, then FIN from both.
func TestTCPServerServerWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "tcp_server/server")
	conn := dialTCP(t, client, here)
	fmt.Fprint(conn, "hello")
	_, err := io.ReadFull(conn, make([]byte, 5))
	assert.NilError(t, err)
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	drawn(t, "tcp_server/server", c.Await("both FINs", seen(wire.FIN, 2)))
	p.Stop()
}

// With the queue full no answer comes, and the client's system asks again.
func TestTCPServerListenWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := harness.Start(t, server, "tcp_server/listen", "-addr", here, "-backlog", "1")
	p.Line(`listening on ` + here + ` with a backlog of 1`)
	first, second := dialTCP(t, client, here), dialTCP(t, client, here)
	c.Await("two handshakes", seen(wire.ACK, 2))
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		client.Do(func() {
			_, err := new(net.Dialer).DialContext(ctx, "tcp", here)
			go func() { failed <- err }()
		})
	}()
	events := c.Await("the second try", seen(wire.SYNAgain, 1))
	drawn(t, "tcp_server/listen", events, party("first", first), party("second", second),
		wire.Party{Name: "third", Addr: "10.0.0.2"})
	cancel()
	assert.ErrorContains(t, <-failed, "canceled")
	p.Stop()
}

// A newcomer over the limit is connected, and gets FIN at once.
func TestTCPServerConnectionsWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "tcp_server/connections", "-max", "1")
	dialTCP(t, client, here)
	p.Line(`.* connected, 1 open`)
	newcomer := dialTCP(t, client, here)
	io.Copy(io.Discard, newcomer)
	newcomer.Close()
	p.Line(`.* dropped, 1 open`)
	drawn(t, "tcp_server/connections", wire.Of(c.Await("both FINs", seen(wire.FIN, 2)), endOf(newcomer)))
	p.Stop()
}

// Who comes after close is refused, and who is connected is served.
func TestTCPServerCloseWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "tcp_server/close")
	old := dialTCP(t, client, here)
	c.Await("the handshake", seen(wire.ACK, 1))
	fmt.Fprint(old, "before")
	_, err := io.ReadFull(old, make([]byte, 6))
	assert.NilError(t, err)
	p.Signal(syscall.SIGTERM)
	p.Await(`no longer listening, 1 open`)
	client.Do(func() { _, err = net.Dial("tcp", here) })
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	fmt.Fprint(old, "after")
	_, err = io.ReadFull(old, make([]byte, 5))
	assert.NilError(t, err)
	old.CloseWrite()
	io.Copy(io.Discard, old)
	p.Await("closed")
	p.Exit(0)
	drawn(t, "tcp_server/close", c.Await("both FINs", seen(wire.FIN, 2)),
		wire.Party{Name: "newcomer", Addr: "10.0.0.2"}, party("client", old))
}

// The client's FIN, then the server's data: the other way is still open.
func TestTCPServerHalfOpenWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "tcp_server/half_open")
	peer := harness.Start(t, client, "tcp_client/client", "-addr", here)
	peer.Await("closed")
	peer.Exit(0)
	drawn(t, "tcp_server/half_open", wire.Merge(c.Await("both FINs", seen(wire.FIN, 2))))
	p.Stop()
}

// What Node does by default: FIN answers FIN.
func TestTCPServerHalfOpenDefaultWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "tcp_server/half_open", "-allow=false")
	peer := harness.Start(t, client, "tcp_client/client", "-addr", here)
	peer.Await("closed")
	peer.Exit(0)
	drawn(t, "tcp_server/half_open_default", wire.Merge(c.Await("both FINs", seen(wire.FIN, 2))))
	p.Stop()
}

// Two writes are two segments, whatever the reader makes of them.
func TestTCPServerReadWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "tcp_server/read")
	conn := dialTCP(t, client, here)
	fmt.Fprint(conn, "hello, ")
	fmt.Fprint(conn, "world")
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	drawn(t, "tcp_server/read", c.Await("both FINs", seen(wire.FIN, 2)))
	p.Stop()
}

// A reset is one segment, and nothing answers it.
func TestTCPServerCloseEventWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "tcp_server/close_event")
	peer := harness.Start(t, client, "tcp_client/close", "-addr", here, "-how", "reset")
	peer.Await("reset: sent RST")
	peer.Exit(0)
	p.Await(`.* closed with error: .*`)
	drawn(t, "tcp_server/close_event", c.Await("RST", seen(wire.RST, 1)))
	p.Stop()
}

// While the reader pauses its window closes, the sender probes it, and goes on
// when it opens.
func TestTCPServerPauseResumeWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "tcp_server/pause_resume", "-pause", "4s") // time to fill the window and to probe, however busy the machine
	conn := dialTCP(t, client, here)
	const size = 1 << 20 // more than the window ever grows to unread
	_, err := conn.Write(make([]byte, size))
	assert.NilError(t, err)
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	p.Await(fmt.Sprintf(`.* ended after %d bytes`, size))

	// How much fits, how often it is probed, and whether it closes again are left
	// to the moment.
	var story []wire.Event
	probed, opened := 0, 0
	for _, e := range wire.Uncounted(wire.Merge(c.Await("both FINs", seen(wire.FIN, 2)))) {
		switch e.Kind {
		case wire.Probe, wire.ACK:
			if e.Kind == wire.Probe {
				probed++
			}
			if probed > 1 || opened > 0 {
				continue
			}
		case wire.Closed, wire.Open:
			if opened > 0 {
				continue
			}
			if e.Kind == wire.Open {
				opened++
			}
		}
		story = append(story, e)
	}
	assert.Assert(t, probed > 0 && opened > 0)
	drawn(t, "tcp_server/pause_resume", wire.Uncounted(story))
	p.Stop()
}

// After the silence FIN comes from the server.
func TestTCPServerTimeoutWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "tcp_server/timeout", "-timeout", "200ms")
	conn := dialTCP(t, client, here)
	io.Copy(io.Discard, conn)
	conn.Close()
	p.Await(`.* timed out after 200ms`)
	drawn(t, "tcp_server/timeout", c.Await("both FINs", seen(wire.FIN, 2)))
	p.Stop()
}

// A write of 4000 bytes is three segments: the link takes 1500 bytes at a time,
// 52 of them headers.
func TestTCPClientWriteWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "tcp_server/read")
	peer := harness.Start(t, client, "tcp_client/write", "-addr", here, "-bytes", "8000", "-chunk", "4000")
	peer.Await("closed")
	peer.Exit(0)
	drawn(t, "tcp_client/write", c.Await("both FINs", seen(wire.FIN, 2)))
	p.Stop()
}

// destroy is FIN to the peer as end is, until the peer sends something.
func TestTCPClientCloseDestroyWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	ln := listenTCP(t, server, here)
	peer := harness.Start(t, client, "tcp_client/close", "-addr", here, "-how", "destroy")
	conn := acceptTCP(t, ln)
	peer.Await("destroyed")
	peer.Exit(0)
	io.Copy(io.Discard, conn)
	fmt.Fprint(conn, "hello")
	drawn(t, "tcp_client/close_destroy", c.Await("RST", seen(wire.RST, 1)))
}

// end is FIN, and what still comes is read.
func TestTCPClientCloseEndWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	ln := listenTCP(t, server, here)
	peer := harness.Start(t, client, "tcp_client/close", "-addr", here, "-how", "end")
	conn := acceptTCP(t, ln)
	io.Copy(io.Discard, conn)
	fmt.Fprint(conn, "hello")
	conn.Close()
	peer.Await("closed")
	peer.Exit(0)
	drawn(t, "tcp_client/close_end", wire.Merge(c.Await("both FINs", seen(wire.FIN, 2))))
}

// A peer that answers keeps the connection; from one whose cable is pulled the
// probes come to nothing, one an interval, and the kernel gives up.
func TestTCPClientKeepaliveWire(t *testing.T) {
	t.Parallel()
	client, server := lab.NewHost(t, "client"), lab.NewHost(t, "server")
	segment := lab.NewSegment(t, "segment") // so that the client's own link stays up
	segment.Join(t, server, "10.0.0.1/24")
	segment.Join(t, client, "10.0.0.2/24")
	c := wire.Start(t, client, "eth0")
	ln := listenTCP(t, server, here)
	peer := harness.Start(t, client, "tcp_client/keepalive", "-addr", here, "-idle", "1s", "-interval", "1s", "-count", "2")
	acceptTCP(t, ln)
	peer.Await(`keep-alive on: .*`)
	c.Await("an answered probe", seen(wire.ACK, 2))
	server.Unplug(t, "eth0")
	peer.Await(`closed with error: .*`)
	events := c.Await("RST", seen(wire.RST, 1))

	var story, probes []wire.Event
	for _, e := range events {
		if e.Kind == wire.Probe {
			probes = append(probes, e)
		}
		// Were the cable pulled late, a second probe was answered too.
		if n := len(story); e.Kind == wire.ACK && n > 2 && story[n-3].Kind == wire.Probe {
			story = story[:n-1]
			continue
		}
		story = append(story, e)
	}
	for i, e := range probes[1:] {
		assert.Assert(t, e.Time.Sub(probes[i].Time) > 900*time.Millisecond, "%v", probes)
	}
	drawn(t, "tcp_client/keepalive", story)
	peer.Exit(0)
}

func TestUDPClientClientWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "udp_server/server")
	peer := harness.Start(t, client, "udp_client/client", "-addr", here)
	peer.Await(`received .*`)
	peer.Exit(0)
	drawn(t, "udp_client/client", c.Await("the reply", seen(wire.UDP, 2)))
	p.Stop()
}

// Nobody is there: the answer is not UDP's.
func TestUDPClientClientRefusedWire(t *testing.T) {
	t.Parallel()
	client, _, c := cabled(t)
	peer := harness.Start(t, client, "udp_client/client", "-addr", here)
	peer.Await(`sent .*`)
	peer.ExitSaying(1, `client: .* connection refused\n`)
	drawn(t, "udp_client/client_refused", c.Await("ICMP", seen(wire.ICMP, 1)))
}

// A datagram larger than the link's 1500 bytes crosses in fragments, 1480 bytes
// in each after IP's header, and arrives whole.
func TestUDPServerServerFragmentsWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := serving(t, server, "udp_server/server")
	peer := harness.Start(t, client, "udp_client/client", "-addr", here, "-message", strings.Repeat("x", 4000))
	peer.Await(`received 4000 bytes .*`)
	peer.Exit(0)
	drawn(t, "udp_server/fragments", c.Await("six fragments", seen(wire.Fragment, 6)))
	p.Stop()
}

func TestBroadcastServerWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := harness.Start(t, client, "broadcast/client")
	p.Ready()
	sender := harness.Start(t, server, "broadcast/server", "-addr", "10.0.0.255:8080", "-count", "2", "-interval", "1ms")
	p.Line(`.*`)
	p.Line(`.*`)
	drawn(t, "broadcast/server", c.Await("two datagrams", seen(wire.UDP, 2)))
	sender.Await(`sent .*`)
	sender.Await(`sent .*`)
	sender.Exit(0)
	p.Stop()
}

// A member reports that it joins and that it leaves; what is sent afterwards
// still crosses this cable, where nobody listens to reports.
func TestMulticastMembershipWire(t *testing.T) {
	t.Parallel()
	client, server, c := cabled(t)
	p := harness.Start(t, client, "multicast/membership", "-interface", "eth0", "-leave-after", "4s")
	p.Await(`joined .*`)
	c.Await("the join", seen(wire.IGMPJoin, 1))
	marker(t, server, "-interface", "eth0")
	p.Line(`.* TTL 128: ".*"`)
	p.Line(`left .*`)
	c.Await("the leave", seen(wire.IGMPLeave, 1))
	marker(t, server, "-interface", "eth0")
	golden.Assert(t, wire.Diagram(c.Await("both datagrams", seen(wire.UDP, 2)),
		wire.Party{Name: "membership", Addr: "10.0.0.2"}, wire.Party{Name: "server", Addr: "10.0.0.1"}), "multicast/membership.mmd")
	p.Stop()
}

// A router takes one from the TTL, and forwards what then is left.
func TestMulticastTTLWire(t *testing.T) {
	t.Parallel()
	left, router, right := routed(t)
	smcroute := routeMulticast(t, router, "230.185.192.108")
	near, far := wire.Start(t, left, "eth0"), wire.Start(t, right, "eth0")
	sender := harness.Start(t, left, "multicast/ttl", "-interface", "eth0", "-ttl", "1,2,128")
	sender.Await(`sent TTL 128`)
	sender.Exit(0)
	sent := wire.Only(near.Await("three datagrams", seen(wire.UDP, 3)), wire.UDP)
	crossed := wire.Only(far.Await("two datagrams", seen(wire.UDP, 2)), wire.UDP)
	assert.Equal(t, len(crossed), 2)

	var steps []wire.Step
	for _, e := range sent {
		steps = append(steps, wire.Step{From: "sender", To: "router", Label: e.Label()})
		for _, f := range crossed {
			if f.TTL == e.TTL-1 {
				steps = append(steps, wire.Step{From: "router", To: "member", Label: f.Label()})
			}
		}
	}
	golden.Assert(t, wire.Draw(steps, "sender", "router", "member"), "multicast/ttl.mmd")
	stopRouter(smcroute)
}
