package multicast

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// leaver starts membership and returns it once it is a member.
func leaver(t *testing.T, on *lab.Host, args ...string) *harness.Program {
	p := harness.Start(t, on, "multicast/membership", args...)
	p.Ready()
	p.Line(`joined \S+ on \S+`)
	return p
}

// One datagram before leaving and one after, which another program still hears.
func TestMembershipTranscript(t *testing.T) {
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
		peer.KeepPort(t, h, from)
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
	harness.Transcript(t, "membership.txt", membership, client, before, after)
}

// As long as it is a member it prints as client does: its own group, quoted,
// with the TTL, and a signal ends it.
func TestMembershipHears(t *testing.T) {
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
		out := peer.Sender(t, h, peer.LoopbackOf(t, h).Name, net.IPv4(127, 0, 0, 1))
		to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup))
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
func TestMembershipLeaveAfter(t *testing.T) {
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
	assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"239.0.0.1", "224.0.0.1"})
	short.Stop()
	long.Stop()
}

// The kernel's list has the group while the program says it is a member, on the
// interface that it says; after leaving the port is still taken.
func TestMembershipInTheKernel(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	const group = "230.185.192.108"
	none := []string{"224.0.0.1"}

	p := leaver(t, a, "-leave-after", "1h", "-interface", "eth0")
	assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), []string{group, "224.0.0.1"})
	assert.DeepEqual(t, peer.Memberships(t, a, "lo"), none)
	p.Stop() // closing leaves as well
	assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), none)

	p = leaver(t, a, "-interface", "eth0")
	assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), []string{group, "224.0.0.1"})
	p.Signal(syscall.SIGKILL) // so does being killed
	p.ExitSaying(-1, "")
	assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), none)

	p = leaver(t, a, "-leave-after", "1ms", "-interface", "eth0")
	p.Line(`left 230\.185\.192\.108 on eth0`)
	assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), none)
	var err error
	a.Do(func() { _, err = net.ListenPacket("udp4", "0.0.0.0:8080") })
	assert.Assert(t, errors.Is(err, syscall.EADDRINUSE), "%v", err)
	p.Stop()

	// The machine is a member as long as one of its sockets is.
	client := joined(t, a)
	p = leaver(t, a, "-leave-after", "1ms")
	p.Line(`left 230\.185\.192\.108 on lo`)
	assert.DeepEqual(t, peer.Memberships(t, a, "lo"), []string{group, "224.0.0.1"})
	client.Line(marker(t, a) + ` TTL 128: ".*"`)
	client.Stop()
	assert.DeepEqual(t, peer.Memberships(t, a, "lo"), none)
	p.Stop()
}

func TestMembershipFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Fails(t, h, `membership: interface "nope0": no such network interface`, "multicast/membership", "-interface", "nope0")
	peer.ListenUDP(t, h, "udp4", "0.0.0.0:8080")
	peer.Fails(t, h, "membership: listen udp4 230.185.192.108:8080: bind: address already in use", "multicast/membership")
}

func TestMembershipNode(t *testing.T) {
	lab.Require(t, "namespaces", lab.Isolated())
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("multicast/server", "--interval", "10ms")
		from := sending(s, peer.NotesGroup, "lo", 128, "on")
		c := client("multicast/membership", "--leave-after", "1s")
		groupOf(c)
		c.Line(heard(from, `".*"`))
		c.Await(`left 230\.185\.192\.108 on lo`)
		assert.Assert(t, !slices.Contains(peer.Memberships(t, h, "lo"), "230.185.192.108"))
		// Another program of the machine is a member, so that the socket hears the
		// group still. The program keeps it to itself.
		other := joined(t, h)
		for range 3 {
			other.Line(heard(from, `".*"`))
		}
		c.Signal(syscall.SIGTERM)
		c.Line("closed")
		c.Exit(0)
		other.Stop()
		s.Stop()
	})
}
