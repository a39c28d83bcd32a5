package multicast

import (
	"fmt"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// A port that another socket has, and does not share, is refused.
func TestIPv6PortTaken(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	taken := peer.AddrOf(peer.ListenUDP(t, h, "udp6", "[::]:0")).Port()
	peer.Refuses(t, h, "multicast/ipv6", `listen udp6 \[ff12::1234\]:\d+: bind: .*in use.*`, "-group", fmt.Sprintf("[ff12::1234]:%d", taken))
}

// A group is in ff00::/8, has no zone, which is the interface's affair, and a hop limit is
// of 8 bits.
func TestIPv6Refuses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, args := range [][]string{
		{"-group", "[fe80::1]:8080"}, {"-group", "[ff12::1234%lo]:8080"}, {"-group", "230.185.192.108:8080"},
		{"-group", "[::ffff:230.185.192.108]:8080"}, {"-hops", "256"}, {"-hops", "4294967297"},
	} {
		peer.Refuses(t, h, "multicast/ipv6", `want a -group in ff00::/8, without a zone, -hops to 255 .*`, args...)
	}
	for _, hops := range []string{"256", "4294967297", "abc"} { // Node would send the last two with 1 and 0
		harness.Node(t, h)("multicast/ipv6", "--hops", hops).ExitSaying(1, "ipv6: want --hops from 0 to 255, not "+hops+`\n`)
	}
}
