package multicast

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

// shared is a member at 10.0.0.9 and two senders, 10.0.0.1 and 10.0.0.2, on one
// network.
func shared(t *testing.T) (member, one, two *lab.Host) {
	t.Helper()
	member, one, two = lab.NewHost(t, "member"), lab.NewHost(t, "one"), lab.NewHost(t, "two")
	segment := lab.NewSegment(t, "segment")
	segment.Join(t, member, "10.0.0.9/24")
	segment.Join(t, one, "10.0.0.1/24")
	segment.Join(t, two, "10.0.0.2/24")
	return member, one, two
}

// sendToSource runs ttl for one datagram to the group, and tells from where it came.
func sendToSource(t *testing.T, on *lab.Host, ttl string) (p *harness.Program, from string) {
	t.Helper()
	p = harness.Start(t, on, "multicast/ttl", "-group", peer.SourceGroup, "-interface", "eth0", "-ttl", ttl)
	from = p.Line(`sending to \S+ from (\S+:\d+) on \S+`)[0]
	p.Line("sent TTL " + ttl)
	p.Exit(0)
	return p, from
}

// Two hosts send to the group. source hears one of them, client hears both.
func TestSourceTranscript(t *testing.T) {
	t.Parallel()
	h, one, two := shared(t)
	client := joined(t, h, "-interface", "eth0", "-group", peer.SourceGroup)
	source := harness.Start(t, h, "multicast/source", "-interface", "eth0", "-source", "10.0.0.1")
	source.Line(`listening on (?:0\.0\.0\.0|232\.185\.192\.108):8080`)
	source.Line(`joined 232\.185\.192\.108 from 10\.0\.0\.1 on eth0`)
	_, fromOther := sendToSource(t, two, "2")
	client.Line(fromOther + ttl(2) + `: "TTL 2"`)
	peer.KeepPort(t, one, fromOther)
	_, from := sendToSource(t, one, "1")
	client.Line(from + ttl(1) + `: "TTL 1"`)
	source.Line(from + ttl(1) + `: "TTL 1"`) // and not fromOther
	source.Stop()
	client.Stop()
	harness.Transcript(t, "source.txt", source, client)
}

// Side by side on one machine, each program hears the sender that it chose.
func TestSourceSideBySide(t *testing.T) {
	t.Parallel()
	h, one, two := shared(t)
	first := choosy(t, h, "-interface", "eth0", "-source", "10.0.0.1")
	second := choosy(t, h, "-interface", "eth0", "-source", "10.0.0.2")
	for range 2 { // the second time shows that nothing came in between
		_, from := sendToSource(t, one, "1")
		first.Line(from + ttl(1) + `: ".*"`)
		_, from = sendToSource(t, two, "2")
		second.Line(from + ttl(2) + `: ".*"`)
	}
	first.Stop()
	second.Stop()
}

// sourceMember is a plain socket that has joined the group for one source on an
// interface, and tells what the kernel lets it hear.
func sourceMember(t *testing.T, on *lab.Host, ifname string, sources ...string) (p *ipv4.PacketConn, err error) {
	t.Helper()
	p = ipv4.NewPacketConn(peer.ListenUDP(t, on, "udp4", peer.SourceGroup))
	for _, source := range sources {
		err = cmp.Or(err, p.JoinSourceSpecificGroup(peer.InterfaceOf(t, on, ifname),
			&net.UDPAddr{IP: net.IPv4(232, 185, 192, 108)}, &net.UDPAddr{IP: net.ParseIP(source)}))
	}
	return p, err
}

// The kernel keeps the others out on the interface of the membership. What other
// programs have joined on another interface, or on the port, it hands over, and
// the program passes over it; Node's is bound to the group and gets no others.
func TestSourceFilters(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		one, two, elsewhere := lab.NewHost(t, "one"), lab.NewHost(t, "two"), lab.NewHost(t, "elsewhere")
		segment := lab.NewSegment(t, "segment")
		segment.Join(t, h, "10.0.0.9/24")
		segment.Join(t, one, "10.0.0.1/24")
		segment.Join(t, two, "10.0.0.2/24")
		lab.Link(t, h, "10.0.5.9/24", elsewhere, "10.0.5.1/24")
		const other = "239.1.2.3:8080"
		neighbour := peer.Member(t, h, peer.SourceGroup, "eth0")
		assert.NilError(t, neighbour.JoinGroup(peer.InterfaceOf(t, h, "eth1"), &net.UDPAddr{IP: net.IPv4(232, 185, 192, 108)}))
		assert.NilError(t, neighbour.JoinGroup(peer.InterfaceOf(t, h, "eth0"), &net.UDPAddr{IP: net.IPv4(239, 1, 2, 3)}))
		p := start("multicast/source", "--interface", "eth0", "--source", "10.0.0.1")
		p.Line("listening on .*")
		p.Line("joined .*")
		plain, err := sourceMember(t, h, "eth0", "10.0.0.1")
		assert.NilError(t, err)

		_, from := sendToSource(t, two, "1")
		_, _, src := peer.Hear(t, neighbour) // and not the plain socket
		assert.Equal(t, src, from)
		for host, group := range map[*lab.Host]string{elsewhere: peer.SourceGroup, one: other} { // the source, and another group
			from = marker(t, host, "-interface", "eth0", "-group", group)
			for _, member := range []*ipv4.PacketConn{neighbour, plain} {
				_, _, src = peer.Hear(t, member)
				assert.Equal(t, src, from)
			}
		}
		_, from = sendToSource(t, one, "1")
		p.Line(from + `(?: TTL 1)?: ".*"`) // and none of those
		p.Stop()
	})
}

// Two networks may have a host of the same address. Of what comes by an interface
// that another program has joined on it prints nothing, though the address is right;
// Node has no way to ask by which it came, and prints it.
func TestSourceOfAnotherNetwork(t *testing.T) {
	test := func(t *testing.T, h *lab.Host, start harness.Starter, fooled bool) {
		one, elsewhere := lab.NewHost(t, "one"), lab.NewHost(t, "elsewhere")
		lab.Link(t, h, "10.0.0.9/24", one, "10.0.0.1/24")
		for _, conf := range []string{"all", "default"} { // for eth1, which is yet to come
			peer.SetSysctl(t, h, "net/ipv4/conf/"+conf+"/rp_filter", "0")
		}
		lab.Link(t, h, "10.0.5.9/24", elsewhere, "10.0.0.1/24")
		neighbour := peer.Member(t, h, peer.SourceGroup, "eth1")
		p := start("multicast/source", "--interface", "eth0", "--source", "10.0.0.1")
		p.Line("listening on .*")
		p.Line("joined .*")
		from := marker(t, elsewhere, "-interface", "eth0", "-group", peer.SourceGroup)
		_, _, src := peer.Hear(t, neighbour)
		assert.Equal(t, src, from)
		if fooled {
			p.Line(from + `: ".*"`)
		}
		_, from = sendToSource(t, one, "1")
		p.Line(from + `(?: TTL 1)?: "TTL 1"`)
		p.Stop()
	}
	harness.Compare(t,
		func(t *testing.T, h *lab.Host, start harness.Starter) { test(t, h, start, false) },
		func(t *testing.T, h *lab.Host, start harness.Starter) { test(t, h, start, true) })
}

// A sender on the same machine is received too. Its datagrams count as having come by
// the interface that it sends on.
func TestSourceOnThisMachine(t *testing.T) {
	t.Parallel()
	h, _, _ := shared(t)
	p := choosy(t, h, "-interface", "eth0", "-source", "10.0.0.9")
	_, from := sendToSource(t, h, "1")
	p.Line(from + ttl(1) + `: "TTL 1"`)
	p.Stop()
}

// sourcesOf returns what the kernel has in /proc/net/mcfilter of an interface: for
// each group the sources, and how many sockets include them.
func sourcesOf(t *testing.T, on *lab.Host, ifname string) (filters []string) {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/mcfilter") })
	assert.NilError(t, err)
	for _, line := range strings.Split(string(text), "\n")[1:] {
		var index, include, exclude int
		var name string
		var group, source uint32
		if n, _ := fmt.Sscanf(line, "%d %s 0x%x 0x%x %d %d", &index, &name, &group, &source, &include, &exclude); n == 6 && name == ifname {
			addr := func(n uint32) netip.Addr { return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n))) }
			filters = append(filters, fmt.Sprintf("%v from %v: %d", addr(group), addr(source), include))
			assert.Equal(t, exclude, 0)
		}
	}
	return filters
}

// What the program says is what the kernel has, until it ends.
func TestSourceInTheKernel(t *testing.T) {
	t.Parallel()
	h, _, _ := shared(t)
	p := harness.Start(t, h, "multicast/source", "-group", "239.9.8.7:0", "-interface", "eth0", "-source", "10.0.0.1")
	assert.Assert(t, netip.MustParseAddrPort(p.Ready()).Port() != 0)
	p.Line(`joined 239\.9\.8\.7 from 10\.0\.0\.1 on eth0`)
	assert.DeepEqual(t, sourcesOf(t, h, "eth0"), []string{"239.9.8.7 from 10.0.0.1: 1"})
	second := choosy(t, h, "-group", "239.9.8.7:8080", "-interface", "eth0", "-source", "10.0.0.1")
	assert.DeepEqual(t, sourcesOf(t, h, "eth0"), []string{"239.9.8.7 from 10.0.0.1: 2"})
	p.Stop()
	assert.DeepEqual(t, sourcesOf(t, h, "eth0"), []string{"239.9.8.7 from 10.0.0.1: 1"})
	second.Signal(syscall.SIGKILL)
	second.ExitSaying(-1, "")
	assert.DeepEqual(t, peer.Memberships(t, h, "eth0"), []string{"224.0.0.1"})

	p = choosy(t, h) // on lo, from this machine
	assert.DeepEqual(t, sourcesOf(t, h, "lo"), []string{"232.185.192.108 from 127.0.0.1: 1"})
	p.Stop()
}

// A socket leaves each of its sources by itself: the others stay, and with the last the
// group is left, with the socket open. To leave one that was not named is an error.
func TestSourceLeaves(t *testing.T) {
	const of1, of2 = "232.185.192.108 from 10.0.0.1: 1", "232.185.192.108 from 10.0.0.2: 1"
	t.Parallel()
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		h, one, two := shared(t)
		p, err := sourceMember(t, h, "eth0", "10.0.0.1", "10.0.0.2")
		assert.NilError(t, err)
		leave := func(source string) error {
			return p.LeaveSourceSpecificGroup(peer.InterfaceOf(t, h, "eth0"),
				&net.UDPAddr{IP: net.IPv4(232, 185, 192, 108)}, &net.UDPAddr{IP: net.ParseIP(source)})
		}
		assert.NilError(t, leave("10.0.0.1"))
		assert.DeepEqual(t, sourcesOf(t, h, "eth0"), []string{of2})
		assert.ErrorIs(t, leave("10.0.0.1"), unix.EADDRNOTAVAIL)
		sendToSource(t, one, "1")
		_, from := sendToSource(t, two, "1")
		_, _, src := peer.Hear(t, p)
		assert.Equal(t, src, from) // and not one's
		assert.NilError(t, leave("10.0.0.2"))
		assert.DeepEqual(t, peer.Memberships(t, h, "eth0"), []string{"224.0.0.1"})
	})
	t.Run("Node", func(t *testing.T) {
		t.Parallel()
		h, one, two := shared(t)
		p := harness.NodeScript(t, h, `
const socket = require('dgram').createSocket('udp4')
const todo = ['10.0.0.1', '10.0.0.1', '10.0.0.2']
socket.bind(8080, '232.185.192.108', () => {
  for (const source of ['10.0.0.1', '10.0.0.2']) socket.addSourceSpecificMembership(source, '232.185.192.108', '10.0.0.9')
  console.log('joined')
})
process.stdin.on('data', () => {
  try { socket.dropSourceSpecificMembership(todo.shift(), '232.185.192.108', '10.0.0.9'); console.log('left') } catch (err) { console.log(err.code) }
})
socket.on('message', (data, rinfo) => console.log(rinfo.address))
`)
		p.Line("joined")
		filters := sourcesOf(t, h, "eth0")
		slices.Sort(filters)
		assert.DeepEqual(t, filters, []string{of1, of2})
		p.Write("\n")
		p.Line("left")
		assert.DeepEqual(t, sourcesOf(t, h, "eth0"), []string{of2})
		p.Write("\n")
		p.Line("EADDRNOTAVAIL")
		sendToSource(t, one, "1")
		sendToSource(t, two, "1")
		p.Line(`10\.0\.0\.2`) // and not one's
		p.Write("\n")
		p.Line("left")
		assert.DeepEqual(t, peer.Memberships(t, h, "eth0"), []string{"224.0.0.1"})
		stopNode(p)
	})
}

// Version 3 of IGMP names the source, which versions 1 and 2 cannot. The kernel
// filters all the same.
func TestSourceOnTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, join, leave string
	}{
		{"2", "v2 report", "v2 leave"},
		{"3", "v3 allow 10.0.0.1", "v3 block 10.0.0.1"},
	} {
		t.Run("IGMPv"+c.version, func(t *testing.T) {
			t.Parallel()
			h, one, two := shared(t)
			peer.SetSysctl(t, h, "net/ipv4/conf/eth0/force_igmp_version", c.version)
			reports := tapMulticast(t, one, "eth0")
			p := choosy(t, h, "-interface", "eth0", "-source", "10.0.0.1")
			message, _ := reports.said("232.185.192.108", "")
			assert.Equal(t, message, c.join)

			plain, err := sourceMember(t, h, "eth0", "10.0.0.1")
			assert.NilError(t, err)
			sendToSource(t, two, "1")
			_, from := sendToSource(t, one, "1")
			_, _, src := peer.Hear(t, plain)
			assert.Equal(t, src, from) // and not two's
			plain.Close()
			p.Line(from + `\b.*`)
			p.Stop()
			message, _ = reports.said("232.185.192.108", c.join)
			assert.Equal(t, message, c.leave)
		})
	}
}

// A member's request, the datagrams of both senders, and its leave.
func TestSourceWire(t *testing.T) {
	t.Parallel()
	h, one, two := shared(t)
	c := wire.Start(t, h, "eth0")
	p := choosy(t, h, "-interface", "eth0", "-source", "10.0.0.1")
	c.Await("the join", peer.Seen(wire.IGMPJoin, 1))
	sendToSource(t, two, "2")
	_, from := sendToSource(t, one, "1")
	p.Line(from + ttl(1) + `: ".*"`)
	p.Stop()
	names := map[string]string{"10.0.0.1": "sender", "10.0.0.2": "other"}
	d := diagram.Diagram{Parties: []string{"other", "source", "sender"}}
	for _, e := range c.Await("the leave", peer.Seen(wire.IGMPLeave, 1)) {
		step := diagram.Step{From: "source", To: "sender", Label: e.Label()}
		if e.Kind == wire.UDP { // on this network every datagram reaches everybody
			step.From, step.To = names[e.From.Addr().String()], "source"
		}
		d.Steps = append(d.Steps, step)
	}
	harness.Drawn(t, "source", d)
}

// A router that has been set up for one source passes on nobody else's datagrams:
// they do not even reach those who would have them.
func TestSourceAcrossARouter(t *testing.T) {
	t.Parallel()
	one, two, router, right := lab.NewHost(t, "one"), lab.NewHost(t, "two"), lab.NewHost(t, "router"), lab.NewHost(t, "right")
	left := lab.NewSegment(t, "left")
	left.Join(t, router, "10.0.1.1/24")
	left.Join(t, one, "10.0.1.2/24")
	left.Join(t, two, "10.0.1.3/24")
	lab.Link(t, router, "10.0.2.1/24", right, "10.0.2.2/24")
	right.Route(t, "10.0.1.0/24", "10.0.2.1")
	router.Forward(t)
	smcroute := routeMulticast(t, router, "232.185.192.108")
	near := peer.Member(t, router, peer.SourceGroup, "eth0")
	p := choosy(t, right, "-interface", "eth0", "-source", "10.0.1.2")
	client := joined(t, right, "-interface", "eth0", "-group", peer.SourceGroup)
	var from string
	for _, host := range []*lab.Host{two, one} { // at the router both arrive
		_, from = sendToSource(t, host, "128")
		_, _, src := peer.Hear(t, near)
		assert.Equal(t, src, from)
	}
	p.Line(from + ttl(127) + `: ".*"`)
	client.Line(from + ttl(127) + `: ".*"`) // and not two's
	p.Stop()
	client.Stop()
	stopRouter(smcroute)
}

// The source is what the datagram says. Another host that says the same is heard.
func TestSourceForged(t *testing.T) {
	t.Parallel()
	h, _, two := shared(t)
	p := choosy(t, h, "-interface", "eth0", "-source", "10.0.0.1")
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.SourceGroup))
	peer.Spoof(t, peer.RawIPv4(t, two), net.IPv4(10, 0, 0, 1), 1234, to, "forged")
	p.Line(`10\.0\.0\.1:1234` + ttl(64) + `: "forged"`)
	p.Stop()
}

// One socket may name several sources, on Linux as many as net.ipv4.igmp_max_msf, and
// none twice. After them it cannot join for everybody; the other way round, the source
// replaces everybody.
func TestSourceSeveral(t *testing.T) {
	t.Parallel()
	h, one, two := shared(t)
	p, err := sourceMember(t, h, "eth0", "10.0.0.1", "10.0.0.2")
	assert.NilError(t, err)
	for _, host := range []*lab.Host{one, two} {
		_, from := sendToSource(t, host, "1")
		_, _, src := peer.Hear(t, p)
		assert.Equal(t, src, from)
	}
	_, err = sourceMember(t, h, "eth0", "10.0.0.1", "10.0.0.1")
	assert.ErrorIs(t, err, unix.EADDRNOTAVAIL)
	var text []byte
	h.Do(func() { text, err = os.ReadFile("/proc/sys/net/ipv4/igmp_max_msf") })
	assert.NilError(t, err)
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	assert.NilError(t, err)
	var many []string
	for i := range most {
		many = append(many, fmt.Sprintf("10.0.%d.%d", i/250, i%250+1))
	}
	_, err = sourceMember(t, h, "eth0", many...)
	assert.NilError(t, err)
	_, err = sourceMember(t, h, "eth0", append(many, "10.1.0.1")...)
	assert.ErrorIs(t, err, unix.ENOBUFS)

	group := &net.UDPAddr{IP: net.IPv4(232, 185, 192, 108)}
	assert.ErrorIs(t, p.JoinGroup(peer.InterfaceOf(t, h, "eth0"), group), unix.EADDRINUSE)
	all := peer.Member(t, h, peer.SourceGroup, "eth0")
	_, from := sendToSource(t, two, "1")
	_, _, src := peer.Hear(t, all)
	assert.Equal(t, src, from)
	assert.NilError(t, all.JoinSourceSpecificGroup(peer.InterfaceOf(t, h, "eth0"), group, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1)}))
	sendToSource(t, two, "1")
	_, from = sendToSource(t, one, "1")
	_, _, src = peer.Hear(t, all)
	assert.Equal(t, src, from) // and not two's
}
