package multicast

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
	"gotest.tools/v3/poll"

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
		peer.Fails(t, h, section+": join "+group+" on lo: setsockopt: no buffer space available", "multicast/"+section)
	}
	peer.Fails(t, h, "source: join 232.185.192.108 from 127.0.0.1 on lo: setsockopt: no buffer space available", "multicast/source")
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
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	p := leaver(t, h, "-leave-after", "1ms")
	p.Line(`left 230\.185\.192\.108 on lo`)
	fds := peer.SocketsOf(t, p)
	assert.Equal(t, len(fds), 1)

	from := marker(t, h)
	client.Line(from + ` TTL 128: ".*"`)
	// What the client was given, the program was: see that it has read it.
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		n, err := unix.IoctlGetInt(fds[0], unix.SIOCINQ) // udp(7)
		if err != nil {
			return poll.Error(err)
		} else if n > 0 {
			return poll.Continue("%d bytes are unread", n)
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(time.Millisecond))
	p.Signal(syscall.SIGTERM)
	p.Line("closed") // and not the datagram
	p.Exit(0)
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

// A socket may be in 20 groups (igmp_max_memberships in the kernel's ip-sysctl.rst).
func TestMembershipLimit(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	p := ipv4.NewPacketConn(peer.ListenUDP(t, h, "udp4", "0.0.0.0:0"))
	lo := peer.LoopbackOf(t, h)
	for i := range byte(20) {
		assert.NilError(t, p.JoinGroup(lo, &net.UDPAddr{IP: net.IPv4(239, 1, 1, i)}))
	}
	err := p.JoinGroup(lo, &net.UDPAddr{IP: net.IPv4(239, 1, 1, 20)})
	assert.Assert(t, errors.Is(err, unix.ENOBUFS), "%v", err)
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
	p.Line(`.* TTL 128: ".*"`)
	p.Line(`left .*`)
	c.Await("the leave", peer.Seen(wire.IGMPLeave, 1))
	marker(t, server, "-interface", "eth0")
	golden.Assert(t, wire.Diagram(c.Await("both datagrams", peer.Seen(wire.UDP, 2)),
		wire.Party{Name: "membership", Addr: "10.0.0.2"}, wire.Party{Name: "server", Addr: "10.0.0.1"}), "membership.mmd")
	p.Stop()
}
