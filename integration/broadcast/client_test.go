package broadcast

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Data is shown quoted and cut, an empty datagram too.
func TestClientShowsData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := harness.Start(t, h, "broadcast/client", "-addr", "127.0.0.1:0")
	addr := client.Ready()
	conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	for data, shown := range map[string]string{
		"": `""`, "你好\n": `"你好\\n"`, strings.Repeat("x", 64): `"x{64}"`, strings.Repeat("x", 65): `"x{64}"…`,
	} {
		to, err := netip.ParseAddrPort(addr)
		assert.NilError(t, err)
		peer.SendUDP(t, conn, to, data)
		client.Line(fmt.Sprintf(`\Q%v\E: %s`, peer.AddrOf(conn), shown))
	}
	client.Stop()
}

// Over IPv6 there is only unicast to hear. On a socket for both families an IPv4
// peer is shown as what it is.
func TestClientIPv6(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for addr, peers := range map[string][]string{"[::1]:0": {"::1"}, "[::]:0": {"::1", "127.0.0.1"}} {
		client := harness.Start(t, h, "broadcast/client", "-addr", addr)
		port := netip.MustParseAddrPort(client.Ready()).Port()
		for _, remote := range peers {
			ip := netip.MustParseAddr(remote)
			conn := peer.ListenUDP(t, h, "udp", netip.AddrPortFrom(ip, 0).String())
			peer.SendUDP(t, conn, netip.AddrPortFrom(ip, port), "x")
			client.Line(fmt.Sprintf(`\Q%v\E: "x"`, peer.AddrOf(conn)))
		}
		client.Stop()
	}
}

func TestClientStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.StopBy(t, func() *harness.Program {
		p := harness.Start(t, h, "broadcast/client", "-addr", "127.0.0.1:0")
		p.Ready()
		return p
	})
}

// A port that another has taken without saying that it would share it.
func TestClientFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.ListenUDP(t, h, "udp4", "0.0.0.0:8080")
	peer.Fails(t, h, "client: listen udp4 0.0.0.0:8080: bind: address already in use", "broadcast/client")
	peer.Unresolved(t, h, "broadcast/client")
}

// Bound to the machine's own address, a client in either language hears what is
// sent to that address, and no broadcast.
func TestClientNode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows gives such a socket broadcasts too")
	}
	same := func(t *testing.T, h *lab.Host, start harness.Starter) {
		c := start("broadcast/client", "--addr", "127.0.0.1:8080")
		c.Line(`listening on 127\.0\.0\.1:8080`)
		for _, to := range []string{"127.255.255.255:8080", "127.0.0.1:8080"} {
			s := start("broadcast/server", "--addr", to, "--count", "1")
			port := s.Line(`sending to ` + to + ` from 0\.0\.0\.0:(\d+)`)[0]
			sent := s.Line(`sent 19 bytes: (".*")`)[0]
			s.Exit(0)
			if to == "127.0.0.1:8080" {
				c.Line(`127\.0\.0\.1:` + port + `: ` + sent) // and not the one before
			}
		}
		c.Stop()
	}
	harness.Both(t, same)
}

// socat has to ask as well.
func TestClientSocat(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		socat := harness.Socat(t, h)
		c := start("broadcast/client")
		c.Ready()
		p := socat("-u", harness.SocatSays(t, "refused"), "UDP4-DATAGRAM:127.255.255.255:8080")
		p.Await(`.* E .*Permission denied`)
		p.Await(`.* exit\(1\)`)
		p.Exit(1)
		p = socat("-u", harness.SocatSays(t, "hello"), "UDP4-DATAGRAM:127.255.255.255:8080,broadcast")
		harness.SocatPrinted(t, p)
		c.Line(`127\.0\.0\.1:\d+: "hello"`)
		c.Stop()
	})
}
