package broadcast

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// The limited broadcast needs a route, whose interface it takes; without one the
// first send fails, and that is an error.
func TestServerLimited(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		p := start("broadcast/server", "--addr", "255.255.255.255:8080")
		broadcasting(p, "255.255.255.255:8080")
		p.ExitSaying(1, `server: .*(network is unreachable|ENETUNREACH).*\n`)
		b := lab.NewHost(t, "b")
		lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
		a.Route(t, "0.0.0.0/0", "10.0.0.2")
		client := listening(t, b)
		if peer.InOurNode(t) { // TestServerFromChoosesTheInterface has one that succeeds
			start = harness.Go(t, a)
		}
		data, port := broadcastOnce(t, start, "255.255.255.255:8080")
		client.Line(`10\.0\.0\.1:` + port + `: ` + data)
		client.Stop()
	})
}

// A sender that is bound to an address of the machine needs no route: the limited
// broadcast leaves by that address's interface, and by no other.
func TestServerFromChoosesTheInterface(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		b, c := lab.NewHost(t, "b"), lab.NewHost(t, "c")
		lab.Link(t, a, "10.0.1.1/24", b, "10.0.1.2/24")
		lab.Link(t, a, "10.0.2.1/24", c, "10.0.2.2/24")
		left, right := listening(t, b), listening(t, c)
		for n, hop := range []struct {
			from string
			to   *harness.Program
		}{{"10.0.1.1", left}, {"10.0.2.1", right}, {"10.0.1.1", left}, {"10.0.2.1", right}} {
			if n == 2 { // the first two have been sent: these show that each came to one only
				start = harness.Go(t, a)
			}
			s := start("broadcast/server", "--addr", "255.255.255.255:8080", "--from", hop.from+":4000", "--count", "1")
			s.Line(`sending to 255\.255\.255\.255:8080 from ` + hop.from + `:4000`)
			hop.to.Line(hop.from + `:4000: ` + s.Line(sentLine)[0]) // and not the one before
			s.Exit(0)
		}
		left.Stop()
		right.Stop()
	})
}

// While the interface is down the server says so at each datagram, and once it is up
// again the client receives the next.
func TestServerOutlivesItsNetwork(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		b := lab.NewHost(t, "b")
		lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
		client := listening(t, b)
		server := start("broadcast/server", "--addr", "10.0.0.255:8080", "--interval", "20ms")
		client.Line(`10\.0\.0\.1:.*`)
		a.Unplug(t, "eth0")
		const missed = `(server: .*(network is unreachable|ENETUNREACH).*\n)`
		server.Complaint(missed + `{3,}`)
		before := len(client.Lines())
		a.Plug(t, "eth0")
		for len(client.Lines()) == before {
			client.Line(`10\.0\.0\.1:.*`)
		}
		server.Signal(syscall.SIGTERM)
		server.Await("closed")
		server.ExitSaying(0, missed+"+")
		client.Stop()
	})
}

// Where a default route leads elsewhere while the interface is down, the datagram goes to
// that router, as plain unicast, and without an error.
func TestServerByAnotherRoute(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		router := lab.NewHost(t, "router")
		lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "b"), "10.0.0.2/24")
		lab.Link(t, a, "10.0.1.1/24", router, "10.0.1.2/24 10.0.0.255/32") // so that it does not pass it on
		peer.SetSysctl(t, router, "net/ipv4/conf/all/drop_unicast_in_l2_multicast", "1")
		a.Route(t, "0.0.0.0/0", "10.0.1.2")
		a.Unplug(t, "eth0")
		client := listening(t, router)
		data, port := broadcastOnce(t, start, "10.0.0.255:8080")
		client.Line(`10\.0\.1\.1:` + port + `: ` + data)
		client.Stop()
	})
}

// With no more than the cable pulled the interface stays up, and so does its route:
// every send succeeds, and nothing is received.
func TestServerIsNotToldOfACable(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		b := lab.NewHost(t, "b")
		lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
		client := listening(t, b)
		b.Unplug(t, "eth0") // which takes a's carrier
		server := start("broadcast/server", "--addr", "10.0.0.255:8080", "--interval", "1ms", "--count", "3")
		broadcasting(server, "10.0.0.255:8080")
		for range 3 {
			server.Line(sentLine)
		}
		server.Exit(0)
		b.Plug(t, "eth0")
		server = harness.Start(t, a, "broadcast/server", "--addr", "10.0.0.255:8080", "--interval", "20ms")
		port := broadcasting(server, "10.0.0.255:8080")
		client.Line(`10\.0\.0\.1:` + port + `: .*`) // and nothing of the first came before it
		server.Signal(syscall.SIGTERM)
		server.Await("closed")
		server.Exit(0)
		client.Signal(syscall.SIGTERM)
		client.Await("closed")
		client.Exit(0)
	})
}

// A router forwards unicast and no broadcast, limited or directed (RFC 2644).
func TestServerDoesNotCrossARouter(t *testing.T) {
	t.Parallel()
	left, router, right := peer.Routed(t)
	near, far := listening(t, router), listening(t, right)
	left.Route(t, "0.0.0.0/0", "10.0.1.1")
	for _, to := range []string{"10.0.1.255:8080", "255.255.255.255:8080", "10.0.2.255:8080"} {
		data, port := broadcastOnce(t, harness.Go(t, left), to)
		near.Line(`10\.0\.1\.2:` + port + `: ` + data)
	}
	data, port := broadcastOnce(t, harness.Go(t, left), "10.0.2.2:8080") // unicast: and nothing came before it
	far.Line(`10\.0\.1\.2:` + port + `: ` + data)
	near.Stop()
	far.Stop()
}

// By default nothing leaves: on a host with a link, the link's other end receives
// nothing of it.
func TestServerStaysHome(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	near, far := listening(t, a), listening(t, b)
	data, port := broadcastOnce(t, harness.Go(t, a), "127.255.255.255:8080")
	near.Line(`127\.0\.0\.1:` + port + `: ` + data)
	data, port = broadcastOnce(t, harness.Go(t, a), "10.0.0.255:8080")
	far.Line(`10\.0\.0\.1:` + port + `: ` + data)
	near.Stop()
	far.Stop()
}

// Go sets SO_BROADCAST on every UDP socket. Without it the kernel refuses.
func TestServerMayBroadcast(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "broadcast/server", "-interval", "1h")
	broadcasting(server, "127.255.255.255:8080")
	server.Line(sentLine)
	assert.Equal(t, peer.Option(t, server, false, unix.SOL_SOCKET, unix.SO_BROADCAST), 1)
	server.Stop()

	conn := peer.ListenUDP(t, h, "udp4", "0.0.0.0:0")
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 0) }))
	assert.NilError(t, err)
	_, err = conn.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("127.255.255.255:8080"))
	assert.Assert(t, errors.Is(err, syscall.EACCES), "%v", err)
}

// Two datagrams cross the link, as the diagram shows.
func TestServerWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := listening(t, client)
	sender := harness.Start(t, server, "broadcast/server", "-addr", "10.0.0.255:8080", "-count", "2", "-interval", "1ms")
	p.Line(`.*`)
	p.Line(`.*`)
	peer.Drawn(t, "server", c.Await("two datagrams", peer.Seen(wire.UDP, 2)))
	sender.Await(`sent .*`)
	sender.Await(`sent .*`)
	sender.Exit(0)
	p.Stop()
}

// A question may be broadcast; the answer comes from the address of whoever gives
// it. A socket connected to the broadcast address never receives it, though it has
// reached the machine; one that is not connected does.
func TestServerAnswerIsUnicast(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	all := netip.MustParseAddrPort("10.0.0.255:8080")
	answerer := peer.ListenUDP(t, b, "udp4", "0.0.0.0:8080")
	answer := func() {
		question, from := peer.ReceiveUDP(t, answerer)
		peer.SendUDP(t, answerer, from, "here: "+question)
	}

	var conn net.Conn
	var err error
	a.Do(func() { conn, err = net.Dial("udp4", all.String()) })
	assert.NilError(t, err)
	connected := peer.Ours(t, conn.(*net.UDPConn))
	peer.Write(t, connected, "who?")
	answer()
	peer.Until(t, "the answer finds no socket", func() bool { return peer.Counter(t, a, "Udp", "NoPorts") == 1 })

	free := peer.ListenUDP(t, a, "udp4", "0.0.0.0:0")
	peer.SendUDP(t, free, all, "who?")
	answer()
	data, from := peer.ReceiveUDP(t, free)
	assert.Equal(t, data, "here: who?")
	assert.Equal(t, from.String(), "10.0.0.2:8080")
	assert.Equal(t, peer.Counter(t, a, "Udp", "NoPorts"), 1)
}

// Told to end while it looks a name up, which there is not, Node's ends as ever.
func TestServerNodeLookup(t *testing.T) {
	t.Parallel()
	peer.StopsLookingUp(t, "broadcast/server", "--addr", "host.invalid:8080", "--interval", "1ms")
}
