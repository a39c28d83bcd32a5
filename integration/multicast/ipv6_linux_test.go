package multicast

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// The group of the program's defaults, and one that routers may pass on.
const linkGroup, siteGroup = "[ff12::1234]:8080", "[ff15::1234]:8080"

// chosen makes hosts that have no other IPv6 addresses than those that the test chose.
func chosen(t *testing.T, names ...string) (hosts []*lab.Host) {
	t.Helper()
	lab.Require(t, "namespaces", lab.Isolated())
	for _, name := range names {
		h := lab.NewHost(t, name)
		peer.SetSysctl(t, h, "net/ipv6/conf/default/addr_gen_mode", "1") // none (ip-sysctl)
		hosts = append(hosts, h)
	}
	return hosts
}

// joined6 starts the program on an interface and returns it once it is a member.
func joined6(start harness.Starter, ifname string, args ...string) *harness.Program {
	p := start("multicast/ipv6", append(args, "--interface", ifname)...)
	p.Line(`listening on \[(?:::|ff1[25]::1234)\]:8080`)
	p.Line(`joined ff1[25]::1234 on ` + ifname)
	return p
}

// said is a line of the program: Node has no way to tell the hop limit.
func said6(from string, hops int, data string) string {
	return regexp.QuoteMeta(from) + fmt.Sprintf(`(?: hop limit %d)?: `, hops) + regexp.QuoteMeta(fmt.Sprintf("%q", data))
}

// sender6 is a plain socket on a host that sends to groups by an interface.
func sender6(t *testing.T, on *lab.Host, ifname, addr string) *ipv6.PacketConn {
	t.Helper()
	p := ipv6.NewPacketConn(peer.ListenUDP(t, on, "udp6", addr))
	if ifname != "" {
		assert.NilError(t, p.SetMulticastInterface(peer.InterfaceOf(t, on, ifname)))
	}
	return p
}

// awaitMembers6 waits until the host is a member on eth0: for its addresses' own groups it
// takes its time.
func awaitMembers6(t *testing.T, on *lab.Host, groups ...string) {
	t.Helper()
	for _, group := range groups {
		peer.Until(t, "it is a member of "+group, func() bool { return slices.Contains(peer.MembershipsIPv6(t, on, "eth0"), group) })
	}
}

// zone6 is a zone as a number, for a socket that is used where its host's interfaces have
// no names.
func zone6(t *testing.T, on *lab.Host, ifname string) string {
	t.Helper()
	return fmt.Sprint(peer.InterfaceOf(t, on, ifname).Index)
}

func send6(t *testing.T, p *ipv6.PacketConn, to, data string) {
	t.Helper()
	_, err := p.WriteTo([]byte(data), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
	assert.NilError(t, err)
}

// Two programs on one machine: both hear what one says, at a hop limit at which it stays
// there.
func TestIPv6Transcript(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "h", "other")
	lab.Link(t, hosts[0], "fe80::1/64", hosts[1], "")
	member := joined6(harness.Go(t, hosts[0]), "eth0")
	talker := joined6(harness.Go(t, hosts[0]), "eth0", "-message", "hello", "-hops", "0")
	talker.Line(`sent 5 bytes to \[ff12::1234%eth0\]:8080`)
	for _, p := range []*harness.Program{talker, member} {
		p.Line(said6("[fe80::1%eth0]:8080", 0, "hello"))
	}
	talker.Stop()
	member.Stop()
	for _, p := range []*harness.Program{member, talker} { // as a reader would type them
		n := len(p.Args)
		p.Args = slices.Concat([]string{"-interface", p.Args[n-1]}, p.Args[:n-2])
	}
	harness.Transcript(t, "ipv6.txt", member, talker)
}

// A member reports itself by MLD, and tells when it leaves. The sender need not be one.
func TestIPv6Wire(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "sender", "member")
	lab.Link(t, hosts[0], "fe80::1/64", hosts[1], "fe80::2/64")
	c := wire.Start(t, hosts[0], "eth0")
	member := joined6(harness.Go(t, hosts[1]), "eth0")
	c.Await("the join", peer.Seen(wire.MLDJoin, 1))
	send6(t, sender6(t, hosts[0], "eth0", "[::]:8080"), linkGroup, "hello")
	member.Line(said6("[fe80::1%eth0]:8080", 1, "hello"))
	member.Stop()
	golden.Assert(t, wire.Diagram(c.Await("the leave", peer.Seen(wire.MLDLeave, 1)),
		wire.Party{Name: "sender", Addr: "fe80::1"}, wire.Party{Name: "member", Addr: "fe80::2"}).Mermaid(), "ipv6.mmd")
}

// The kernel is a member of the group on that interface, and says so by MLD, as long as
// the program runs.
func TestIPv6Membership(t *testing.T) {
	t.Parallel()
	for name, language := range languages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hosts := chosen(t, "h", "far")
			h := hosts[0]
			lab.Link(t, h, "fe80::1/64", hosts[1], "")
			lab.Link(t, h, "fe80::2/64", hosts[1], "")
			c := wire.Start(t, hosts[1], "eth1")
			p := joined6(language(t, h), "eth1")
			c.Await("the join", peer.Seen(wire.MLDJoin, 1))
			assert.Assert(t, slices.Contains(peer.MembershipsIPv6(t, h, "eth1"), "ff12::1234"))
			assert.Assert(t, !slices.Contains(peer.MembershipsIPv6(t, h, "eth0"), "ff12::1234"))
			p.Stop()
			assert.Assert(t, !slices.Contains(peer.MembershipsIPv6(t, h, "eth1"), "ff12::1234"))
			events := c.Await("the leave", peer.Seen(wire.MLDLeave, 1))
			for i, kind := range []wire.Kind{wire.MLDJoin, wire.MLDLeave} {
				assert.Equal(t, events[i].Label(), string(kind)+" ff12::1234")
				assert.Equal(t, events[i].From.Addr().String(), "fe80::2")
				assert.Equal(t, events[i].To.Addr().String(), "ff02::16") // all routers that know MLDv2 (RFC 3810)
				assert.Equal(t, int(events[i].TTL), 1)
			}
		})
	}
}

var languages = harness.Languages()

// The same address is another group on each link. A program says it by the interface that
// it was told, on no other, and hears by that interface only; over a group that is not of
// one link Node's hears by others too.
func TestIPv6Interface(t *testing.T) {
	harness.NotNode(t, "Node hears by other interfaces too")
	t.Parallel()
	for name, language := range languages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, group := range []string{linkGroup, siteGroup} {
				hosts := chosen(t, "h", "far")
				h, far := hosts[0], hosts[1]
				lab.Link(t, h, "fe80::1/64", far, "fe80::a/64")
				lab.Link(t, h, "fe80::2/64", far, "fe80::b/64")
				c0, c1 := wire.Start(t, far, "eth0"), wire.Start(t, far, "eth1")
				also := joined6(harness.Go(t, h), "eth0", "--group", group) // the machine is a member there, too
				p := joined6(language(t, h), "eth1", "--group", group, "--message", "by eth1")
				p.Line(`sent 7 bytes to \[ff1[25]::1234%eth1\]:8080`)
				p.Line(said6("[fe80::2%eth1]:8080", 1, "by eth1"))
				c1.Await("it", peer.Seen(wire.UDP, 1))

				send6(t, sender6(t, far, "eth0", "[fe80::a%eth0]:1000"), group, "to eth0")
				also.Line(said6("[fe80::a%eth0]:1000", 1, "to eth0"))
				if group == siteGroup && name == "Node" {
					p.Line(said6("[fe80::a%eth0]:1000", 1, "to eth0"))
				}
				send6(t, sender6(t, far, "eth1", "[fe80::b%eth1]:1001"), group, "to eth1")
				p.Line(said6("[fe80::b%eth1]:1001", 1, "to eth1"))
				p.Stop()
				also.Stop()
				for _, c := range []*wire.Capture{c0, c1} {
					n := 1
					if c == c1 {
						n = 2
					}
					assert.Equal(t, len(wire.Only(c.Settle(), wire.UDP)), n)
				}
			}
		})
	}
}

// The zone in a sender's address is what one answers to. Without it to connect fails, and
// what is sent goes by the first link, whoever is on it.
func TestIPv6Zone(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "a", "b")
	lab.Link(t, hosts[0], "fe80::a/64", hosts[1], "fe80::b/64")
	lab.Link(t, hosts[0], "fe80::1/64", hosts[1], "fe80::2/64")
	hello := sender6(t, hosts[1], "eth1", "[fe80::2%eth1]:1000")
	for _, language := range languages {
		p := joined6(language(t, hosts[0]), "eth1")
		send6(t, hello, linkGroup, "hello")
		p.Line(said6("[fe80::2%eth1]:1000", 1, "hello"))
		p.Stop()
	}
	var err error
	hosts[0].Do(func() { _, err = net.Dial("udp6", "[fe80::2]:1000") })
	assert.ErrorIs(t, err, unix.EINVAL)

	conn := peer.ListenUDP(t, hosts[1], "udp6", "[fe80::2%eth1]:2000")
	out := sender6(t, hosts[0], "", "[::]:0")
	c := wire.Start(t, hosts[1], "eth0")
	send6(t, out, "[fe80::b]:2000", "to the first link")
	c.Await("it", peer.Seen(wire.UDP, 1))
	send6(t, out, "[fe80::2]:2000", "no zone")
	send6(t, out, "[fe80::2%"+zone6(t, hosts[0], "eth1")+"]:2000", "zone")
	data, _ := peer.ReceiveUDP(t, conn)
	assert.Equal(t, data, "zone")
}

// Of a group of one link the zone in the address decides by which link it goes, over the
// option; of others the option does, and the zone is ignored. With neither it goes by the
// first link that has a route for groups.
func TestIPv6ZoneOrOption(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "h", "far")
	h, far := hosts[0], hosts[1]
	lab.Link(t, h, "fe80::1/64", far, "")
	lab.Link(t, h, "fe80::2/64", far, "")
	captures := []*wire.Capture{wire.Start(t, far, "eth0"), wire.Start(t, far, "eth1")}
	for n, c := range []struct {
		option, to string
		by         int
	}{
		{"eth0", "[ff12::1234%ETH1]:8080", 1},
		{"eth0", "[ff15::1234%ETH1]:8080", 0},
		{"eth1", "[ff15::1234]:8080", 1},
		{"eth1", "[ff12::1234]:8080", 1},
		{"", "[ff12::1234%ETH1]:8080", 1},
		{"", "[ff12::1234]:8080", 0},
		{"", "[ff15::1234%ETH1]:8080", 0},
	} {
		c.to = strings.Replace(c.to, "ETH1", zone6(t, h, "eth1"), 1)
		send6(t, sender6(t, h, c.option, "[::]:0"), c.to, strings.Repeat("x", n+1)) // told apart by its size
		captures[c.by].Await(fmt.Sprint(c), func(events []wire.Event) bool {
			return slices.ContainsFunc(events, func(e wire.Event) bool { return e.Bytes == n+1 })
		})
	}
	assert.Equal(t, len(wire.Only(captures[0].Settle(), wire.UDP)), 3)
	assert.Equal(t, len(wire.Only(captures[1].Settle(), wire.UDP)), 4)
}

// routed6 is two hosts and a router between them, eth0 to the left and eth1 to the right.
func routed6(t *testing.T) (left, router, right *lab.Host) {
	t.Helper()
	hosts := chosen(t, "left", "router", "right")
	left, router, right = hosts[0], hosts[1], hosts[2]
	lab.Link(t, router, "fe80::1/64 fd01::1/64", left, "fe80::2/64 fd01::2/64")
	lab.Link(t, router, "fe80::1/64 fd02::1/64", right, "fe80::2/64 fd02::2/64")
	router.Forward(t)
	return left, router, right
}

// What is said with hop limit 0 does not leave the machine, with 1 not the link; a router
// passes on what has more, with one less.
func TestIPv6HopLimit(t *testing.T) {
	t.Parallel()
	left, router, right := routed6(t)
	smcroute := routeMulticast(t, router, "ff15::1234")
	far := joined6(harness.Go(t, right), "eth0", "-group", siteGroup)
	near := joined6(harness.Go(t, router), "eth0", "-group", siteGroup)
	for name, language := range languages {
		for _, hops := range []int{0, 1, 2, 255} {
			if name == "Node" && !harness.Judged() && (hops == 1 || hops == 2) {
				continue // what is not the kernel's affair is in the others
			}
			text := fmt.Sprintf("%s %d", name, hops)
			p := joined6(language(t, left), "eth0", "--group", siteGroup, "--message", text, "--hops", fmt.Sprint(hops))
			p.Line(`sent \d+ bytes to \[ff15::1234%eth0\]:8080`)
			const from = "[fd01::2]:8080"
			p.Line(said6(from, hops, text))
			if hops > 0 {
				near.Line(said6(from, hops, text))
			}
			if hops > 1 { // had another come, this would not be the next line
				far.Line(said6(from, hops-1, text))
			}
			p.Stop()
		}
	}
	far.Stop()
	near.Stop()
	stopRouter(smcroute)
}

// Hop limit 0 leaves a machine on which no program is a member.
func TestIPv6HopLimitZero(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "a", "b")
	lab.Link(t, hosts[0], "fe80::1/64", hosts[1], "")
	p := joined6(harness.Go(t, hosts[1]), "eth0")
	out := sender6(t, hosts[0], "eth0", "[fe80::1%eth0]:1000")
	assert.NilError(t, out.SetMulticastHopLimit(0))
	send6(t, out, linkGroup, "hello")
	p.Line(said6("[fe80::1%eth0]:1000", 0, "hello"))
	p.Stop()
}

// No router passes on a group of one link, whatever the hop limit and its own routes.
func TestIPv6LinkScope(t *testing.T) {
	t.Parallel()
	left, router, right := routed6(t)
	smcroute := routeMulticast(t, router, "ff12::1234")
	far, near := joined6(harness.Go(t, right), "eth0"), joined6(harness.Go(t, router), "eth0")
	out := sender6(t, left, "eth0", "[fd01::2]:1000")
	assert.NilError(t, out.SetMulticastHopLimit(64))
	send6(t, out, linkGroup, "to the link")
	near.Line(said6("[fd01::2]:1000", 64, "to the link"))
	send6(t, sender6(t, router, "eth1", "[fd02::1]:1000"), linkGroup, "to the other")
	far.Line(said6("[fd02::1]:1000", 1, "to the other"))
	far.Stop()
	near.Stop()
	stopRouter(smcroute)
}

// A source-specific member hears that sender and no other, in Go and in Node.
func TestIPv6SourceSpecific(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "a", "b")
	a, b := hosts[0], hosts[1]
	lab.Link(t, a, "fe80::1/64 fd00::1/64 fd00::77/64", b, "fe80::2/64 fd00::2/64")
	group := &net.UDPAddr{IP: net.ParseIP("ff35::1234"), Port: 8080}
	// The file has the sources of the groups from the one that was joined last, if that has
	// some: no other may be joined in between (igmp6_mcf_get_first in the kernel's mcast.c).
	awaitMembers6(t, b, "ff02::1:ff00:2")
	filter := func() string {
		var text []byte
		var err error
		b.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/mcfilter6") })
		assert.NilError(t, err)
		return string(text)
	}
	wanted := regexp.MustCompile(`(?m)eth0 +ff350000000000000000000000001234 fd000000000000000000000000000001 +1 +0$`)
	good, bad := sender6(t, a, "eth0", "[fd00::1]:1000"), sender6(t, a, "eth0", "[fd00::77]:1000")

	p := ipv6.NewPacketConn(peer.ListenUDP(t, b, "udp6", "[ff35::1234]:8080"))
	assert.NilError(t, p.JoinSourceSpecificGroup(peer.InterfaceOf(t, b, "eth0"), group, &net.UDPAddr{IP: net.ParseIP("fd00::1")}))
	assert.Assert(t, wanted.MatchString(filter()), filter())
	send6(t, bad, group.String(), "bad")
	send6(t, good, group.String(), "good")
	buf := make([]byte, 100)
	n, _, from, err := p.ReadFrom(buf)
	assert.NilError(t, err)
	assert.Equal(t, string(buf[:n]), "good")
	assert.Equal(t, from.String(), "[fd00::1]:1000")
	p.Close()
	// A program that a test beside this one is just starting has a copy of it until exec(3).
	peer.Until(t, "the source is left", func() bool { return !wanted.MatchString(filter()) })

	node := harness.NodeScript(t, b, `
		const socket = require('dgram').createSocket({ type: 'udp6', reuseAddr: true })
		socket.bind(8080, () => {
			socket.addSourceSpecificMembership('fd00::1', 'ff35::1234', '::%eth0')
			console.log('joined')
		})
		socket.on('message', (data, { address }) => console.log(address, String(data)))`)
	node.Line("joined")
	assert.Assert(t, wanted.MatchString(filter()), filter())
	send6(t, bad, group.String(), "bad")
	send6(t, good, group.String(), "good")
	node.Line("fd00::1 good")
	stopNode(node)
}

// Each host is a member from the start of ff02::1, all nodes, and for each of its addresses
// of a group for neighbour discovery; so a socket hears ff02::1 without joining. The
// program prints its own group only.
func TestIPv6AllNodes(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "a", "b")
	a, b := hosts[0], hosts[1]
	lab.Link(t, a, "fe80::1/64", b, "fe80::ab:cdef/64")
	awaitMembers6(t, b, "ff02::1", "ff02::1:ffab:cdef")
	conn := peer.ListenUDP(t, b, "udp6", "[::]:1000")
	out := sender6(t, a, "eth0", "[::]:8080")
	send6(t, out, "[ff02::1]:1000", "all nodes")
	data, _ := peer.ReceiveUDP(t, conn)
	assert.Equal(t, data, "all nodes")

	for _, language := range languages {
		p := joined6(language(t, b), "eth0")
		other := sender6(t, b, "eth0", "[ff12::5678]:8080") // [::]:8080
		assert.NilError(t, other.JoinGroup(peer.InterfaceOf(t, b, "eth0"), &net.UDPAddr{IP: net.ParseIP("ff12::5678")}))
		send6(t, out, "[ff02::1]:8080", "all nodes")
		send6(t, out, "[ff12::5678]:8080", "another group")
		send6(t, out, linkGroup, "its group")
		p.Line(said6("[fe80::1%eth0]:8080", 1, "its group"))
		other.Close()
		p.Stop()
	}
}

// Several programs on one machine may have the port, and each hears all, whatever is in it.
func TestIPv6SharesThePort(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "a", "b")
	a, b := hosts[0], hosts[1]
	lab.Link(t, a, "fe80::1/64", b, "")
	members := []*harness.Program{
		joined6(harness.Go(t, b), "eth0"), joined6(harness.Node(t, b), "eth0"), joined6(harness.Go(t, b), "eth0"),
	}
	out := sender6(t, a, "eth0", "[fe80::1%eth0]:1000")
	for data, shown := range map[string]string{"": "", "你好": "你好", strings.Repeat("x", 64): strings.Repeat("x", 64), strings.Repeat("y", 65527): strings.Repeat("y", 64)} {
		send6(t, out, linkGroup, data)
		for _, p := range members {
			p.Line(said6("[fe80::1%eth0]:1000", 1, shown))
		}
	}
	for _, p := range members {
		p.Stop()
	}
}

// With port 0 the system chooses one, and the message goes to that.
func TestIPv6AnyPort(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "a", "b")
	lab.Link(t, hosts[0], "fe80::1/64", hosts[1], "")
	for _, language := range languages {
		p := language(t, hosts[0])("multicast/ipv6", "--interface", "eth0", "--group", "[ff12::1234]:0", "--message", "hello")
		port := p.Line(`listening on \[(?:::|ff12::1234)\]:(\d+)`)[0]
		p.Line("joined ff12::1234 on eth0")
		p.Line(`sent 5 bytes to \[ff12::1234%eth0\]:` + port)
		p.Line(said6("[fe80::1%eth0]:"+port, 1, "hello"))
		p.Stop()
	}
}

// An interface that has no IPv6, as its packets are too small (RFC 8200, section 5),
// cannot be joined on.
func TestIPv6Off(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "a", "b")
	lab.Link(t, hosts[0], "", hosts[1], "")
	hosts[0].SetMTU(t, "eth0", 1279)
	peer.Refuses(t, hosts[0], "multicast/ipv6", "join ff12::1234 on eth0: setsockopt: .*", "-interface", "eth0")
}

// Node wants a zone; an interface's name alone is EINVAL. Go binds [::] for a group.
func TestIPv6Names(t *testing.T) {
	t.Parallel()
	hosts := chosen(t, "a", "b")
	lab.Link(t, hosts[0], "fe80::1/64", hosts[1], "")
	node := harness.NodeScript(t, hosts[0], `
		const socket = require('dgram').createSocket({ type: 'udp6', reuseAddr: true })
		socket.bind(8080, () => {
			for (const name of ['::%eth0', 'eth0', 'fe80::1'])
				try { socket.addMembership('ff12::1234', name); console.log('joined') } catch (err) { console.log(err.code) }
			socket.close()
		})`)
	node.Line("joined")
	node.Line("EINVAL")
	node.Line("EADDRINUSE") // without a zone: the route's interface, here the same
	node.Exit(0)
	assert.Equal(t, peer.ListenUDP(t, hosts[0], "udp6", linkGroup).LocalAddr().String(), "[::]:8080")
}

// On lo one may join. To send there Linux has no route.
func TestIPv6Loopback(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		if !peer.InOurNode(t) { // Node joins below, before it sends
			p := joined6(start, "lo")
			assert.Assert(t, slices.Contains(peer.MembershipsIPv6(t, h, "lo"), "ff12::1234"))
			p.Stop()
		}
		p := joined6(start, "lo", "--message", "hello")
		p.ExitSaying(1, `ipv6: .*(network is unreachable|ENETUNREACH).*\n`)
	})
}
