package multicast

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// On lo both datagrams come back, and the program says why; on a link the one sent
// with loopback off does not.
func TestLoopbackHears(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lo := peer.LoopbackOf(t, h).Name
		p := start("multicast/loopback", "--wait", "30s")
		p.Line(`sending to 230\.185\.192\.108:8080 on ` + lo + `, TTL 0`)
		p.Line("loopback on: heard")
		p.Line("loopback off: heard")
		p.Line(lo + " returns everything that is sent on it: try -interface with a network card's name")
		p.Exit(0)

		if peer.InOurNode(t) {
			return // TestLoopbackWait has a link
		}
		lab.Link(t, h, "10.0.0.1/24", lab.NewHost(t, "far"), "10.0.0.2/24")
		p = start("multicast/loopback", "--interface", "eth0")
		p.Line(`sending to 230\.185\.192\.108:8080 on eth0, TTL 0`)
		p.Line("loopback on: heard")
		p.Line("loopback off: silent")
		p.Exit(0)
	})
}

// The program with nothing but its defaults, as the page shows it.
func TestLoopbackTranscript(t *testing.T) {
	t.Parallel()
	a := lab.NewHost(t, "a")
	lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "b"), "10.0.0.2/24")
	lo, eth0 := harness.Start(t, a, "multicast/loopback"), harness.Start(t, a, "multicast/loopback", "-interface", "eth0")
	for p, last := range map[*harness.Program]string{lo: "lo returns .*", eth0: "loopback off: silent"} {
		p.Await(last)
		p.Exit(0)
	}
	harness.Transcript(t, "loopback.txt", lo, eth0)
}

// Another member on the machine receives what the program receives, and a host on the
// link neither datagram, because the program is a member and their TTL is 0.
func TestLoopbackOffTheWire(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		b := lab.NewHost(t, "b")
		lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
		near, far := joined(t, a, "-interface", "eth0"), joined(t, b, "-interface", "eth0")
		p := start("multicast/loopback", "--interface", "eth0", "--wait", "100ms")
		near.Line(`10\.0\.0\.1:8080 TTL 0: "loopback on \d+"`)
		p.Await("loopback off: silent")
		p.Exit(0)
		from := marker(t, a, "-interface", "eth0")
		near.Line(from + ` TTL 128: ".*"`) // and not "loopback off"
		far.Line(from + ` TTL 128: ".*"`)  // and neither of them
		near.Stop()
		far.Stop()
	})
}

// Silence is -wait long, what others send does not break it, and a signal ends the
// wait.
func TestLoopbackWait(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "b"), "10.0.0.2/24")
		out := peer.Sender(t, a, "eth0", net.IPv4(10, 0, 0, 1))
		begin := time.Now()
		p := start("multicast/loopback", "--interface", "eth0", "--wait", "600ms")
		p.Line(`sending to .*`)
		p.Line("loopback on: heard")
		_, err := out.WriteTo([]byte("loopback off 1"), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup)))
		assert.NilError(t, err)
		p.Line("loopback off: silent")
		p.Exit(0)
		assert.Assert(t, time.Since(begin) >= 600*time.Millisecond)

		peer.StopBy(t, func() *harness.Program {
			p := start("multicast/loopback", "--interface", "eth0", "--wait", "720h")
			p.Line(`sending to .*`)
			p.Line("loopback on: heard")
			return p
		})
	})
}

// It sends by the interface on which it is a member, though another has the same
// address.
func TestLoopbackInterface(t *testing.T) {
	t.Parallel()
	a := lab.NewHost(t, "a")
	lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "b"), "")
	lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "c"), "")
	for _, ifname := range []string{"eth0", "eth1"} {
		p := harness.Start(t, a, "multicast/loopback", "-interface", ifname, "-wait", "200ms")
		p.Line(`sending to \S+ on ` + ifname + `, TTL 0`)
		p.Line("loopback on: heard")
		p.Line("loopback off: silent")
		p.Exit(0)
	}
}

// Several of them at once do not take each other's datagrams for their own.
func TestLoopbackSideBySide(t *testing.T) {
	t.Parallel()
	a := lab.NewHost(t, "a")
	lab.Link(t, a, "10.0.0.1/24", lab.NewHost(t, "b"), "10.0.0.2/24")
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

// A port that somebody does not share is told, and no group joined.
func TestLoopbackPortInUse(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.ListenUDP(t, h, "udp4", "0.0.0.0:8080")
		start("multicast/loopback").ExitSaying(1, `loopback: .*(in use|EADDRINUSE).*\n`)
	})
}
