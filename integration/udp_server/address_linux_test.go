package udp_server

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// The three lines say what the first line does, and what the kernel says of the
// program's socket.
func TestAddressParts(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, c := range []struct{ network, addr, ip, family string }{
			{"udp4", "127.0.0.1:0", "127.0.0.1", "IPv4"},
			{"udp4", "localhost:0", "127.0.0.1", "IPv4"},
			{"udp4", ":0", "0.0.0.0", "IPv4"},
			{"udp6", ":0", "::", "IPv6"},
		} {
			if peer.InOurNode(t) && (c.ip == "0.0.0.0" || c.addr == "127.0.0.1:0") {
				continue // what these two have, the other two have as well
			}
			p := start("udp_server/address", "--network", c.network, "--addr", c.addr)
			ready := netip.MustParseAddrPort(p.Ready())
			p.Line("address: " + c.ip)
			p.Line(fmt.Sprint("port: ", ready.Port()))
			p.Line("family: " + c.family)
			fds := peer.SocketsOf(t, p)
			assert.Equal(t, len(fds), 1)
			bound, err := unix.Getsockname(fds[0])
			assert.NilError(t, err)
			switch bound := bound.(type) {
			case *unix.SockaddrInet4:
				assert.Equal(t, netip.AddrPortFrom(netip.AddrFrom4(bound.Addr), uint16(bound.Port)), ready)
				assert.Equal(t, c.family, "IPv4")
			case *unix.SockaddrInet6:
				assert.Equal(t, netip.AddrPortFrom(netip.AddrFrom16(bound.Addr), uint16(bound.Port)), ready)
				assert.Equal(t, c.family, "IPv6")
			}
			assert.Equal(t, ready.Addr(), netip.MustParseAddr(c.ip))
			assert.Assert(t, ready.Port() != 0)
			peer.LetGo(t, fds[0])
			p.Stop()
		}
	})
}

// 0.0.0.0 is no address that a peer could have, and yet Linux sends what is for it to
// this machine.
func TestAddressUnspecified(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	in, out := peer.ListenUDP(t, h, "udp4", ":0"), peer.ListenUDP(t, h, "udp4", ":0")
	peer.SendUDP(t, out, netip.AddrPortFrom(netip.IPv4Unspecified(), peer.AddrOf(in).Port()), "here")
	data, from := peer.ReceiveUDP(t, in)
	assert.Equal(t, data, "here")
	assert.Equal(t, from, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), peer.AddrOf(out).Port()))
}

// A link-local address is printed with its zone; without one it cannot be bound.
func TestAddressZone(t *testing.T) {
	zone := func(missing string) func(t *testing.T, h *lab.Host, start harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			lab.Link(t, h, "fe80::1/64", lab.NewHost(t, "other"), "fe80::2/64")
			p := start("udp_server/address", "--network", "udp6", "--addr", "[fe80::1%eth0]:8080")
			p.Line(`listening on \[fe80::1%eth0\]:8080`)
			p.Line("address: fe80::1%eth0")
			p.Line("port: 8080")
			p.Line("family: IPv6")
			p.Stop()
			start("udp_server/address", "--network", "udp6", "--addr", "[fe80::1]:8080").ExitSaying(1, missing)
		}
	}
	harness.Compare(t, zone(`address: listen udp6 \[fe80::1\]:8080: bind: invalid argument\n`), zone(`address: bind EINVAL fe80::1:8080\n`))
}
