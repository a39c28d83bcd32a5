package multicast

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// The kernel has TTL 0, and loopback off for the second datagram.
func TestLoopbackOptions(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "b"), "10.0.0.2/24")
		p := start("multicast/loopback", "--interface", "eth0", "--wait", "1h")
		p.Line(`sending to .*`)
		p.Line("loopback on: heard") // and now it waits for the second
		var ttl, loop int
		peer.Until(t, "loopback is off", func() bool {
			for _, fd := range peer.SocketsOf(t, p) {
				if n, err := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL); err == nil {
					ttl = n
					loop, err = unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP)
					assert.NilError(t, err)
				}
			}
			return loop == 0
		})
		assert.Equal(t, ttl, 0)
		p.Stop()
	})
}

// What is on the receiver does not count on Linux: a member with loopback off
// receives what a sender on its machine sends.
func TestLoopbackIsTheSenders(t *testing.T) {
	t.Parallel()
	a := lab.NewHost(t, "a")
	lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "b"), "10.0.0.2/24")
	near := peer.Member(t, a, peer.NotesGroup, "eth0")
	assert.NilError(t, near.SetMulticastLoopback(false))
	from := marker(t, a, "-interface", "eth0")
	_, _, src := peer.Hear(t, near)
	assert.Equal(t, src, from)
}

// A program that is stopped until -wait has passed looks once more before it says
// that there was nothing: here a datagram has come in the meantime.
func TestLoopbackHeldUp(t *testing.T) {
	peer.HeldUp(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		const wait = 2 * time.Second // to stop it in time
		lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "b"), "10.0.0.2/24")
		near := peer.Member(t, a, peer.NotesGroup, "eth0")
		p := start("multicast/loopback", "--interface", "eth0", "--wait", "0m"+wait.String())
		text, _, _ := peer.Hear(t, near)
		p.Line(`sending to .*`)
		p.Line("loopback on: heard")
		peer.Until(t, "it waits with a timeout", func() bool { return peer.Polls(t, p, wait) })
		peer.Freeze(t, p)
		frozen := time.Now()
		// No network brings a datagram late when we want it: we send one like its second.
		// Before it others come, so that one read after the deadline is not enough.
		out := peer.Sender(t, a, "eth0", net.IPv4(10, 0, 0, 1))
		second := "loopback off" + strings.TrimPrefix(text, "loopback on")
		for _, data := range append(slices.Repeat([]string{"noise"}, 20), second) {
			_, err := out.WriteTo([]byte(data), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup)))
			assert.NilError(t, err)
		}
		peer.Until(t, "its time is up", func() bool { return time.Since(frozen) > wait })
		p.Signal(syscall.SIGCONT)
		p.Line("loopback off: heard")
		p.Line(`eth0 returns .*`)
		p.Exit(0)
	})
}

// A signal comes before the first datagram: neither the option nor the read of a
// socket that was closed on purpose is a failure.
func TestLoopbackSignalFirst(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	p := peer.StartDeaf(t, lab.NewHost(t, "h"), "multicast/loopback", 0)
	p.AwaitLine()
	p.Signal(syscall.SIGTERM)
	peer.Until(t, "its socket is closed", func() bool { return p.Sockets() == 0 })
	p.HearClosed()
}

// The datagrams stay on the machine, and the membership is reported all the same: the
// neighbours see the join and the leave.
func TestLoopbackWire(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	c := wire.Start(t, b, "eth0")
	p := harness.Start(t, a, "multicast/loopback", "-interface", "eth0")
	p.Await("loopback off: silent")
	p.Exit(0)
	c.Await("the leave", peer.Seen(wire.IGMPLeave, 1))
	d := wire.Diagram(c.Settle(), wire.Party{Name: "loopback", Addr: "10.0.0.1"}, wire.Party{Name: "neighbour", Addr: "10.0.0.2"})
	harness.Drawn(t, "loopback", d)
}
