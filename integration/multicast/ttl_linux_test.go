package multicast

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/diagram"
	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// TTL 0 never gets onto the wire from a host with a member. From one without it
// does, still 0: RFC 1122, section 3.2.1.7 forbids it, Linux looks only where it
// loops back.
func TestTTLZero(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	tap := tapMulticast(t, b, "eth0")
	onTheWire := func(ttls ...int) {
		t.Helper()
		for _, ttl := range ttls {
			packet, _ := tap.next(unix.IPPROTO_UDP)
			assert.Equal(t, int(packet[8]), ttl)
			assert.Equal(t, string(packet[28:]), fmt.Sprintf("TTL %d", ttl))
		}
	}
	sendTTLs(t, a, "0,1,2,128", "-interface", "eth0")
	onTheWire(0, 1, 2, 128)

	near := joined(t, a, "-interface", "eth0")
	from := sendTTLs(t, a, "0,0,1,2,128", "-interface", "eth0")
	onTheWire(1, 2, 128)
	for _, ttl := range []int{0, 0, 1, 2, 128} {
		near.Line(fmt.Sprintf(`%s TTL %d: "TTL %[2]d"`, from, ttl))
	}
	near.Stop()

	// A member on another interface of the host does not count.
	elsewhere := joined(t, a)
	sendTTLs(t, a, "0", "-interface", "eth0")
	onTheWire(0)
	elsewhere.Stop()

	// Nor does one that has named another sender.
	deaf := harness.Start(t, a, "multicast/source", "-group", peer.NotesGroup, "-interface", "eth0", "-source", "10.0.0.2")
	deaf.Ready()
	deaf.Line("joined .*")
	sendTTLs(t, a, "0", "-interface", "eth0")
	onTheWire(0)
	deaf.Stop()
}

// The multicast TTL is an option of its own: IP_TTL does not count. The kernel
// refuses 256, and takes -1 for its default. Of a larger number x/net keeps 32 bits.
func TestTTLIsAnOptionOfItsOwn(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	plain := peer.Member(t, h, peer.NotesGroup, "lo")
	conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	assert.NilError(t, ipv4.NewConn(conn).SetTTL(77))
	p := ipv4.NewPacketConn(conn)
	assert.NilError(t, p.SetMulticastInterface(peer.LoopbackOf(t, h)))
	large := int64(1)<<32 + 7
	for _, c := range []struct{ set, ttl int }{{1, 1}, {9, 9}, {-1, 1}, {int(large), 7}} {
		assert.NilError(t, p.SetMulticastTTL(c.set))
		_, err := p.WriteTo([]byte("x"), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup)))
		assert.NilError(t, err)
		_, cm, _ := peer.Hear(t, plain)
		assert.Equal(t, cm.TTL, c.ttl)
	}
	err := p.SetMulticastTTL(256)
	assert.Assert(t, errors.Is(err, unix.EINVAL), "%v", err)
}

// The ttl program's datagrams arrive, for each router, with one less; those that
// have none left are not passed on. TTL 0 is seen on the network, where the
// sender's host has no member (see TestTTLZero), but the router drops it.
func TestTTLAcrossARouter(t *testing.T) {
	t.Parallel()
	left, router, right := peer.Routed(t)
	smcroute := routeMulticast(t, router, "230.185.192.108")
	near, far := peer.Member(t, router, peer.NotesGroup, "eth0"), joined(t, right, "-interface", "eth0")
	from := sendTTLs(t, left, "0,1,2,128", "-interface", "eth0")
	for _, ttl := range []int{0, 1, 2, 128} {
		data, cm, src := peer.Hear(t, near)
		assert.Equal(t, src, from)
		assert.Equal(t, cm.TTL, ttl)
		assert.Equal(t, data, fmt.Sprintf("TTL %d", ttl))
	}
	far.Line(from + ` TTL 1: "TTL 2"`)
	far.Line(from + ` TTL 127: "TTL 128"`)
	from = sendTTLs(t, left, "1,0,3", "-interface", "eth0")
	far.Line(from + ` TTL 2: "TTL 3"`) // and nothing that had 1 or 0
	far.Stop()
	stopRouter(smcroute)
}

// A router takes one from the TTL, and forwards what then is left. Of the one that it
// throws away it tells nobody: no ICMP comes back.
func TestTTLWire(t *testing.T) {
	t.Parallel()
	left, router, right := peer.Routed(t)
	smcroute := routeMulticast(t, router, "230.185.192.108")
	near, far := wire.Start(t, left, "eth0"), wire.Start(t, right, "eth0")
	sender := harness.Start(t, left, "multicast/ttl", "-interface", "eth0", "-ttl", "1,2,128")
	sender.Await(`sent TTL 128`)
	sender.Exit(0)
	crossed := wire.Only(far.Await("two datagrams", peer.Seen(wire.UDP, 2)), wire.UDP)
	assert.Equal(t, len(crossed), 2)
	near.Await("three datagrams", peer.Seen(wire.UDP, 3))
	sent := near.Settle()
	assert.Equal(t, len(wire.Only(sent, wire.UDP, wire.ICMP)), 3)

	d := diagram.Diagram{Parties: []string{"sender", "router", "member"}}
	for _, e := range wire.Only(sent, wire.UDP) {
		d.Steps = append(d.Steps, diagram.Step{From: "sender", To: "router", Label: e.Label()})
		for _, f := range crossed {
			if f.TTL == e.TTL-1 {
				d.Steps = append(d.Steps, diagram.Step{From: "router", To: "member", Label: f.Label()})
			}
		}
	}
	harness.Drawn(t, "ttl", d)
	stopRouter(smcroute)
}
