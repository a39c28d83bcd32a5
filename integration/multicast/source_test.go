package multicast

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
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

// It prints what its source sends, and nothing of another sender: on lo that is the
// machine at another of its addresses.
func TestSourceChooses(t *testing.T) {
	lab.Require(t, "namespaces", lab.Isolated())
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		p := start("multicast/source")
		p.Line(`listening on (?:0\.0\.0\.0|232\.185\.192\.108):8080`)
		p.Line(`joined 232\.185\.192\.108 from 127\.0\.0\.1 on lo`)
		to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.SourceGroup))
		all := peer.Member(t, h, peer.SourceGroup, "lo")
		other := peer.Sender(t, h, "lo", net.IPv4(127, 0, 0, 2))
		_, err := other.WriteTo([]byte("other"), nil, to)
		assert.NilError(t, err)
		_, _, src := peer.Hear(t, all)
		assert.Equal(t, src, other.LocalAddr().String())

		out := peer.Sender(t, h, "lo", net.IPv4(127, 0, 0, 1))
		for _, c := range []struct {
			ttl         int
			data, shown string
		}{
			{0, "", `""`}, {1, "\n", `"\\n"`}, {2, strings.Repeat("x", 64), `"x{64}"`},
			{128, strings.Repeat("x", 65), `"x{64}"`}, {255, strings.Repeat("x", 65507), `"x{64}"`},
		} {
			assert.NilError(t, out.SetMulticastTTL(c.ttl))
			_, err := out.WriteTo([]byte(c.data), nil, to)
			assert.NilError(t, err)
			p.Line(fmt.Sprintf(`%v(?: TTL %d)?: %s`, out.LocalAddr(), c.ttl, c.shown)) // Node cannot ask for the TTL
		}
		p.Stop()
	})
}

// A port that somebody does not share is told, and no group joined.
func TestSourcePortInUse(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.ListenUDP(t, h, "udp4", "0.0.0.0:8080")
	peer.Refuses(t, h, "multicast/source", `listen udp4 232\.185\.192\.108:8080: bind: address already in use`)
}
