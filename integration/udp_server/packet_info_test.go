package udp_server

import (
	"fmt"
	"net/netip"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// It echoes, and tells the address that was asked and the interface, on a socket for one
// family or for both.
func TestPacketInfoEchoes(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	lo := peer.LoopbackOf(t, h).Name
	for _, c := range []struct{ listen, ask string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"[::1]:0", "::1"},
		{":0", "127.0.0.1"},
		{":0", "::1"},
	} {
		p := harness.Start(t, h, "udp_server/packet_info", "-addr", c.listen)
		to := netip.AddrPortFrom(netip.MustParseAddr(c.ask), netip.MustParseAddrPort(p.Ready()).Port())
		conn := peer.ListenUDP(t, h, "udp", netip.AddrPortFrom(to.Addr(), 0).String())
		for _, size := range []int{0, 1, 8000} {
			roundTrip(t, conn, to, pattern(size))
			p.Line(fmt.Sprintf(`\Q%v\E sent %d bytes to %s by %s: ".*"`, peer.AddrOf(conn), size, c.ask, lo))
		}
		p.Stop()
	}
}

// A multicast group is refused: a socket that has not joined it would wait in vain.
func TestPacketInfoGroup(t *testing.T) {
	t.Parallel()
	refusesGroup(t, harness.Start(t, lab.NewHost(t, "h"), "udp_server/packet_info", "-addr", "239.1.1.1:8080"), `239\.1\.1\.1:8080`)
}

func TestPacketInfoStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.StopBy(t, func() *harness.Program {
		p := harness.Start(t, h, "udp_server/packet_info")
		p.Ready()
		return p
	})
}
