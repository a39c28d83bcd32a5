package udp_server

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// truncating starts the program, and returns a socket that sends to it.
func truncating(t *testing.T, h *lab.Host, ip string, args ...string) (p *harness.Program, addr netip.AddrPort, conn *net.UDPConn) {
	t.Helper()
	p = harness.Start(t, h, "udp_server/truncated", append([]string{"-addr", ip + ":0"}, args...)...)
	return p, netip.MustParseAddrPort(p.Ready()), peer.ListenUDP(t, h, "udp", ip+":0")
}

// What fits comes back whole, an empty datagram and one that just fits too.
func TestTruncatedFits(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, ip := range []string{"127.0.0.1", "[::1]"} {
		p, addr, conn := truncating(t, h, ip)
		for _, size := range []int{0, 1, 15, 16} {
			roundTrip(t, conn, addr, pattern(size))
			p.Line(fmt.Sprintf(`\Q%v\E sent %d bytes: ".*"`, peer.AddrOf(conn), size))
		}
		p.Stop()
	}
}

// A buffer has room for a byte at least, or any datagram would be cut to nothing, and for
// 65535 at most: no datagram is longer.
func TestTruncatedBuffer(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, size := range []string{"0", "65536"} {
		peer.Refuses(t, h, "udp_server/truncated", "want .* -buffer 1 to 65535.*", "-buffer", size)
	}
	p, _, _ := truncating(t, h, "127.0.0.1", "-buffer", "65535")
	p.Stop()
}

// A buffer that is longer by one byte than what one accepts tells as much, on every system:
// what fills it was too long.
func TestTruncatedOneByteMore(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	in, out := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	const most = 5
	for _, c := range []struct {
		data string
		fits bool
	}{{"1234", true}, {"12345", true}, {"123456", false}} {
		peer.SendUDP(t, out, peer.AddrOf(in), c.data)
		n, _, err := in.ReadFromUDPAddrPort(make([]byte, most+1))
		assert.NilError(t, err)
		assert.Equal(t, n <= most, c.fits)
	}
}

// A multicast group is refused: a socket that has not joined it would wait in vain.
func TestTruncatedGroup(t *testing.T) {
	t.Parallel()
	refusesGroup(t, harness.Start(t, lab.NewHost(t, "h"), "udp_server/truncated", "-addr", "239.1.1.1:8080"), `239\.1\.1\.1:8080`)
}

func TestTruncatedStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, args := range [][]string{nil, {"-grow"}} {
		peer.StopBy(t, func() *harness.Program {
			p := harness.Start(t, h, "udp_server/truncated", append(args, "-addr", "127.0.0.1:0")...)
			p.Ready()
			return p
		})
	}
}
