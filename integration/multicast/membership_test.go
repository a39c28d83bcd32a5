package multicast

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
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
	membership.Line(`listening on (?:0\.0\.0\.0|230\.185\.192\.108):8080`)
	membership.Line(`joined 230\.185\.192\.108 on lo`)
	send := func(ttl string) {
		p := harness.Start(t, h, "multicast/ttl", "-ttl", ttl)
		from := p.Line(`sending to \S+ from (\S+:\d+) on lo`)[0]
		p.Line("sent TTL " + ttl)
		p.Exit(0)
		peer.KeepPort(t, h, from)
		client.Line(fmt.Sprintf(`%s TTL %s: "TTL %[2]s"`, from, ttl))
	}
	send("1")
	membership.Line(`\S+` + ttl(1) + `: "TTL 1"`)
	membership.Line(`left 230\.185\.192\.108 on lo`)
	send("2")
	membership.Signal(syscall.SIGTERM)
	membership.Line("closed")
	membership.Exit(0)
	client.Stop()
	harness.Transcript(t, "membership.txt", membership, client)
}

// As long as it is a member it prints as client does: what comes to its own group by
// its own interface, quoted, and a signal ends it.
func TestMembershipPrints(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		const other = "239.1.2.3:8080"
		stranger := joined(t, h, "-group", other)
		peer.StopBy(t, func() *harness.Program {
			p := member(start, "multicast/membership", "--leave-after", "3600s")
			stranger.Line(marker(t, h, "-group", other) + ` TTL 128: ".*"`) // and nothing of this
			out := peer.Sender(t, h, peer.LoopbackOf(t, h).Name, net.IPv4(127, 0, 0, 1))
			to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup))
			assert.NilError(t, out.SetMulticastTTL(7))
			for _, c := range []struct{ data, shown string }{
				{"", `""`}, {"caf\u00e9\n", `"café\\n"`}, {strings.Repeat("x", 65507), `"x{64}"`},
			} {
				_, err := out.WriteTo([]byte(c.data), nil, to)
				assert.NilError(t, err)
				p.Line(regexp.QuoteMeta(out.LocalAddr().String()) + `(?: TTL 7)?: ` + c.shown)
			}
			return p
		})
		stranger.Stop()
	})
}

// It stays a member for -leave-after, no shorter and no longer.
func TestMembershipLeaveAfter(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		// Had both left after the same time, then the one that joined first would
		// have gone before the other.
		long := member(start, "multicast/membership", "--group", "239.0.0.1:8080", "--leave-after", "720h") // more than setTimeout takes
		begin := time.Now()
		short := member(start, "multicast/membership", "--group", "239.0.0.2:8080", "--leave-after", "1s")
		short.Line(`left 239\.0\.0\.2 on lo`)
		assert.Assert(t, time.Since(begin) >= time.Second)
		assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"239.0.0.1", "224.0.0.1"})
		short.Stop()
		long.Stop()
	})
}

// 0 could mean at once, or never: it is refused.
func TestMembershipRefuses(t *testing.T) {
	t.Parallel()
	peer.Refuses(t, lab.NewHost(t, "h"), "multicast/membership", `want .*-leave-after above 0.*`, "-leave-after", "0")
}

// The kernel's list has the group while the program says it is a member, on the
// interface that it says; after leaving the port is still taken.
func TestMembershipInTheKernel(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		b := lab.NewHost(t, "b")
		lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
		const group = "230.185.192.108"
		none := []string{"224.0.0.1"}

		p := member(start, "multicast/membership", "--leave-after", "3600s", "--interface", "eth0")
		assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), []string{group, "224.0.0.1"})
		assert.DeepEqual(t, peer.Memberships(t, a, "lo"), none)
		p.Stop() // closing leaves as well
		assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), none)

		if !peer.InOurNode(t) { // it has no part in that
			p = member(start, "multicast/membership", "--interface", "eth0")
			assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), []string{group, "224.0.0.1"})
			p.Signal(syscall.SIGKILL) // so does being killed
			p.ExitSaying(-1, "")
			assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), none)
		}

		p = member(start, "multicast/membership", "--leave-after", "1ms", "--interface", "eth0")
		p.Line(`left 230\.185\.192\.108 on eth0`)
		assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), none)
		var err error
		a.Do(func() { _, err = net.ListenPacket("udp4", "0.0.0.0:8080") })
		assert.Assert(t, errors.Is(err, syscall.EADDRINUSE), "%v", err)
		p.Stop()
	})
}

// The machine is a member as long as one of its sockets is.
func TestMembershipOfTheMachine(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	p := leaver(t, h, "-leave-after", "1ms")
	p.Line(`left 230\.185\.192\.108 on lo`)
	assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"230.185.192.108", "224.0.0.1"})
	client.Line(marker(t, h) + ` TTL 128: ".*"`)
	client.Stop()
	assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"224.0.0.1"})
	p.Stop()
}
