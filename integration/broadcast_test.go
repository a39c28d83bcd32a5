package integration

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

const timePattern = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`

// broadcasting waits for the server's first line and returns from where it sends.
func broadcasting(p *harness.Program, to string) (port string) {
	return p.Line(`sending to \Q` + to + `\E from 0\.0\.0\.0:(\d+)`)[0]
}

// The two programs with their defaults, as the page shows them.
func TestBroadcastServerTranscript(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated()) // not every system's lo broadcasts
	h := lab.NewHost(t, "h")
	client := harness.Start(t, h, "broadcast/client")
	client.Line(`listening on 0\.0\.0\.0:8080`)
	server := harness.Start(t, h, "broadcast/server", "-count", "2")
	port := broadcasting(server, "127.255.255.255:8080")
	for range 2 {
		data := server.Line(`sent 19 bytes: ("` + timePattern + `")`)[0]
		client.Line(`127\.0\.0\.1:` + port + `: ` + data)
	}
	server.Exit(0)
	client.Stop()
	harness.Transcript(t, "broadcast/server.txt", client, server)
}

// To an address that is nobody's broadcast it is plain UDP, and one host hears it.
func TestBroadcastServerUnicast(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ host, ip, local string }{
		{"127.0.0.1", "127.0.0.1", "0.0.0.0"},
		{"[::1]", "[::1]", "[::]"},
		{"", "127.0.0.1", "0.0.0.0"}, // left out, it is this machine
	} {
		peer := listenUDP(t, h, "udp", c.ip+":0")
		to := fmt.Sprintf("%s:%d", c.host, addrOf(peer).Port())
		server := harness.Start(t, h, "broadcast/server", "-addr", to, "-count", "1")
		port := server.Line(fmt.Sprintf(`sending to \Q%s\E from \Q%s\E:(\d+)`, to, c.local))[0]
		data := server.Line(`sent 19 bytes: "(` + timePattern + `)"`)[0]
		got, from := receiveUDP(t, peer)
		assert.Equal(t, got, data)
		assert.Equal(t, from.String(), c.ip+":"+port)
		server.Exit(0)
	}
}

// -count ends it after so many, and not before; 0 is for ever.
func TestBroadcastServerCount(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer := listenUDP(t, h, "udp4", "127.0.0.1:0")
	for _, count := range []int{1, 3} {
		server := harness.Start(t, h, "broadcast/server", "-addr", peer.LocalAddr().String(), "-interval", "1ms", "-count", fmt.Sprint(count))
		broadcasting(server, peer.LocalAddr().String())
		for range count {
			server.Line(`sent .*`)
			receiveUDP(t, peer)
		}
		server.Exit(0)
	}
	server := harness.Start(t, h, "broadcast/server", "-addr", peer.LocalAddr().String(), "-interval", "1ms")
	broadcasting(server, peer.LocalAddr().String())
	for range 20 {
		server.Line(`sent .*`)
	}
	server.Stop()
}

func TestBroadcastServerStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer := listenUDP(t, h, "udp4", "127.0.0.1:0")
	stopBy(t, func() *harness.Program {
		// An hour between two: the signal does not wait for the next.
		p := harness.Start(t, h, "broadcast/server", "-addr", peer.LocalAddr().String(), "-interval", "1h")
		broadcasting(p, peer.LocalAddr().String())
		p.Line(`sent .*`)
		return p
	})
}

func TestBroadcastServerCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "broadcast/server", "addr=127.255.255.255:8080 interval=1s count",
		misuse{[]string{"-interval", "0"}, "server: -interval 0s is not positive"},
		misuse{[]string{"-interval", "-1s"}, "server: -interval -1s is not positive"},
		misuse{[]string{"-interval", "1"}, `invalid value "1" for flag -interval: parse error`},
		misuse{[]string{"-count", "-1"}, "server: -count -1 is negative"},
		misuse{[]string{"-count", "x"}, `invalid value "x" for flag -count: parse error`})
}

func TestBroadcastServerFailures(t *testing.T) {
	t.Parallel()
	testUnresolved(t, lab.NewHost(t, "h"), "broadcast/server")
}

// Data is shown quoted and cut, an empty datagram too.
func TestBroadcastClientShowsData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := harness.Start(t, h, "broadcast/client", "-addr", "127.0.0.1:0")
	addr := client.Ready()
	conn := listenUDP(t, h, "udp4", "127.0.0.1:0")
	for data, shown := range map[string]string{
		"": `""`, "你好\n": `"你好\\n"`, strings.Repeat("x", 64): `"x{64}"`, strings.Repeat("x", 65): `"x{64}"…`,
	} {
		to, err := netip.ParseAddrPort(addr)
		assert.NilError(t, err)
		sendUDP(t, conn, to, data)
		client.Line(fmt.Sprintf(`\Q%v\E: %s`, addrOf(conn), shown))
	}
	client.Stop()
}

// Over IPv6 there is only unicast to hear. On a socket for both families an IPv4
// peer is shown as what it is.
func TestBroadcastClientIPv6(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for addr, peers := range map[string][]string{"[::1]:0": {"::1"}, "[::]:0": {"::1", "127.0.0.1"}} {
		client := harness.Start(t, h, "broadcast/client", "-addr", addr)
		port := netip.MustParseAddrPort(client.Ready()).Port()
		for _, peer := range peers {
			ip := netip.MustParseAddr(peer)
			conn := listenUDP(t, h, "udp", netip.AddrPortFrom(ip, 0).String())
			sendUDP(t, conn, netip.AddrPortFrom(ip, port), "x")
			client.Line(fmt.Sprintf(`\Q%v\E: "x"`, addrOf(conn)))
		}
		client.Stop()
	}
}

func TestBroadcastClientStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	stopBy(t, func() *harness.Program {
		p := harness.Start(t, h, "broadcast/client", "-addr", "127.0.0.1:0")
		p.Ready()
		return p
	})
}

func TestBroadcastClientCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "broadcast/client", "addr=0.0.0.0:8080")
}

// A port that another has taken without saying that it would share it.
func TestBroadcastClientFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	listenUDP(t, h, "udp4", "0.0.0.0:8080")
	testFailure(t, h, "client: listen udp4 0.0.0.0:8080: bind: address already in use", "broadcast/client")
	testUnresolved(t, h, "broadcast/client")
}
