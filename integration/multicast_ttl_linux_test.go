package integration

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/lab"
)

// TTL 0 never gets onto the wire from a host with a member. From one without it
// does, still 0: RFC 1122, section 3.2.1.7 forbids it, Linux looks only where it
// loops back.
func TestMulticastTTLZero(t *testing.T) {
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
}

// The multicast TTL is an option of its own: IP_TTL does not count. The kernel
// refuses 256, and takes -1 for its default.
func TestMulticastTTLIsAnOptionOfItsOwn(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	plain := member(t, h, notesGroup, "lo")
	conn := listenUDP(t, h, "udp4", "127.0.0.1:0")
	assert.NilError(t, ipv4.NewConn(conn).SetTTL(77))
	p := ipv4.NewPacketConn(conn)
	assert.NilError(t, p.SetMulticastInterface(loopbackOf(t, h)))
	for _, c := range []struct{ set, ttl int }{{1, 1}, {9, 9}, {-1, 1}} {
		assert.NilError(t, p.SetMulticastTTL(c.set))
		_, err := p.WriteTo([]byte("x"), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(notesGroup)))
		assert.NilError(t, err)
		_, cm, _ := hear(t, plain)
		assert.Equal(t, cm.TTL, c.ttl)
	}
	err := p.SetMulticastTTL(256)
	assert.Assert(t, errors.Is(err, unix.EINVAL), "%v", err)
}
