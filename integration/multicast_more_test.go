package integration

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// leaver starts membership and returns it once it is a member.
func leaver(t *testing.T, on *lab.Host, args ...string) *harness.Program {
	p := harness.Start(t, on, "multicast/membership", args...)
	p.Ready()
	p.Line(`joined \S+ on \S+`)
	return p
}

// sendTTLs runs ttl with the list and tells from where it sent.
func sendTTLs(t *testing.T, on *lab.Host, list string, args ...string) (from string) {
	t.Helper()
	p := harness.Start(t, on, "multicast/ttl", append(args, "-ttl", list)...)
	from = p.Line(`sending to \S+ from (\S+:\d+) on \S+`)[0]
	for _, ttl := range strings.Split(list, ",") {
		p.Line("sent TTL " + ttl)
	}
	p.Exit(0)
	return from
}

// sender is a plain socket that sends to groups by the loopback interface, or
// from an address by its own.
func sender(t *testing.T, on *lab.Host, ifname string, ip net.IP) *ipv4.PacketConn {
	t.Helper()
	conn := listenUDP(t, on, "udp4", net.JoinHostPort(ip.String(), "0"))
	p := ipv4.NewPacketConn(conn)
	assert.NilError(t, p.SetMulticastInterface(interfaceOf(t, on, ifname)))
	return p
}

// One datagram before leaving and one after, which another program still hears.
func TestMulticastMembershipTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	membership := harness.Start(t, h, "multicast/membership", "-leave-after", "2s")
	membership.Line(`listening on 0\.0\.0\.0:8080`)
	membership.Line(`joined 230\.185\.192\.108 on lo`)
	send := func(ttl string) *harness.Program {
		p := harness.Start(t, h, "multicast/ttl", "-ttl", ttl)
		from := p.Line(`sending to \S+ from (\S+:\d+) on lo`)[0]
		p.Line("sent TTL " + ttl)
		p.Exit(0)
		client.Line(fmt.Sprintf(`%s TTL %s: "TTL %[2]s"`, from, ttl))
		return p
	}
	before := send("1")
	membership.Line(`\S+ TTL 1: "TTL 1"`)
	membership.Line(`left 230\.185\.192\.108 on lo`)
	after := send("2")
	membership.Signal(syscall.SIGTERM)
	membership.Line("closed")
	membership.Exit(0)
	client.Stop()
	harness.Transcript(t, "multicast/membership.txt", membership, client, before, after)
}

// As long as it is a member it prints as client does: its own group, quoted,
// with the TTL, and a signal ends it.
func TestMulticastMembershipHears(t *testing.T) {
	t.Parallel()
	const other = "239.1.2.3:8080"
	h := lab.NewHost(t, "h")
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := leaver(t, h, "-leave-after", "1h")
		stranger := joined(t, h, "-group", other)
		stranger.Line(marker(t, h, "-group", other) + ` TTL 128: ".*"`)
		from := sendTTLs(t, h, "0,1,2,128,255")
		for _, ttl := range []string{"0", "1", "2", "128", "255"} { // and nothing of the other group
			p.Line(fmt.Sprintf(`%s TTL %s: "TTL %[2]s"`, from, ttl))
		}
		out := sender(t, h, loopbackOf(t, h).Name, net.IPv4(127, 0, 0, 1))
		to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(notesGroup))
		for _, c := range []struct{ data, shown string }{
			{"", `""`}, {"\x00\n", `"\\x00\\n"`},
			{strings.Repeat("x", 64), `"x{64}"`}, {strings.Repeat("x", 65), `"x{64}"…`}, {strings.Repeat("x", 65507), `"x{64}"…`},
		} {
			_, err := out.WriteTo([]byte(c.data), nil, to)
			assert.NilError(t, err)
			p.Line(out.LocalAddr().String() + ` TTL 1: ` + c.shown)
		}
		p.Signal(sig)
		p.Line("closed")
		p.Exit(0)
		stranger.Stop()
	}
}

// It stays a member for -leave-after, no shorter and no longer.
func TestMulticastMembershipLeaveAfter(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	begin := time.Now()
	p := leaver(t, h, "-leave-after", "300ms")
	p.Line("left .*")
	assert.Assert(t, time.Since(begin) >= 300*time.Millisecond)
	p.Stop()

	// Had both left after the same time, then the one that joined first would
	// have gone before the other.
	long := leaver(t, h, "-group", "239.0.0.1:8080", "-leave-after", "1h")
	short := leaver(t, h, "-group", "239.0.0.2:8080", "-leave-after", "1ms")
	short.Line(`left 239\.0\.0\.2 on lo`)
	assert.DeepEqual(t, memberships(t, h, "lo"), []string{"239.0.0.1", "224.0.0.1"})
	short.Stop()
	long.Stop()
}

// The kernel's list has the group while the program says it is a member, on the
// interface that it says; after leaving the port is still taken.
func TestMulticastMembershipInTheKernel(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	const group = "230.185.192.108"
	none := []string{"224.0.0.1"}

	p := leaver(t, a, "-leave-after", "1h", "-interface", "eth0")
	assert.DeepEqual(t, memberships(t, a, "eth0"), []string{group, "224.0.0.1"})
	assert.DeepEqual(t, memberships(t, a, "lo"), none)
	p.Stop() // closing leaves as well
	assert.DeepEqual(t, memberships(t, a, "eth0"), none)

	p = leaver(t, a, "-interface", "eth0")
	assert.DeepEqual(t, memberships(t, a, "eth0"), []string{group, "224.0.0.1"})
	p.Signal(syscall.SIGKILL) // so does being killed
	p.ExitSaying(-1, "")
	assert.DeepEqual(t, memberships(t, a, "eth0"), none)

	p = leaver(t, a, "-leave-after", "1ms", "-interface", "eth0")
	p.Line(`left 230\.185\.192\.108 on eth0`)
	assert.DeepEqual(t, memberships(t, a, "eth0"), none)
	var err error
	a.Do(func() { _, err = net.ListenPacket("udp4", "0.0.0.0:8080") })
	assert.Assert(t, errors.Is(err, syscall.EADDRINUSE), "%v", err)
	p.Stop()

	// The machine is a member as long as one of its sockets is.
	client := joined(t, a)
	p = leaver(t, a, "-leave-after", "1ms")
	p.Line(`left 230\.185\.192\.108 on lo`)
	assert.DeepEqual(t, memberships(t, a, "lo"), []string{group, "224.0.0.1"})
	client.Line(marker(t, a) + ` TTL 128: ".*"`)
	client.Stop()
	assert.DeepEqual(t, memberships(t, a, "lo"), none)
	p.Stop()
}

func TestMulticastMembershipCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "multicast/membership", "group interface leave-after",
		misuse{[]string{"-group", "192.0.2.1:8080"}, `membership: -group "192.0.2.1:8080" is not an IPv4 multicast address and a port`},
		misuse{[]string{"-group", "[ff02::1]:8080"}, `membership: -group "[ff02::1]:8080" is not an IPv4 multicast address and a port`},
		misuse{[]string{"-group", "nonsense"}, `invalid value "nonsense" for flag -group: not an ip:port`},
		misuse{[]string{"-leave-after", "0"}, "membership: -leave-after 0s is not positive"},
		misuse{[]string{"-leave-after", "-1s"}, "membership: -leave-after -1s is not positive"},
		misuse{[]string{"-leave-after", "soon"}, `invalid value "soon" for flag -leave-after: parse error`},
	)
}

func TestMulticastMembershipFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	testFailure(t, h, `membership: interface "nope0": no such network interface`, "multicast/membership", "-interface", "nope0")
	listenUDP(t, h, "udp4", "0.0.0.0:8080")
	testFailure(t, h, "membership: listen udp4 230.185.192.108:8080: bind: address already in use", "multicast/membership")
}

func TestMulticastTTLTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	ttl := harness.Start(t, h, "multicast/ttl")
	from := ttl.Line(`sending to 230\.185\.192\.108:8080 from (127\.0\.0\.1:\d+) on lo`)[0]
	for _, n := range []int{0, 1, 2, 128} {
		ttl.Line(fmt.Sprintf("sent TTL %d", n))
		client.Line(fmt.Sprintf(`%s TTL %d: "TTL %[2]d"`, from, n))
	}
	ttl.Exit(0)
	client.Stop()
	harness.Transcript(t, "multicast/ttl.txt", client, ttl)
}

// One datagram for each value, in the order of the list; any TTL is heard on
// the machine itself.
func TestMulticastTTLAsReceived(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	plain := member(t, h, notesGroup, "lo")
	for _, list := range [][]int{{7}, {255, 0, 1, 2, 2, 64, 128, 254}} {
		text := strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
		from := sendTTLs(t, h, text)
		for _, ttl := range list {
			data, cm, src := hear(t, plain)
			assert.Equal(t, src, from)
			assert.Equal(t, cm.TTL, ttl)
			assert.Equal(t, cm.Dst.String(), "230.185.192.108")
			assert.Equal(t, data, fmt.Sprintf("TTL %d", ttl))
		}
	}
	// No more than that were sent.
	from := marker(t, h)
	_, _, src := hear(t, plain)
	assert.Equal(t, src, from)
}

// By default nothing leaves the machine, whatever the TTL.
func TestMulticastTTLStaysHome(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	far := joined(t, b, "-interface", "eth0")
	sendTTLs(t, a, "0,1,2,128,255")
	far.Line(sendTTLs(t, a, "9", "-interface", "eth0") + ` TTL 9: "TTL 9"`)
	far.Stop()
}

// -interface decides, not the source address: here two interfaces have the same.
func TestMulticastTTLInterface(t *testing.T) {
	t.Parallel()
	a := lab.NewHost(t, "a")
	var far []*harness.Program
	for _, name := range []string{"b", "c"} {
		h := lab.NewHost(t, name)
		lab.Link(t, a, "10.0.0.1/24", h, "10.0.0.2/24")
		far = append(far, joined(t, h, "-interface", "eth0"))
	}
	for i, client := range far {
		ifname := fmt.Sprintf("eth%d", i)
		client.Line(sendTTLs(t, a, "5", "-interface", ifname) + ` TTL 5: "TTL 5"`)
		client.Line(marker(t, a, "-interface", ifname) + ` TTL 128: ".*"`)
	}
	for _, client := range far {
		client.Stop()
	}
}

func TestMulticastTTLCommandLine(t *testing.T) {
	t.Parallel()
	list := func(list, item string) misuse {
		return misuse{[]string{"-ttl", list}, fmt.Sprintf("invalid value %q for flag -ttl: %q is not a number from 0 to 255", list, item)}
	}
	testCommandLine(t, "multicast/ttl", "group interface ttl",
		list("256", "256"), list("-1", "-1"), list("far", "far"), list("", ""), list("1,", ""), list("1,,2", ""),
		list("0,1,2,300", "300"), list("1;2", "1;2"), list("1.5", "1.5"), list("0x10", "0x10"),
		misuse{[]string{"-group", "192.0.2.1:8080"}, `ttl: -group "192.0.2.1:8080" is not an IPv4 multicast address and a port`},
		misuse{[]string{"-group", "230.185.192.108:0"}, `ttl: -group "230.185.192.108:0" is not an IPv4 multicast address and a port`},
		misuse{[]string{"-group", "nonsense"}, `invalid value "nonsense" for flag -group: not an ip:port`},
	)
}

func TestMulticastTTLFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	testFailure(t, h, `ttl: interface "nope0": no such network interface`, "multicast/ttl", "-interface", "nope0")
}

// On lo both datagrams come back, and the program says why; on a link the one
// sent with loopback off does not.
func TestMulticastLoopbackTranscript(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	lo := harness.Start(t, a, "multicast/loopback")
	lo.Line(`sending to 230\.185\.192\.108:8080 from 127\.0\.0\.1:\d+ on lo, TTL 0`)
	lo.Line("loopback on: heard")
	lo.Line("loopback off: heard")
	lo.Line("lo returns everything that is sent on it: try -interface with a network card's name")
	lo.Exit(0)
	eth0 := harness.Start(t, a, "multicast/loopback", "-interface", "eth0")
	eth0.Line(`sending to 230\.185\.192\.108:8080 from 10\.0\.0\.1:\d+ on eth0, TTL 0`)
	eth0.Line("loopback on: heard")
	eth0.Line("loopback off: silent")
	eth0.Exit(0)
	harness.Transcript(t, "multicast/loopback.txt", lo, eth0)
}

// Another member on the machine hears what the program hears, and a host on the
// link hears neither datagram, because the program is a member and their TTL is 0.
func TestMulticastLoopbackOffTheWire(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	near, far := joined(t, a, "-interface", "eth0"), joined(t, b, "-interface", "eth0")
	p := harness.Start(t, a, "multicast/loopback", "-interface", "eth0", "-wait", "100ms")
	from := p.Line(`sending to \S+ from (\S+) on eth0, TTL 0`)[0]
	near.Line(from + ` TTL 0: "loopback on"`)
	p.Line("loopback on: heard")
	p.Line("loopback off: silent")
	p.Exit(0)
	from = marker(t, a, "-interface", "eth0")
	near.Line(from + ` TTL 128: ".*"`) // and not "loopback off"
	far.Line(from + ` TTL 128: ".*"`)  // and neither of them
	near.Stop()
	far.Stop()
}

// Silence is -wait long, what others send does not break it, and a signal
// ends the wait.
func TestMulticastLoopbackWait(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	out := sender(t, a, "eth0", net.IPv4(10, 0, 0, 1))
	begin := time.Now()
	p := harness.Start(t, a, "multicast/loopback", "-interface", "eth0", "-wait", "600ms")
	p.Line(`sending to .*`)
	p.Line("loopback on: heard")
	_, err := out.WriteTo([]byte("loopback off"), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(notesGroup)))
	assert.NilError(t, err)
	p.Line("loopback off: silent")
	p.Exit(0)
	assert.Assert(t, time.Since(begin) >= 600*time.Millisecond)

	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := harness.Start(t, a, "multicast/loopback", "-interface", "eth0", "-wait", "1h")
		p.Line(`sending to .*`)
		p.Line("loopback on: heard")
		p.Signal(sig)
		p.Line("closed")
		p.Exit(0)
	}
}

// It sends by the interface on which it is a member, though another has the
// same address.
func TestMulticastLoopbackInterface(t *testing.T) {
	t.Parallel()
	a := lab.NewHost(t, "a")
	lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "b"), "")
	lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "c"), "")
	for _, ifname := range []string{"eth0", "eth1"} {
		p := harness.Start(t, a, "multicast/loopback", "-interface", ifname, "-wait", "200ms")
		p.Line(`sending to \S+ from 10\.0\.0\.1:\d+ on ` + ifname + `, TTL 0`)
		p.Line("loopback on: heard")
		p.Line("loopback off: silent")
		p.Exit(0)
	}
}

// Several of them at once do not take each other's datagrams for their own.
func TestMulticastLoopbackSideBySide(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	var all []*harness.Program
	for range 4 {
		all = append(all, harness.Start(t, a, "multicast/loopback", "-interface", "eth0", "-wait", "300ms"))
	}
	for _, p := range all {
		p.Line(`sending to .*`)
		p.Line("loopback on: heard")
		p.Line("loopback off: silent")
		p.Exit(0)
	}
}

func TestMulticastLoopbackCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "multicast/loopback", "group interface wait",
		misuse{[]string{"-group", "192.0.2.1:8080"}, `loopback: -group "192.0.2.1:8080" is not an IPv4 multicast address and a port`},
		misuse{[]string{"-group", "230.185.192.108:0"}, `loopback: -group "230.185.192.108:0" is not an IPv4 multicast address and a port`},
		misuse{[]string{"-group", "nonsense"}, `invalid value "nonsense" for flag -group: not an ip:port`},
		misuse{[]string{"-wait", "0"}, "loopback: -wait 0s is not positive"},
		misuse{[]string{"-wait", "-1s"}, "loopback: -wait -1s is not positive"},
		misuse{[]string{"-wait", "long"}, `invalid value "long" for flag -wait: parse error`},
	)
}

func TestMulticastLoopbackFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	testFailure(t, h, `loopback: interface "nope0": no such network interface`, "multicast/loopback", "-interface", "nope0")
	listenUDP(t, h, "udp4", "0.0.0.0:8080")
	testFailure(t, h, "loopback: listen udp4 230.185.192.108:8080: bind: address already in use", "multicast/loopback")
}

func TestMulticastScopesTranscript(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, lab.NewHost(t, "h"), "multicast/scopes",
		"224.0.0.1", "224.0.1.1", "230.185.192.108", "232.1.2.3", "239.192.0.1", "239.255.0.1", "ff02::1", "ff15::1234")
	for range p.Args {
		p.Line(`\S+: [a-z-]+, \S+, .+`)
	}
	p.Exit(0)
	harness.Transcript(t, "multicast/scopes.txt", p)
}

// The first and the last address of every range.
func TestMulticastScopesEdges(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, r := range []struct{ scope, first, last, use string }{
		{"link-local", "224.0.0.0", "224.0.0.255", "local network control block"},
		{"global", "224.0.1.0", "224.0.1.255", "internetwork control block"},
		{"global", "224.0.2.0", "224.0.255.255", "AD-HOC block I"},
		{"global", "224.1.0.0", "224.1.255.255", "reserved"},
		{"global", "224.2.0.0", "224.2.255.255", "SDP/SAP block"},
		{"global", "224.3.0.0", "224.4.255.255", "AD-HOC block II"},
		{"global", "224.5.0.0", "224.255.255.255", "reserved"},
		{"global", "225.0.0.0", "231.255.255.255", "reserved"},
		{"global", "232.0.0.0", "232.255.255.255", "source-specific multicast (RFC 4607)"},
		{"global", "233.0.0.0", "233.251.255.255", "GLOP block (RFC 3180)"},
		{"global", "233.252.0.0", "233.255.255.255", "AD-HOC block III"},
		{"global", "234.0.0.0", "234.255.255.255", "unicast-prefix-based (RFC 6034)"},
		{"global", "235.0.0.0", "238.255.255.255", "reserved"},
		{"administrative", "239.0.0.0", "239.191.255.255", "for the growth of the organization-local scope"},
		{"administrative", "239.192.0.0", "239.195.255.255", "organization-local scope"},
		{"administrative", "239.196.0.0", "239.252.255.255", "unassigned"},
		{"administrative", "239.253.0.0", "239.254.255.255", "for the growth of the local scope"},
		{"administrative", "239.255.0.0", "239.255.255.255", "local scope"},
	} {
		line := fmt.Sprintf(": %s, %s-%s, %s\n", r.scope, r.first, r.last, r.use)
		stdout, stderr, code := harness.Run(t, h, "multicast/scopes", r.first, r.last, "::ffff:"+r.last)
		assert.Equal(t, stdout, r.first+line+r.last+line+r.last+line)
		assert.Equal(t, stderr, "")
		assert.Equal(t, code, 0)
	}
}

// IPv6: the fourth digit is the scope, the third the flags.
func TestMulticastScopesIPv6(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	var addrs []string
	var want strings.Builder
	expect := func(addr, line string) {
		addrs = append(addrs, addr)
		fmt.Fprintf(&want, "%s: %s\n", addr, line)
	}
	for digit, scope := range []string{
		"reserved", "interface-local", "link-local", "realm-local", "admin-local", "site-local", "unassigned", "unassigned",
		"organization-local", "unassigned", "unassigned", "unassigned", "unassigned", "unassigned", "global", "reserved",
	} {
		expect(fmt.Sprintf("ff0%x::1", digit), fmt.Sprintf("%s, ff0%x::/16, permanent", scope, digit))
	}
	expect("ff02::1%eth0", "link-local, ff02::/16, permanent")
	expect("ff12:ffff::1", "link-local, ff12::/16, transient")
	expect("ff3e:20:2001:db8::1", "global, ff3e::/16, unicast-prefix-based (RFC 3306)")
	expect("ff3e::8000:1", "global, ff3e::/32, source-specific multicast (RFC 4607)")
	expect("ff75:140:2001:db8::1", "site-local, ff75::/16, embedded rendezvous point (RFC 3956)")
	expect("ff25::1", "site-local, ff25::/16, reserved")
	expect("ff85::1", "site-local, ff85::/16, reserved")
	expect("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved, ffff::/16, reserved")
	stdout, stderr, code := harness.Run(t, h, "multicast/scopes", addrs...)
	assert.Equal(t, stdout, want.String())
	assert.Equal(t, stderr, "")
	assert.Equal(t, code, 0)
}

// What is no multicast address is told, one line each, and the others all the same.
func TestMulticastScopesFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	stdout, stderr, code := harness.Run(t, h, "multicast/scopes",
		"223.255.255.255", "nonsense", "224.0.0.1", "240.0.0.0", "127.0.0.1", "255.255.255.255", "::1", "feff::1", "",
		"224.0.0.1:8080", "a\nb", "::ffff:10.0.0.1", "239.255.255.250")
	assert.Equal(t, code, 1)
	assert.Equal(t, stdout, `224.0.0.1: link-local, 224.0.0.0-224.0.0.255, local network control block
239.255.255.250: administrative, 239.255.0.0-239.255.255.255, local scope
`)
	assert.Equal(t, stderr, `scopes: classify 223.255.255.255: not a multicast address
scopes: classify "nonsense": not an IP address
scopes: classify 240.0.0.0: not a multicast address
scopes: classify 127.0.0.1: not a multicast address
scopes: classify 255.255.255.255: not a multicast address
scopes: classify ::1: not a multicast address
scopes: classify feff::1: not a multicast address
scopes: classify "": not an IP address
scopes: classify "224.0.0.1:8080": not an IP address
scopes: classify "a\nb": not an IP address
scopes: classify 10.0.0.1: not a multicast address
`)
	testFailure(t, h, "scopes: classify 192.0.2.1: not a multicast address", "multicast/scopes", "192.0.2.1")
	testFailure(t, h, `scopes: classify "x": not an IP address`, "multicast/scopes", "x")
}

// What Go itself knows of an address's scope.
func TestMulticastScopesInGo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		addr                       string
		multicast, link, ifc, site bool
	}{
		{addr: "223.255.255.255"},
		{addr: "224.0.0.1", multicast: true, link: true},
		{addr: "224.0.1.1", multicast: true},
		{addr: "239.255.0.1", multicast: true, site: true},
		{addr: "ff01::1", multicast: true, ifc: true},
		{addr: "ff02::1", multicast: true, link: true},
		{addr: "ff05::1", multicast: true},
	} {
		addr := netip.MustParseAddr(c.addr)
		assert.Equal(t, addr.IsMulticast(), c.multicast, c.addr)
		assert.Equal(t, addr.IsLinkLocalMulticast(), c.link, c.addr)
		assert.Equal(t, addr.IsInterfaceLocalMulticast(), c.ifc, c.addr)
		assert.Equal(t, netip.MustParsePrefix("239.0.0.0/8").Contains(addr), c.site, c.addr)
	}
}

func TestMulticastScopesCommandLine(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	stdout, help, code := harness.Run(t, h, "multicast/scopes", "-h")
	assert.Equal(t, code, 0)
	assert.Equal(t, stdout, "")
	assert.Equal(t, help, "scopes shows how far multicast addresses may reach: its arguments are the addresses.\n")
	for message, args := range map[string][]string{
		"scopes: no address\n":                       nil,
		"flag provided but not defined: -nonsense\n": {"-nonsense", "224.0.0.1"},
	} {
		stdout, stderr, code := harness.Run(t, h, "multicast/scopes", args...)
		assert.Equal(t, code, 2)
		assert.Equal(t, stdout, "")
		assert.Equal(t, stderr, message+help)
	}
}

// Of unicast, one of two sockets on a port gets all; of multicast, both.
func TestMulticastClientUnicastOnASharedPort(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	plain := []*ipv4.PacketConn{member(t, h, notesGroup, "lo"), member(t, h, notesGroup, "lo")}
	out := sender(t, h, "lo", net.IPv4(127, 0, 0, 1))
	for _, to := range []string{"127.0.0.1:8080", notesGroup} {
		_, err := out.WriteTo([]byte(to), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
		assert.NilError(t, err)
	}
	unicast := 0
	for _, p := range plain {
		data, _, _ := hear(t, p)
		if data == "127.0.0.1:8080" {
			unicast++
			data, _, _ = hear(t, p)
		}
		assert.Equal(t, data, notesGroup)
	}
	assert.Equal(t, unicast, 1)
}
