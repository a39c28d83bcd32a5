package multicast

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// choosy starts source and returns it once it is a member.
func choosy(t *testing.T, on *lab.Host, args ...string) *harness.Program {
	t.Helper()
	p := harness.Start(t, on, "multicast/source", args...)
	p.Ready()
	p.Line(`joined \S+ from \S+ on \S+`)
	return p
}

// It prints as client does: quoted, cut to 64 bytes, with the TTL, until a signal.
func TestSourceShowsData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	out := peer.Sender(t, h, peer.LoopbackOf(t, h).Name, net.IPv4(127, 0, 0, 1))
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := choosy(t, h)
		for _, c := range []struct {
			ttl         int
			data, shown string
		}{
			{0, "", `""`}, {1, "\x00\n", `"\\x00\\n"`}, {2, strings.Repeat("x", 64), `"x{64}"`},
			{128, strings.Repeat("x", 65), `"x{64}"…`}, {255, strings.Repeat("x", 65507), `"x{64}"…`},
		} {
			assert.NilError(t, out.SetMulticastTTL(c.ttl))
			_, err := out.WriteTo([]byte(c.data), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.SourceGroup)))
			assert.NilError(t, err)
			p.Line(fmt.Sprintf("%v TTL %d: %s", out.LocalAddr(), c.ttl, c.shown))
		}
		p.Signal(sig)
		p.Line("closed")
		p.Exit(0)
	}
}

func TestSourceFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Fails(t, h, `source: interface "nope0": no such network interface`, "multicast/source", "-interface", "nope0")
	peer.ListenUDP(t, h, "udp4", "0.0.0.0:8080")
	peer.Fails(t, h, "source: listen udp4 232.185.192.108:8080: bind: address already in use", "multicast/source")
}

// Both hear the sender that they were asked to hear, and no other: on lo it is the
// machine at one of its addresses.
func TestSourceNode(t *testing.T) {
	lab.Require(t, "namespaces", lab.Isolated())
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		c := client("multicast/source")
		c.Line(`listening on (?:0\.0\.0\.0|232\.185\.192\.108):8080`)
		c.Line(`joined 232\.185\.192\.108 from 127\.0\.0\.1 on lo`)
		all := peer.Member(t, h, peer.SourceGroup, "lo")
		other := peer.Sender(t, h, "lo", net.IPv4(127, 0, 0, 2))
		_, err := other.WriteTo([]byte("other"), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.SourceGroup)))
		assert.NilError(t, err)
		_, _, src := peer.Hear(t, all)
		assert.Equal(t, src, other.LocalAddr().String())
		s := server("multicast/server", "--group", peer.SourceGroup, "--count", "1")
		from := sending(s, peer.SourceGroup, "lo", 128, "on")
		c.Line(heard(from, s.Line(`sent 19 bytes: (".*")`)[0])) // and not the other's
		s.Exit(0)
		c.Stop()
	})
}
