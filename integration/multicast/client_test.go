package multicast

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/ipv4"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// member starts a program that joins, in one of its languages, and returns it once
// it has.
func member(start harness.Starter, section string, args ...string) *harness.Program {
	p := start(section, args...)
	p.Ready()
	p.Line(`joined \S+ on \S+`)
	return p
}

// Every client on the machine receives every datagram, in whichever language it is.
func TestClientsShareThePort(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	var clients []*harness.Program
	for _, start := range []harness.Starter{harness.Go(t, h), harness.Go(t, h), harness.Node(t, h)} {
		clients = append(clients, member(start, "multicast/client"))
	}
	server := harness.Start(t, h, "multicast/server", "-count", "5", "-interval", "1ms")
	from := sending(server, peer.NotesGroup, "lo", 128, "on")
	for range 5 {
		sent := server.Line(`sent 19 bytes: (".*")`)[0]
		for _, client := range clients {
			client.Line(heard(from, sent))
		}
	}
	server.Exit(0)
	for _, client := range clients {
		client.Stop()
	}
}

// A client prints its own group's datagrams only, although a socket is given those
// of every group that some program on the machine has joined.
func TestClientPrintsItsGroupOnly(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		const other = "239.1.2.3:8080"
		client := start("multicast/client")
		groupOf(client)
		stranger, unfiltered := peer.Member(t, h, other, "lo"), peer.Member(t, h, peer.NotesGroup, "lo")

		fromOther := marker(t, h, "-group", other)
		_, _, src := peer.Hear(t, stranger)
		assert.Equal(t, src, fromOther)
		_, cm, src := peer.Hear(t, unfiltered)
		assert.Equal(t, src, fromOther)
		assert.Equal(t, cm.Dst.String(), "239.1.2.3")

		harness.Hint(t, "a membership taken for a filter: the socket gets what any program on the machine has joined, unless it is "+
			"bound to the group; else look where each datagram was sent to")
		client.Line(heard(marker(t, h), `".*"`)) // and not fromOther
		client.Stop()
	})
}

// client and membership print what came by the interface that they have joined on,
// although another program on the machine has joined the group on another. Node cannot
// tell the two apart, and prints both.
func TestClientPrintsItsInterfaceOnly(t *testing.T) {
	test := func(tells bool) func(t *testing.T, a *lab.Host, start harness.Starter) {
		return func(t *testing.T, a *lab.Host, start harness.Starter) {
			b := lab.NewHost(t, "b")
			lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
			onLo := []*harness.Program{member(start, "multicast/client"), member(start, "multicast/membership", "--leave-after", "3600s")}
			onEth0 := joined(t, a, "-interface", "eth0")
			from := marker(t, b, "-interface", "eth0")
			onEth0.Line(heard(from, `".*"`))
			if !tells {
				for _, p := range onLo {
					p.Line(heard(from, `".*"`))
				}
			}
			from = marker(t, a)
			for _, p := range onLo {
				p.Line(heard(from, `".*"`)) // and nothing before
				p.Stop()
			}
			onEth0.Line(heard(marker(t, b, "-interface", "eth0"), `".*"`)) // and not that
			onEth0.Stop()
		}
	}
	harness.Compare(t, test(true), test(false))
}

// What the client says is what the kernel did: it is a member while it runs, on the
// interface it names, and no longer.
func TestClientMembership(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		client := start("multicast/client", "--group", "239.9.8.7:0")
		ready := client.Ready()
		client.Line(`joined 239\.9\.8\.7 on lo`)
		port := netip.MustParseAddrPort(ready).Port()
		assert.Assert(t, port != 0)
		assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"239.9.8.7", "224.0.0.1"})

		client.Line(heard(marker(t, h, "-group", fmt.Sprintf("239.9.8.7:%d", port)), `".*"`))
		client.Stop()
		assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"224.0.0.1"})
	})
}

// Each line has the sender, the TTL as it arrived (Node is not told), and the data,
// quoted and cut to 64 characters; an empty datagram is a datagram.
func TestClientShowsData(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client := member(start, "multicast/client")
		out := peer.Sender(t, h, peer.LoopbackOf(t, h).Name, net.IPv4(127, 0, 0, 1))
		to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup))
		assert.NilError(t, out.SetMulticastTTL(7))
		for _, c := range []struct{ data, shown string }{
			{"", `""`},
			{"caf\u00e9\n", `"café\\n"`},
			{strings.Repeat("x", 64), `"x{64}"`},
			{strings.Repeat("x", 65), `"x{64}"`},
			{strings.Repeat("x", 65507), `"x{64}"`},
		} {
			_, err := out.WriteTo([]byte(c.data), nil, to)
			assert.NilError(t, err)
			client.Line(regexp.QuoteMeta(out.LocalAddr().String()) + `(?: TTL 7)?: ` + c.shown)
		}
		client.Stop()
	})
}

// SIGINT and SIGTERM end it cleanly.
func TestClientStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.StopBy(t, func() *harness.Program { return member(start, "multicast/client") })
	})
}

// The port of a program that does not share it is taken.
func TestClientPortTaken(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.ListenUDP(t, h, "udp4", "0.0.0.0:8080")
	for _, section := range []string{"multicast/client", "multicast/membership"} {
		peer.Refuses(t, h, section, `listen udp4 230\.185\.192\.108:8080: bind: .*in use.*`)
	}
}

// Of unicast, one of two sockets on a port gets all; multicast both get.
func TestClientUnicastOnASharedPort(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	plain := []*ipv4.PacketConn{peer.Member(t, h, peer.NotesGroup, "lo"), peer.Member(t, h, peer.NotesGroup, "lo")}
	out := peer.Sender(t, h, "lo", net.IPv4(127, 0, 0, 1))
	for _, to := range []string{"127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080", peer.NotesGroup} {
		_, err := out.WriteTo([]byte(to), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
		assert.NilError(t, err)
	}
	unicast := map[int]bool{}
	for _, p := range plain {
		n := 0
		data, _, _ := peer.Hear(t, p)
		for ; data == "127.0.0.1:8080"; n++ {
			data, _, _ = peer.Hear(t, p)
		}
		assert.Equal(t, data, peer.NotesGroup)
		unicast[n] = true
	}
	assert.DeepEqual(t, unicast, map[int]bool{0: true, 3: true})
}

// socat's datagrams are printed, with their TTL.
func TestClientSocat(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		socat := harness.Socat(t, h)
		c := start("multicast/client")
		groupOf(c)
		for _, ttl := range []int{7, 1} {
			p := socat("-u", harness.SocatSays(t, "hello"),
				fmt.Sprintf("UDP4-DATAGRAM:%s,bind=127.0.0.1,ip-multicast-if=127.0.0.1,ip-multicast-ttl=%d", peer.NotesGroup, ttl))
			harness.SocatPrinted(t, p)
			c.Line(fmt.Sprintf(`127\.0\.0\.1:\d+(?: TTL %d)?: "hello"`, ttl))
		}
		c.Stop()
	})
}
