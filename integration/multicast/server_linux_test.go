package multicast

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Left alone, a socket sends with TTL 1 and loopback on.
func TestServerKernelDefaults(t *testing.T) {
	t.Parallel()
	conn := peer.ListenUDP(t, lab.NewHost(t, "h"), "udp4", "127.0.0.1:0")
	assert.Equal(t, ipOption(t, conn, unix.IP_MULTICAST_TTL), 1)
	assert.Equal(t, ipOption(t, conn, unix.IP_MULTICAST_LOOP), 1)
}

// However many members there are, the sender sends one frame, to the Ethernet
// address that RFC 1112, section 6.4 makes of the group's last 23 bits.
func TestServerOneFrame(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	segment := lab.NewSegment(t, "segment")
	a := lab.NewHost(t, "a")
	segment.Join(t, a, "10.0.0.1/24")
	var members []*harness.Program
	for i := range 3 {
		h := lab.NewHost(t, fmt.Sprint("member", i))
		segment.Join(t, h, fmt.Sprintf("10.0.0.%d/24", i+2))
		members = append(members, joined(t, h, "-interface", "eth0"))
	}
	tap := tapMulticast(t, a, "eth0")
	for _, ttl := range []int{7, 8} {
		from := sendWithTTL(t, a, ttl)
		for _, m := range members {
			m.Line(fmt.Sprintf(`%s TTL %d: ".*"`, from, ttl))
		}
	}
	for _, ttl := range []byte{7, 8} {
		packet, to := tap.next(unix.IPPROTO_UDP)
		assert.Equal(t, packet[8], ttl)
		assert.Equal(t, to.String(), "01:00:5e:39:c0:6c")
	}
	for _, m := range members {
		m.Stop()
	}
}

// The server joins nothing, and that nobody is a member is no error.
func TestServerIsNoMember(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		p := start("multicast/server", "--interval", "1ms")
		sending(p, peer.NotesGroup, "lo", 128, "on")
		for range 3 {
			p.Line("sent .*")
		}
		assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"224.0.0.1"})
		p.Stop()
	})
}

// A sender outlives its network: while the interface is down it says so, and when
// it is up again it goes on.
func TestServerOutlivesItsNetwork(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		b := lab.NewHost(t, "b")
		lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
		p := start("multicast/server", "--interface", "eth0", "--interval", "20ms", "--count", "100")
		from := sending(p, peer.NotesGroup, "eth0", 128, "on")
		p.Line("sent .*")
		a.Unplug(t, "eth0")
		const down = `(server: .*(network is unreachable|ENETUNREACH).*\n)`
		p.Complaint(down + "{2,}")
		far := peer.Member(t, b, peer.NotesGroup, "eth0")
		a.Plug(t, "eth0")
		_, _, src := peer.Hear(t, far) // sent since then
		assert.Equal(t, src, from)
		for range 99 {
			p.Line("sent .*") // what could not be sent does not count
		}
		p.ExitSaying(0, down+"{2,}")
	})
}

// An interface that is removed and made again is another to the kernel: a socket
// that was set to it sends nothing more until it is set to the new one. On Linux a
// socket that is only bound to the address goes on when the address is back.
func TestServerInterfaceMadeAnew(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	set, bound := peer.Sender(t, a, "eth0", net.IPv4(10, 0, 0, 1)), peer.ListenUDP(t, a, "udp4", "10.0.0.1:0")
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup))
	lab.Unlink(t, a, b)
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	far := peer.Member(t, b, peer.NotesGroup, "eth0")

	_, err := set.WriteTo([]byte("set"), nil, to)
	assert.ErrorIs(t, err, unix.ENODEV)
	_, err = bound.WriteTo([]byte("bound"), to)
	assert.NilError(t, err)
	data, _, _ := peer.Hear(t, far)
	assert.Equal(t, data, "bound")
	assert.NilError(t, set.SetMulticastInterface(peer.InterfaceOf(t, a, "eth0")))
	_, err = set.WriteTo([]byte("set anew"), nil, to)
	assert.NilError(t, err)
	data, _, _ = peer.Hear(t, far)
	assert.Equal(t, data, "set anew")
}

// On a machine with nothing but lo a sender has to name its interface, and its
// source as well if it is to be answered.
func TestServerRoute(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	plain := peer.Member(t, h, peer.NotesGroup, "lo")
	conn := peer.ListenUDP(t, h, "udp4", "0.0.0.0:0")
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup))
	_, err := conn.WriteTo([]byte("x"), to)
	assert.Assert(t, errors.Is(err, unix.ENETUNREACH), "%v", err)
	assert.ErrorContains(t, err, "network is unreachable")

	assert.NilError(t, ipv4.NewPacketConn(conn).SetMulticastInterface(peer.LoopbackOf(t, h)))
	_, err = conn.WriteTo([]byte("x"), to)
	assert.NilError(t, err)
	_, _, src := peer.Hear(t, plain)
	assert.Assert(t, strings.HasPrefix(src, "0.0.0.0:"), src)

	// With networks, the routes choose the interface, and so the source.
	other := lab.NewHost(t, "other")
	lab.Link(t, h, "10.0.0.1/24", other, "10.0.0.2/24")
	lab.Link(t, h, "10.0.1.1/24", other, "10.0.1.2/24")
	h.Route(t, "0.0.0.0/0", "10.0.1.2")
	var routed net.Conn
	h.Do(func() { routed, err = net.Dial("udp4", peer.NotesGroup) })
	assert.NilError(t, err)
	defer routed.Close()
	assert.Equal(t, routed.LocalAddr().(*net.UDPAddr).IP.String(), "10.0.1.1")

	// Now there are other addresses, and what is sent on lo from 0.0.0.0 has one of them.
	_, err = conn.WriteTo([]byte("x"), to)
	assert.NilError(t, err)
	_, _, src = peer.Hear(t, plain)
	assert.Assert(t, strings.HasPrefix(src, "10.0.0.1:") || strings.HasPrefix(src, "10.0.1.1:"), src)

	// Bound to an address, Linux sends by that address's interface, unless it has the option.
	for _, conf := range []string{"all", "eth1"} { // by which the address will not fit
		peer.SetSysctl(t, other, "net/ipv4/conf/"+conf+"/rp_filter", "0")
	}
	bound := peer.ListenUDP(t, h, "udp4", "10.0.0.1:0")
	for _, ifname := range []string{"eth0", "eth1"} {
		far := peer.Member(t, other, peer.NotesGroup, ifname)
		if ifname == "eth1" {
			assert.NilError(t, ipv4.NewPacketConn(bound).SetMulticastInterface(peer.InterfaceOf(t, h, ifname)))
		}
		_, err = bound.WriteTo([]byte("x"), to)
		assert.NilError(t, err)
		_, cm, src := peer.Hear(t, far)
		assert.Equal(t, src, peer.AddrOf(bound).String())
		assert.Equal(t, cm.IfIndex, peer.InterfaceOf(t, other, ifname).Index)
	}
}

// The interface that was chosen can be taken back: then the routes decide again.
func TestServerInterfaceTakenBack(t *testing.T) {
	hears := func(t *testing.T, h *lab.Host) func(by string) {
		other := lab.NewHost(t, "other")
		lab.Link(t, h, "10.0.0.1/24", other, "10.0.0.2/24")
		lab.Link(t, h, "10.0.1.1/24", other, "10.0.1.2/24")
		h.Route(t, "0.0.0.0/0", "10.0.0.2")
		far := peer.Member(t, other, peer.NotesGroup, "eth0")
		assert.NilError(t, far.JoinGroup(peer.InterfaceOf(t, other, "eth1"), &net.UDPAddr{IP: net.IPv4(230, 185, 192, 108)}))
		return func(by string) {
			t.Helper()
			_, cm, _ := peer.Hear(t, far)
			assert.Equal(t, cm.IfIndex, peer.InterfaceOf(t, other, by).Index)
		}
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, _ harness.Starter) {
		heard := hears(t, h)
		conn := peer.ListenUDP(t, h, "udp4", "0.0.0.0:0")
		for _, c := range []struct {
			set *net.Interface
			by  string
		}{{peer.InterfaceOf(t, h, "eth1"), "eth1"}, {nil, "eth0"}} {
			assert.NilError(t, ipv4.NewPacketConn(conn).SetMulticastInterface(c.set))
			peer.SendUDP(t, conn, netip.MustParseAddrPort(peer.NotesGroup), "x")
			heard(c.by)
		}
	}, func(t *testing.T, h *lab.Host, _ harness.Starter) {
		heard := hears(t, h)
		p := harness.NodeScript(t, h, `
const server = require('dgram').createSocket('udp4')
server.bind(0, () => {
  server.setMulticastInterface('10.0.1.1')
  server.send('x', 8080, '230.185.192.108', () => {
    server.setMulticastInterface('0.0.0.0')
    server.send('x', 8080, '230.185.192.108', () => server.close())
  })
})
`)
		p.Exit(0)
		heard("eth1")
		heard("eth0")
	})
}

// The notes' server ends with a TypeError, and not one datagram was sent, although
// there is a route and a member.
func TestServerOfTheNotes(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	a.Route(t, "0.0.0.0/0", "10.0.0.2")
	near, far := joined(t, a, "-interface", "eth0"), joined(t, b, "-interface", "eth0")
	harness.Node(t, a)("testdata/notes_server.js").ExitSaying(1, `(?s).*TypeError: server\.MulticastTTL is not a function.*`)
	from := marker(t, a, "-interface", "eth0")
	near.Line(from + ` TTL 128: ".*"`)
	far.Line(from + ` TTL 128: ".*"`)
	near.Stop()
	far.Stop()

	// With the method's right name it sends, the first datagram with TTL 128 too:
	// Node holds it back until the socket is bound and 'listening' is over.
	near = joined(t, a, "-interface", "eth0")
	script, err := os.ReadFile("testdata/notes_server.js")
	assert.NilError(t, err)
	fixed := harness.NodeScript(t, a, strings.Replace(string(script), ".MulticastTTL", ".setMulticastTTL", 1))
	near.Line(`10\.0\.0\.1:\d+ TTL 128: ".*"`)
	stopNode(fixed)
	near.Stop()
}

// Node throws EINVAL of TTL 256 or -1 and of an interface that is no address, before it
// asks the kernel, and EADDRNOTAVAIL of an address that no interface has. Of a larger TTL
// it keeps 32 bits.
func TestServerNodeErrors(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	plain := peer.Member(t, h, peer.NotesGroup, "lo")
	p := harness.NodeScript(t, h, `
const server = require('dgram').createSocket('udp4')
server.bind(0, '127.0.0.1', () => {
  for (const wrong of [() => server.setMulticastTTL(256), () => server.setMulticastTTL(-1),
                       () => server.setMulticastInterface('lo'), () => server.setMulticastInterface('192.0.2.1')])
    try { wrong(); console.log('fine') } catch (err) { console.log(err.code) }
  server.setMulticastInterface('127.0.0.1')
  server.setMulticastTTL(9)
  server.setMulticastTTL(4294967303)
  server.send('x', 8080, '230.185.192.108', () => server.close())
})
`)
	for _, code := range []string{"EINVAL", "EINVAL", "EINVAL", "EADDRNOTAVAIL"} {
		p.Line(code)
	}
	p.Exit(0)
	_, cm, _ := peer.Hear(t, plain)
	assert.Equal(t, cm.TTL, 7)
}

// An interface that is down still has its address: what cannot be done is to send.
func TestServerInterfaceDown(t *testing.T) {
	harness.NotNode(t, "Node lists no interface that is down")
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	a.Unplug(t, "eth0")
	for _, name := range []string{"server", "ttl"} {
		p := harness.Start(t, a, "multicast/"+name, "-interface", "eth0")
		from := p.Line(`sending to \S+ from (\S+) on eth0.*`)[0]
		p.ExitSaying(1, name+`: write udp4 \Q`+from+`\E->230\.185\.192\.108:8080: sendto: network is unreachable\n`)
	}
}

// A router forwards no multicast until it is set up to. Then it takes one from the TTL
// and forwards what is left above 0: TTL 1 stays on its network, 2 crosses one router and
// arrives as 1, 128 as 127.
func TestServerTTLAcrossARouter(t *testing.T) {
	t.Parallel()
	left, router, right := peer.Routed(t)
	near, far := peer.Member(t, router, peer.NotesGroup, "eth0"), joined(t, right, "-interface", "eth0")
	from := sendWithTTL(t, left, 128)
	_, _, src := peer.Hear(t, near)
	assert.Equal(t, src, from)
	far.Line(marker(t, router, "-interface", "eth1") + ` TTL 128: ".*"`) // and nothing before
	smcroute := routeMulticast(t, router, "230.185.192.108")
	for _, ttl := range []int{1, 2, 128} {
		from := sendWithTTL(t, left, ttl)
		_, cm, src := peer.Hear(t, near)
		assert.Equal(t, src, from)
		assert.Equal(t, cm.TTL, ttl)
		if ttl > 1 { // had 1 come, this would not be the next line
			far.Line(fmt.Sprintf(`%s TTL %d: ".*"`, from, ttl-1))
		}
	}
	far.Stop()
	stopRouter(smcroute)
}

// RFC 1122 (3.2.1.7) has no host send a datagram of TTL 0. Linux obeys only where some
// program of that host is a member; from a host with none, it goes out.
func TestServerTTLZero(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	far := joined(t, b, "-interface", "eth0")
	far.Line(sendWithTTL(t, a, 0) + ` TTL 0: ".*"`)

	near := joined(t, a, "-interface", "eth0")
	near.Line(sendWithTTL(t, a, 0) + ` TTL 0: ".*"`)
	from := sendWithTTL(t, a, 1)
	near.Line(from + ` TTL 1: ".*"`)
	far.Line(from + ` TTL 1: ".*"`) // and not the one before
	near.Stop()
	far.Stop()
}

// sendWithTTL has the server send one datagram on eth0, and tells from where.
func sendWithTTL(t *testing.T, on *lab.Host, ttl int) (from string) {
	t.Helper()
	return marker(t, on, "-interface", "eth0", "-ttl", fmt.Sprint(ttl))
}

// What the server says of its socket is what the kernel has.
func TestServerOptions(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		s := start("multicast/server", "--ttl", "7", "--loopback=false", "--interval", "3600s")
		sending(s, peer.NotesGroup, "lo", 7, "off")
		s.Line(`sent .*`)
		assert.Equal(t, peer.Option(t, s, false, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL), 7)
		assert.Equal(t, peer.Option(t, s, false, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP), 0)
		s.Stop()
	})
}

// Told to end while it looks a name up, which there is not, Node's ends as ever.
func TestServerNodeLookup(t *testing.T) {
	t.Parallel()
	peer.StopsLookingUp(t, "multicast/server", "--group", "host.invalid:8080", "--interval", "1ms")
}
