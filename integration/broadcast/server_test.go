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
	client.Line(`listening on 127\.255\.255\.255:8080`)
	server := harness.Start(t, h, "broadcast/server", "-count", "2")
	port := broadcasting(server, "127.255.255.255:8080")
	for range 2 {
		data := server.Line(sentLine)[0]
		client.Line(`127\.0\.0\.1:` + port + `: ` + data)
	}
	server.Exit(0)
	client.Stop()
	harness.Transcript(t, "server.txt", client, server)
}

// To an address that is nobody's broadcast it is plain UDP, and one host receives it.
func TestServerUnicast(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, host := range []string{"127.0.0.1", "localhost", ""} { // left out, it is this machine
			if peer.InOurNode(t) && host == "127.0.0.1" {
				continue // TestServerCount has it
			}
			remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
			to := fmt.Sprintf("%s:%d", host, peer.AddrOf(remote).Port())
			server := start("broadcast/server", "--addr", to, "--count", "1")
			port := server.Line(`sending to \S*:\d+ from 0\.0\.0\.0:(\d+)`)[0]
			data := server.Line(`sent 19 bytes: "(` + peer.Clock + `)"`)[0]
			got, from := peer.ReceiveUDP(t, remote)
			assert.Equal(t, got, data)
			assert.Equal(t, from.String(), "127.0.0.1:"+port)
			server.Exit(0)
		}
	})
}

// -count ends it after so many, and not before; 0 is for ever.
func TestServerCount(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
		to := remote.LocalAddr().String()
		server := start("broadcast/server", "--addr", to, "--interval", "1ms", "--count", "3")
		broadcasting(server, to)
		for range 3 {
			sent := server.Line(sentLine)[0]
			data, _ := peer.ReceiveUDP(t, remote)
			assert.Equal(t, fmt.Sprintf("%q", data), sent)
		}
		server.Exit(0)
		if peer.InOurNode(t) {
			return // TestServerOutlivesItsNetwork has one for ever
		}
		server = start("broadcast/server", "--addr", to, "--interval", "1ms")
		broadcasting(server, to)
		for range 20 {
			server.Line(sentLine)
		}
		server.Stop()
	})
}

// An hour between two: the signal does not wait for the next.
func TestServerStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
		peer.StopBy(t, func() *harness.Program {
			p := start("broadcast/server", "--addr", remote.LocalAddr().String(), "--interval", "1h")
			broadcasting(p, remote.LocalAddr().String())
			p.Line(sentLine)
			return p
		})
	})
}

// IPv6 has no broadcast: such an address is refused, and so is a source that is
// none of the machine's own, and an interval that is none.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Refuses(t, h, "broadcast/server", "address ::1: no suitable address found", "-addr", "[::1]:8080")
	peer.Refuses(t, h, "broadcast/server", "address ::1: no suitable address found", "-from", "[::1]:0")
	peer.Refuses(t, h, "broadcast/server", `listen udp4 192\.0\.2\.1:0: bind: .*`, "-from", "192.0.2.1:0") // TEST-NET-1, RFC 5737
	// Of none, of what is no time, and of more than 31 bits hold, Node's setInterval would make 1 ms.
	for _, interval := range []string{"0", "abc", "-1s", "720h"} {
		harness.Node(t, h)("broadcast/server", "--interval="+interval).
			ExitSaying(1, "server: want an --interval above 0 and below 25 days, not "+interval+`\n`)
	}
}

// Two clients, one in each language, share the port and receive from both servers.
func TestServerNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	starters := []harness.Starter{harness.Go(t, h), harness.Node(t, h)}
	var clients []*harness.Program
	for _, start := range starters {
		c := start("broadcast/client")
		c.Line(`listening on 127\.255\.255\.255:8080`)
		clients = append(clients, c)
	}
	for _, start := range starters {
		s := start("broadcast/server", "--count", "2", "--interval", "1ms")
		port := broadcasting(s, "127.255.255.255:8080")
		for range 2 {
			sent := s.Line(sentLine)[0]
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

// Nobody may broadcast who has not asked to, and Node does not ask by itself: EACCES.
// Before its socket is bound it cannot: EBADF.
func TestServerNodeHasToAsk(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	run := harness.Node(t, h)
	client := harness.Start(t, h, "broadcast/client")
	client.Ready()
	node := run("testdata/broadcast.js")
	node.Line("EBADF")
	node.Line(`send EACCES 127\.255\.255\.255:8080`)
	node.Line("sent")
	node.Exit(0)
	client.Line(`127\.0\.0\.1:\d+: "second"`) // and no first
	client.Stop()
}

// socat receives what either server sends.
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
