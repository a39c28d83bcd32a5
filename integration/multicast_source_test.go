package integration

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
)

// sourceGroup is the default group of multicast/source.
const sourceGroup = "232.185.192.108:8080"

// choosy starts source and returns it once it is a member.
func choosy(t *testing.T, on *lab.Host, args ...string) *harness.Program {
	t.Helper()
	p := harness.Start(t, on, "multicast/source", args...)
	p.Ready()
	p.Line(`joined \S+ from \S+ on \S+`)
	return p
}

// It prints as client does: quoted, cut to 64 bytes, with the TTL, until a signal.
func TestMulticastSourceShowsData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	out := sender(t, h, loopbackOf(t, h).Name, net.IPv4(127, 0, 0, 1))
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
			_, err := out.WriteTo([]byte(c.data), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(sourceGroup)))
			assert.NilError(t, err)
			p.Line(fmt.Sprintf("%v TTL %d: %s", out.LocalAddr(), c.ttl, c.shown))
		}
		p.Signal(sig)
		p.Line("closed")
		p.Exit(0)
	}
}

func TestMulticastSourceCommandLine(t *testing.T) {
	t.Parallel()
	var wrong []misuse
	for _, addr := range []string{"", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1"} {
		shown := addr
		if addr == "" {
			shown = "invalid IP"
		}
		wrong = append(wrong, misuse{[]string{"-source", addr}, `source: -source "` + shown + `" is not the IPv4 address of a host`})
	}
	testCommandLine(t, "multicast/source", "group=232.185.192.108:8080 source=127.0.0.1 interface", append(wrong,
		misuse{[]string{"-group", "192.0.2.1:8080"}, `source: -group "192.0.2.1:8080" is not an IPv4 multicast address and a port`},
		misuse{[]string{"-group", "[ff32::1]:8080"}, `source: -group "[ff32::1]:8080" is not an IPv4 multicast address and a port`},
		misuse{[]string{"-group", "nonsense"}, `invalid value "nonsense" for flag -group: not an ip:port`},
		misuse{[]string{"-source", "localhost"}, `invalid value "localhost" for flag -source: ParseAddr("localhost"): unable to parse IP`},
	)...)
}

func TestMulticastSourceFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	testFailure(t, h, `source: interface "nope0": no such network interface`, "multicast/source", "-interface", "nope0")
	listenUDP(t, h, "udp4", "0.0.0.0:8080")
	testFailure(t, h, "source: listen udp4 232.185.192.108:8080: bind: address already in use", "multicast/source")
}
