package multicast

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// A program that cannot join says so and ends: it would wait for nothing.
func TestMembershipJoinRefused(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	var err error
	h.Do(func() { err = os.WriteFile("/proc/sys/net/ipv4/igmp_max_memberships", []byte("0"), 0) })
	assert.NilError(t, err)
	group := strings.TrimSuffix(peer.NotesGroup, ":8080")
	for _, section := range []string{"client", "loopback", "membership"} {
		peer.Refuses(t, h, "multicast/"+section, "join "+group+" on lo: setsockopt: no buffer space available")
	}
	peer.Refuses(t, h, "multicast/source", `join 232\.185\.192\.108 from 127\.0\.0\.1 on lo: setsockopt: no buffer space available`)
}

// The host on the other side of the link sees the reports that tell routers
// and switches of the member, and that it has gone, while the program goes on.
func TestMembershipOnTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, join, leave, leaveTo string
	}{
		{"2", "v2 report", "v2 leave", "224.0.0.2"},
		{"3", "v3 change to exclude none", "v3 change to include none", "224.0.0.22"},
	} {
		t.Run("IGMPv"+c.version, func(t *testing.T) {
			t.Parallel()
			a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
			lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
			peer.SetSysctl(t, a, "net/ipv4/conf/eth0/force_igmp_version", c.version)
			tap := tapMulticast(t, b, "eth0")
			p := harness.Start(t, a, "multicast/membership", "-interface", "eth0", "-leave-after", "100ms")
			p.Ready()
			p.Line("joined .* on eth0")
			message, packet := tap.said("230.185.192.108", "")
			assert.Equal(t, message, c.join)
			assert.Equal(t, net.IP(packet[12:16]).String(), "10.0.0.1")
			assert.Equal(t, packet[8], byte(1)) // TTL: IGMP does not leave the link
			p.Line("left .* on eth0")
			message, packet = tap.said("230.185.192.108", c.join)
			assert.Equal(t, message, c.leave)
			assert.Equal(t, net.IP(packet[16:20]).String(), c.leaveTo)
			p.Stop()
		})
	}
}

// To the network the members of one machine are one: that the second joins and
// leaves while the first stays is not told.
func TestMembershipOneHostOneMember(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2", "3"} {
		t.Run("IGMPv"+version, func(t *testing.T) {
			t.Parallel()
			a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
			lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
			peer.SetSysctl(t, a, "net/ipv4/conf/eth0/force_igmp_version", version)
			first := joined(t, a, "-interface", "eth0")
			tap := tapMulticast(t, b, "eth0")
			p := leaver(t, a, "-interface", "eth0", "-leave-after", "1ms")
			p.Line("left .* on eth0")
			last := joined(t, a, "-interface", "eth0", "-group", "239.9.9.9:8080") // reported, as the first of its group
			var said []string
			for {
				packet, _ := tap.next(unix.IPPROTO_IGMP)
				said = append(said, igmpMessages(packet, "230.185.192.108")...)
				if len(igmpMessages(packet, "239.9.9.9")) > 0 {
					break
				}
			}
			for _, message := range said { // repeated in case of loss
				assert.Assert(t, message == "v2 report" || message == "v3 change to exclude none", message)
			}
			for _, p := range []*harness.Program{first, p, last} {
				p.Stop()
			}
		})
	}
}

// After leaving it prints nothing, although another program is a member and so
// the kernel goes on giving it the group's datagrams.
func TestMembershipSilentAfterLeaving(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client := joined(t, h)
		p := member(start, "multicast/membership", "--leave-after", "1ms")
		p.Line(`left 230\.185\.192\.108 on lo`)
		fds := peer.SocketsOf(t, p)
		assert.Equal(t, len(fds), 1)

		from := marker(t, h)
		client.Line(from + ` TTL 128: ".*"`)
		// What the client was given, the program was: see that it has read it.
		peer.Until(t, "it has read that", func() bool {
			n, err := unix.IoctlGetInt(fds[0], unix.SIOCINQ) // udp(7)
			assert.NilError(t, err)
			return n == 0
		})
		p.Signal(syscall.SIGTERM)
		p.Line("closed") // and not the datagram
		p.Exit(0)
		client.Stop()
	})
}

// One that was held up past the moment at which it leaves prints first what came in
// time.
func TestMembershipHeldUp(t *testing.T) {
	peer.HeldUp(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		const leaveAfter = 2 * time.Second // to stop it in time
		p := member(start, "multicast/membership", "--leave-after", "0m"+leaveAfter.String())
		peer.Until(t, "it waits with a timeout", func() bool { return peer.Polls(t, p, leaveAfter) })
		peer.Freeze(t, p)
		frozen := time.Now()
		from := []string{marker(t, h), marker(t, h)}
		peer.Until(t, "its time is over", func() bool { return time.Since(frozen) > leaveAfter })
		p.Signal(syscall.SIGCONT)
		for _, from := range from {
			p.Line(heard(from, `".*"`))
		}
		p.Line(`left .*`)
		p.Stop()
	})
}

// rejoin joins again where an interface was removed and made anew under its name:
// it has another index then, and no members. It returns the interface that it is on now.
func rejoin(p *ipv4.PacketConn, group net.Addr, was *net.Interface) (*net.Interface, error) {
	is, err := net.InterfaceByName(was.Name)
	if err != nil || is.Index == was.Index {
		return was, err // it is not there, or as it was
	}
	p.LeaveGroup(was, group) // else the old membership counts against igmp_max_memberships
	if err := p.JoinGroup(is, group); err != nil {
		return was, err // the next call tries it again
	}
	return is, nil
}

// A membership does not outlive its interface: one that is removed and made again, with
// the same name and address, has no members, and nobody tells the socket. The interface's
// index is another then.
func TestMembershipInterfaceMadeAnew(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	group := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup))
	p, was := peer.Member(t, a, peer.NotesGroup, "eth0"), peer.InterfaceOf(t, a, "eth0")
	again := func() (is *net.Interface, err error) {
		a.Do(func() { is, err = rejoin(p, group, was) })
		return is, err
	}
	is, err := again()
	assert.NilError(t, err)
	assert.Equal(t, is.Index, was.Index) // nothing to do

	lab.Unlink(t, a, b)
	_, err = again()
	assert.ErrorContains(t, err, "no such network interface")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), []string{"224.0.0.1"})
	marker(t, b, "-interface", "eth0") // which the kernel drops

	peer.SetSysctl(t, a, "net/ipv4/igmp_max_memberships", "1") // the old one counts until it is left
	assert.ErrorIs(t, p.JoinGroup(peer.InterfaceOf(t, a, "eth0"), group), unix.ENOBUFS)
	peer.SetSysctl(t, a, "net/ipv4/igmp_max_memberships", "0")
	is, err = again()
	assert.ErrorIs(t, err, unix.ENOBUFS)
	assert.Equal(t, is.Index, was.Index)
	peer.SetSysctl(t, a, "net/ipv4/igmp_max_memberships", "1")
	is, err = again()
	assert.NilError(t, err)
	assert.Assert(t, is.Index != was.Index)
	assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), []string{"230.185.192.108", "224.0.0.1"})
	from := marker(t, b, "-interface", "eth0")
	_, cm, src := peer.Hear(t, p)
	assert.Equal(t, src, from) // and nothing before
	assert.Equal(t, cm.Dst.String(), "230.185.192.108")
	assert.ErrorIs(t, p.LeaveGroup(was, group), unix.EADDRNOTAVAIL) // it has left that
}

// In Node addMembership once more tells: it throws EADDRINUSE as long as the socket is a
// member, and joins if the interface was made anew.
func TestMembershipNodeJoinsAgain(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	p := harness.NodeScript(t, a, `
const socket = require('dgram').createSocket({ type: 'udp4', reuseAddr: true })
let last
socket.bind(8080, '230.185.192.108', () => setInterval(() => {
  let now = 'joined'
  try { socket.addMembership('230.185.192.108', '10.0.0.1') } catch (err) { now = err.code }
  if (now !== last) console.log(last = now)
}, 10))
socket.on('message', (data, rinfo) => console.log(rinfo.address))
`)
	p.Line("joined")
	p.Line("EADDRINUSE")
	lab.Unlink(t, a, b)
	p.Line("ENODEV")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	p.Line("joined")
	p.Line("EADDRINUSE")
	marker(t, b, "-interface", "eth0")
	p.Line("10.0.0.2")
	stopNode(p)
}

// One that is down for a while, and up again, keeps its members, and reports them anew.
func TestMembershipInterfaceDown(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	peer.SetSysctl(t, a, "net/ipv4/conf/eth0/force_igmp_version", "3")
	client := joined(t, a, "-interface", "eth0")
	a.Unplug(t, "eth0")
	tap := tapMulticast(t, b, "eth0")
	a.Plug(t, "eth0")
	message, _ := tap.said("230.185.192.108", "")
	assert.Equal(t, message, "v3 change to exclude none")
	client.Line(marker(t, b, "-interface", "eth0") + ` TTL 128: ".*"`)
	client.Stop()
}

// A socket that has left, or has never joined, is given what any member on the
// machine is; with IP_MULTICAST_ALL off it is not.
func TestMembershipIPMulticastAll(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	left, never := peer.Member(t, h, peer.NotesGroup, "lo"), peer.ListenUDP(t, h, "udp4", peer.NotesGroup)
	assert.NilError(t, left.LeaveGroup(peer.LoopbackOf(t, h), &net.UDPAddr{IP: net.IPv4(230, 185, 192, 108)}))

	from := marker(t, h)
	client.Line(from + ` TTL 128: ".*"`)
	_, _, src := peer.Hear(t, left)
	assert.Equal(t, src, from)
	_, addr, err := never.ReadFrom(make([]byte, 100))
	assert.NilError(t, err)
	assert.Equal(t, addr.String(), from)

	raw, err := never.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
	}))
	assert.NilError(t, err)
	client.Line(marker(t, h) + ` TTL 128: ".*"`)
	out := peer.Sender(t, h, "lo", net.IPv4(127, 0, 0, 1))
	left.Close() // else it would get all that is unicast to the port
	client.Stop()
	_, err = out.WriteTo([]byte("unicast"), nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080})
	assert.NilError(t, err)
	_, addr, err = never.ReadFrom(make([]byte, 100))
	assert.NilError(t, err)
	assert.Equal(t, addr.String(), out.LocalAddr().String()) // and not what came in between
}

// Joining twice and leaving what was not joined are errors; the same group on
// another interface is another membership.
func TestMembershipTwice(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	p := peer.Member(t, a, peer.NotesGroup, "lo")
	lo, eth0 := peer.LoopbackOf(t, a), peer.InterfaceOf(t, a, "eth0")
	group := &net.UDPAddr{IP: net.IPv4(230, 185, 192, 108)}
	other := &net.UDPAddr{IP: net.IPv4(239, 1, 2, 3)}

	err := p.JoinGroup(lo, group)
	assert.Assert(t, errors.Is(err, unix.EADDRINUSE), "%v", err)
	err = p.LeaveGroup(lo, other)
	assert.Assert(t, errors.Is(err, unix.EADDRNOTAVAIL), "%v", err)
	assert.NilError(t, p.JoinGroup(eth0, group))
	assert.NilError(t, p.LeaveGroup(lo, group))
	err = p.LeaveGroup(lo, group)
	assert.Assert(t, errors.Is(err, unix.EADDRNOTAVAIL), "%v", err)
	assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), []string{"230.185.192.108", "224.0.0.1"})
}

// Workers of a Node cluster share one socket, and so the second join is EADDRINUSE. A
// socket that is not bound is bound by joining, to a free port.
func TestMembershipNodeCluster(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	p := harness.Node(t, h)("testdata/cluster.js")
	p.Line("joined")
	p.Line("EADDRINUSE")
	p.Line(`0\.0\.0\.0 [1-9]\d*`)
	p.Exit(0)
}

// A socket may be in igmp_max_memberships groups (the kernel's ip-sysctl.rst), 20 unless
// somebody has set it.
func TestMembershipLimit(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	var text []byte
	var err error
	h.Do(func() { text, err = os.ReadFile("/proc/sys/net/ipv4/igmp_max_memberships") })
	assert.NilError(t, err)
	assert.Equal(t, string(text), "20\n") // a namespace has the kernel's own
	p := ipv4.NewPacketConn(peer.ListenUDP(t, h, "udp4", "0.0.0.0:0"))
	lo := peer.LoopbackOf(t, h)
	for i := range byte(20) {
		assert.NilError(t, p.JoinGroup(lo, &net.UDPAddr{IP: net.IPv4(239, 1, 1, i)}))
	}
	err = p.JoinGroup(lo, &net.UDPAddr{IP: net.IPv4(239, 1, 1, 20)})
	assert.ErrorIs(t, err, unix.ENOBUFS)
}

// A member reports that it joins and that it leaves; what is sent afterwards
// still crosses this cable, where nobody listens to reports.
func TestMembershipWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := harness.Start(t, client, "multicast/membership", "-interface", "eth0", "-leave-after", "4s")
	p.Await(`joined .*`)
	c.Await("the join", peer.Seen(wire.IGMPJoin, 1))
	marker(t, server, "-interface", "eth0")
	p.Line(`\S+` + ttl(128) + `: ".*"`)
	p.Line(`left .*`)
	c.Await("the leave", peer.Seen(wire.IGMPLeave, 1))
	marker(t, server, "-interface", "eth0")
	d := wire.Diagram(c.Await("both datagrams", peer.Seen(wire.UDP, 2)),
		wire.Party{Name: "membership", Addr: "10.0.0.2"}, wire.Party{Name: "server", Addr: "10.0.0.1"})
	harness.Drawn(t, "membership", d)
	p.Stop()
}
