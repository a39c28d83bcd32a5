package broadcast

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Data is shown quoted and cut, an empty datagram too.
func TestClientShowsData(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client := start("broadcast/client", "--addr", "127.0.0.1:8080")
		client.Line(`listening on 127\.0\.0\.1:8080`)
		conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
		for _, c := range [][2]string{
			{"", `""`}, {"你好\n", `"你好\\n"`}, {strings.Repeat("x", 64), `"x{64}"`}, {strings.Repeat("x", 65), `"x{64}"`},
		} {
			peer.SendUDP(t, conn, netip.MustParseAddrPort("127.0.0.1:8080"), c[0])
			client.Line(fmt.Sprintf(`\Q%v\E: %s`, peer.AddrOf(conn), c[1]))
		}
		client.Stop()
	})
}

// A signal ends it.
func TestClientStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.StopBy(t, func() *harness.Program {
			p := start("broadcast/client", "--addr", "127.0.0.1:8080")
			p.Ready()
			return p
		})
	})
}

// The port is taken if only one of the programs has not said that it would share it.
func TestClientPortTaken(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.ListenUDP(t, h, "udp4", "0.0.0.0:8080")
		start("broadcast/client").ExitSaying(1, `client: .*127\.255\.255\.255:8080.*\n`)
	})
}

// A group is refused: Go would listen on 0.0.0.0, Node on the group, and neither joins
// it. So is IPv6, which has no broadcast.
func TestClientRefuses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Refuses(t, h, "broadcast/client", `want .*no multicast group.* "239\.1\.1\.1:8080" \[\]`, "-addr", "239.1.1.1:8080")
	harness.Node(t, h)("broadcast/client", "--addr", "239.1.1.1:8080").
		ExitSaying(1, `client: bind 239\.1\.1\.1:8080: a multicast group has to be joined, see multicast:client\n`)
	peer.Refuses(t, h, "broadcast/client", "address ::1: no suitable address found", "-addr", "[::1]:8080")
}

// On Linux a unicast datagram is received by one of the clients that share a port,
// by the last to bind; a broadcast by each of them.
func TestClientUnicastReachesOne(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		if runtime.GOOS != "linux" {
			t.Skip("which one, is the system's affair")
		}
		clients := []*harness.Program{harness.Start(t, h, "broadcast/client", "-addr", "0.0.0.0:8080")}
		clients[0].Ready()
		clients = append(clients, start("broadcast/client", "--addr", "0.0.0.0:8080"))
		clients[1].Ready()
		for _, to := range []string{"127.0.0.1:8080", "127.255.255.255:8080"} {
			data, port := broadcastOnce(t, harness.Go(t, h), to)
			line := `127\.0\.0\.1:` + port + `: ` + data
			clients[1].Line(line)
			if to != "127.0.0.1:8080" {
				clients[0].Line(line) // and not the one before
			}
		}
		for _, c := range clients {
			c.Stop()
		}
	})
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
