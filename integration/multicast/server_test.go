package multicast

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// The two programs with nothing but their defaults, as the page shows them.
func TestServerTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := harness.Start(t, h, "multicast/client")
	client.Line(`listening on 0\.0\.0\.0:8080`)
	client.Line(`joined 230\.185\.192\.108 on lo`)
	server := harness.Start(t, h, "multicast/server", "-count", "2")
	from := sending(server, peer.NotesGroup, "lo", 128, "on")
	for range 2 {
		sent := server.Line(`sent 19 bytes: ("` + peer.Clock + `")`)[0]
		client.Line(from + ` TTL 128: ` + sent)
	}
	server.Exit(0)
	client.Stop()
	harness.Transcript(t, "server.txt", client, server)
}

// A datagram arrives with the TTL it was given, 128 if none was.
func TestServerTTL(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		plain := peer.Member(t, h, peer.NotesGroup, "lo")
		for _, ttl := range []int{128, 0, 1, 255} {
			if peer.InOurNode(t) && (ttl == 128 || ttl == 1) {
				continue // 128 is in TestServerLoopback, 7 in TestServerOptions
			}
			args := []string{"--count", "1"}
			if ttl != 128 {
				args = append(args, "--ttl", fmt.Sprint(ttl))
			}
			server := start("multicast/server", args...)
			from := sending(server, peer.NotesGroup, "lo", ttl, "on")
			sent := server.Line(`sent 19 bytes: ("` + peer.Clock + `")`)[0]
			server.Exit(0)

			data, cm, src := peer.Hear(t, plain)
			assert.Equal(t, cm.TTL, ttl)
			assert.Equal(t, src, from)
			assert.Equal(t, fmt.Sprintf("%q", data), sent)
		}
	})
}

// With loopback off, the sender's own host receives nothing and the other host
// everything; with it on, both do.
func TestServerLoopback(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		b := lab.NewHost(t, "b")
		lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
		near, far := joined(t, a, "-interface", "eth0"), joined(t, b, "-interface", "eth0")

		server := start("multicast/server", "--interface", "eth0", "--loopback=false", "--count", "3", "--interval", "1ms")
		from := sending(server, peer.NotesGroup, "eth0", 128, "off")
		assert.Assert(t, strings.HasPrefix(from, "10.0.0.1:"), from)
		for range 3 {
			server.Line(`sent .*`)
			far.Line(from + ` TTL 128: ".*"`)
		}
		server.Exit(0)

		from = marker(t, a, "-interface", "eth0")
		near.Line(from + ` TTL 128: ".*"`)
		far.Line(from + ` TTL 128: ".*"`)
		near.Stop()
		far.Stop()
	})
}

// By default nothing leaves the machine, even one that has a network.
func TestServerStaysHome(t *testing.T) {
	harness.Both(t, func(t *testing.T, a *lab.Host, start harness.Starter) {
		b := lab.NewHost(t, "b")
		lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
		near, far := joined(t, a), joined(t, b, "-interface", "eth0")
		assert.DeepEqual(t, peer.Memberships(t, a, "lo"), []string{"230.185.192.108", "224.0.0.1"})
		assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), []string{"224.0.0.1"})

		server := start("multicast/server", "--count", "1")
		near.Line(sending(server, peer.NotesGroup, "lo", 128, "on") + ` TTL 128: ".*"`)
		server.Line(`sent .*`)
		server.Exit(0)
		far.Line(marker(t, a, "-interface", "eth0") + ` TTL 128: ".*"`)
		near.Stop()
		far.Stop()
	})
}

// -count datagrams are sent and the program ends; without it, it goes on. They
// are -interval apart.
func TestServerCountAndInterval(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		plain := peer.Member(t, h, peer.NotesGroup, "lo")
		begin := time.Now()
		server := start("multicast/server", "--count", "3", "--interval", "200ms")
		sending(server, peer.NotesGroup, "lo", 128, "on")
		for range 3 {
			server.Line(`sent .*`)
			peer.Hear(t, plain)
		}
		server.Exit(0)
		assert.Assert(t, time.Since(begin) >= 400*time.Millisecond)

		// Had the interval stayed at a second, this would outlast every deadline.
		server = start("multicast/server", "--interval", "1ms")
		from := sending(server, peer.NotesGroup, "lo", 128, "on")
		for range 100 {
			_, _, src := peer.Hear(t, plain)
			assert.Equal(t, src, from)
		}
		server.Stop()
	})
}

// SIGINT and SIGTERM end it cleanly.
func TestServerStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.StopBy(t, func() *harness.Program {
			server := start("multicast/server", "--interval", "3600s")
			sending(server, peer.NotesGroup, "lo", 128, "on")
			server.Line(`sent .*`)
			return server
		})
	})
}

// A TTL has 8 bits: what is larger is refused, also what x/net or Node would cut to 32
// bits. So is an interval that is none, or in Node 25 days or more, and an interface that
// is not there. A datagram to port 0 the kernel refuses.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, ttl := range []string{"256", "4294967297"} {
		peer.Refuses(t, h, "multicast/server", `want .*-ttl .* `+ttl+` .*`, "-ttl", ttl)
	}
	for _, arg := range []string{"--ttl=256", "--interval=0", "--interval=abc", "--interval=-1s", "--interval=720h"} {
		harness.Node(t, h)("multicast/server", arg).ExitSaying(1, `server: want a --ttl .* --interval above 0 and below 25 days, not .*\n`)
	}
	peer.Refuses(t, h, "multicast/server", `interface "nope0": .*no such network interface`, "-interface", "nope0")

	p := harness.Start(t, h, "multicast/server", "-group", "230.185.192.108:0")
	sending(p, "230.185.192.108:0", "lo", 128, "on")
	p.ExitSaying(1, `server: write udp4 \S+->230\.185\.192\.108:0: sendto: invalid argument\n`)
}

// An interface that never had an address is told plainly.
func TestServerInterfaceWithoutAddress(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "", b, "")
	for _, section := range []string{"multicast/server", "multicast/ttl"} {
		peer.Refuses(t, a, section, `interface "?eth0"?: no IPv4 address`, "-interface", "eth0")
	}
}

// In Go a socket is there, and bound, before anybody can set an option. In Node
// the options have to wait for it.
func TestServerNodeOptionsBeforeBind(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	p := harness.Node(t, h)("testdata/options.js")
	options := []string{"setBroadcast", "setMulticastInterface", "setMulticastLoopback", "setMulticastTTL", "setTTL"}
	for _, option := range options {
		p.Line(option + ": " + option + " EBADF")
	}
	p.Line("bound")
	for _, option := range options {
		p.Line(option + ": done")
	}
	p.Exit(0)
}

// socat, a member, receives what either server sends.
func TestServerSocat(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		socat := harness.Socat(t, h)
		p := socat("-u", "UDP4-RECVFROM:8080,reuseaddr,ip-add-membership=230.185.192.108:127.0.0.1", "STDOUT")
		p.Await(`.* receiving on .*`)
		s := start("multicast/server", "--count", "1")
		sending(s, peer.NotesGroup, "lo", 128, "on")
		sent := s.Line(`sent 19 bytes: "(.*)"`)[0]
		s.Exit(0)
		assert.Equal(t, harness.SocatPrinted(t, p), sent)
	})
}
