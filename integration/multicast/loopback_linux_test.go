package multicast

import (
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// What the loopback program tells is what the kernel's options are.
func TestLoopbackOptions(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	p := harness.Start(t, a, "multicast/loopback", "-interface", "eth0", "-wait", "1h")
	from := p.Line(`sending to \S+ from (\S+) on eth0, TTL 0`)[0]
	p.Line("loopback on: heard") // and now it waits for the second
	port := int(netip.MustParseAddrPort(from).Port())
	fds := peer.SocketsOf(t, p)
	assert.Equal(t, len(fds), 2)
	i := slices.IndexFunc(fds, func(fd int) bool {
		name, err := unix.Getsockname(fd)
		in4, ok := name.(*unix.SockaddrInet4)
		return err == nil && ok && in4.Port == port
	})
	assert.Assert(t, i >= 0)
	ttl, err := unix.GetsockoptInt(fds[i], unix.IPPROTO_IP, unix.IP_MULTICAST_TTL)
	assert.NilError(t, err)
	assert.Equal(t, ttl, 0)
	// It may not have got there yet.
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		loop, err := unix.GetsockoptInt(fds[i], unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP)
		if err != nil {
			return poll.Error(err)
		} else if loop != 0 {
			return poll.Continue("loopback is on")
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(time.Millisecond))
	p.Signal(syscall.SIGTERM)
	p.Line("closed")
	p.Exit(0)
}

// What is on the receiver does not count on Linux: a member with loopback off
// hears what a sender on its machine sends.
func TestLoopbackIsTheSenders(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	near := peer.Member(t, a, peer.NotesGroup, "eth0")
	assert.NilError(t, near.SetMulticastLoopback(false))
	from := marker(t, a, "-interface", "eth0")
	_, _, src := peer.Hear(t, near)
	assert.Equal(t, src, from)
}

// A signal comes before the first datagram: neither the option nor the read of a
// socket that was closed on purpose is a failure.
func TestLoopbackSignalFirst(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	p := peer.StartDeaf(t, lab.NewHost(t, "h"), "multicast/loopback", 0)
	p.AwaitLine()
	p.Signal(syscall.SIGTERM)
	peer.Until(t, "one of its sockets is closed", func() bool { return p.Sockets() == 1 })
	p.HearClosed()
}
