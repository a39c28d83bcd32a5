package broadcast

import (
	"fmt"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// The two programs with their defaults, as the page shows them.
func TestServerTranscript(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated()) // not every system's lo broadcasts
	h := lab.NewHost(t, "h")
	client := harness.Start(t, h, "broadcast/client")
	client.Line(`listening on 0\.0\.0\.0:8080`)
	server := harness.Start(t, h, "broadcast/server", "-count", "2")
	port := broadcasting(server, "127.255.255.255:8080")
	for range 2 {
		data := server.Line(`sent 19 bytes: ("` + peer.Clock + `")`)[0]
		client.Line(`127\.0\.0\.1:` + port + `: ` + data)
	}
	server.Exit(0)
	client.Stop()
	harness.Transcript(t, "server.txt", client, server)
}

// To an address that is nobody's broadcast it is plain UDP, and one host hears it.
func TestServerUnicast(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ host, ip, local string }{
		{"127.0.0.1", "127.0.0.1", "0.0.0.0"},
		{"[::1]", "[::1]", "[::]"},
		{"", "127.0.0.1", "0.0.0.0"}, // left out, it is this machine
	} {
		remote := peer.ListenUDP(t, h, "udp", c.ip+":0")
		to := fmt.Sprintf("%s:%d", c.host, peer.AddrOf(remote).Port())
		server := harness.Start(t, h, "broadcast/server", "-addr", to, "-count", "1")
		port := server.Line(fmt.Sprintf(`sending to \Q%s\E from \Q%s\E:(\d+)`, to, c.local))[0]
		data := server.Line(`sent 19 bytes: "(` + peer.Clock + `)"`)[0]
		got, from := peer.ReceiveUDP(t, remote)
		assert.Equal(t, got, data)
		assert.Equal(t, from.String(), c.ip+":"+port)
		server.Exit(0)
	}
}

// -count ends it after so many, and not before; 0 is for ever.
func TestServerCount(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	for _, count := range []int{1, 3} {
		server := harness.Start(t, h, "broadcast/server", "-addr", remote.LocalAddr().String(), "-interval", "1ms", "-count", fmt.Sprint(count))
		broadcasting(server, remote.LocalAddr().String())
		for range count {
			server.Line(`sent .*`)
			peer.ReceiveUDP(t, remote)
		}
		server.Exit(0)
	}
	server := harness.Start(t, h, "broadcast/server", "-addr", remote.LocalAddr().String(), "-interval", "1ms")
	broadcasting(server, remote.LocalAddr().String())
	for range 20 {
		server.Line(`sent .*`)
	}
	server.Stop()
}

func TestServerStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	peer.StopBy(t, func() *harness.Program {
		// An hour between two: the signal does not wait for the next.
		p := harness.Start(t, h, "broadcast/server", "-addr", remote.LocalAddr().String(), "-interval", "1h")
		broadcasting(p, remote.LocalAddr().String())
		p.Line(`sent .*`)
		return p
	})
}

func TestServerFailures(t *testing.T) {
	t.Parallel()
	peer.Unresolved(t, lab.NewHost(t, "h"), "broadcast/server")
}

// Two clients, one in each language, share the port and hear both servers.
func TestServerNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	var clients []*harness.Program
	for _, start := range []harness.Starter{harness.Go(t, h), harness.Node(t, h)} {
		c := start("broadcast/client")
		c.Line(`listening on 0\.0\.0\.0:8080`)
		clients = append(clients, c)
	}
	for _, start := range []harness.Starter{harness.Go(t, h), harness.Node(t, h)} {
		s := start("broadcast/server", "--count", "2", "--interval", "1ms")
		port := s.Line(`sending to 127\.255\.255\.255:8080 from 0\.0\.0\.0:(\d+)`)[0]
		for range 2 {
			sent := s.Line(`sent 19 bytes: ("` + peer.Clock + `")`)[0]
			for _, c := range clients {
				c.Line(`127\.0\.0\.1:` + port + `: ` + sent)
			}
		}
		s.Exit(0)
	}
	for _, c := range clients {
		c.Stop()
	}
}

// Nobody may broadcast who has not asked to. Go has, for every UDP socket.
func TestServerNodeHasToAsk(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	run := harness.Node(t, h)
	client := harness.Start(t, h, "broadcast/client")
	client.Ready()
	node := run("testdata/broadcast.js")
	node.Line(`send EACCES 127\.255\.255\.255:8080`)
	node.Line("sent")
	node.Exit(0)
	client.Line(`127\.0\.0\.1:\d+: "second"`) // and no first
	server := harness.Start(t, h, "broadcast/server", "-count", "1")
	server.Line(`sending to .*`)
	sent := server.Line(`sent 19 bytes: (".*")`)[0]
	server.Exit(0)
	client.Line(`127\.0\.0\.1:\d+: ` + sent)
	client.Stop()
}

func TestServerSocat(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		socat := harness.Socat(t, h)
		p := socat("-u", "UDP4-RECVFROM:8080,reuseaddr", "STDOUT")
		p.Await(`.* receiving on .*`)
		s := start("broadcast/server", "--count", "1")
		s.Line(`sending to .*`)
		sent := s.Line(`sent 19 bytes: "(.*)"`)[0]
		s.Exit(0)
		assert.Equal(t, harness.SocatPrinted(t, p), sent)
	})
}
