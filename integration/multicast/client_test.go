package multicast

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Every client on the machine hears every datagram.
func TestClientsShareThePort(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	var clients []*harness.Program
	for range 3 {
		clients = append(clients, joined(t, h))
	}
	server := harness.Start(t, h, "multicast/server", "-count", "5", "-interval", "1ms")
	from := sending(server, peer.NotesGroup, "lo", 128, "on")
	for range 5 {
		sent := server.Line(`sent 19 bytes: (".*")`)[0]
		for _, client := range clients {
			client.Line(from + ` TTL 128: ` + sent)
		}
	}
	server.Exit(0)
	for _, client := range clients {
		client.Stop()
	}
}

// A client prints its own group's datagrams only, although the socket is given
// those of every group that some program on the machine has joined.
func TestClientHearsItsGroupOnly(t *testing.T) {
	t.Parallel()
	const other = "239.1.2.3:8080"
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	stranger := joined(t, h, "-group", other)
	unfiltered := peer.Member(t, h, peer.NotesGroup, "lo")

	fromOther := marker(t, h, "-group", other)
	stranger.Line(fromOther + ` TTL 128: ".*"`)
	_, cm, src := peer.Hear(t, unfiltered)
	assert.Equal(t, src, fromOther)
	assert.Equal(t, cm.Dst.String(), "239.1.2.3")

	from := marker(t, h)
	client.Line(from + ` TTL 128: ".*"`) // and not fromOther
	client.Stop()
	stranger.Stop()
}

// What the client says is what the kernel did: it is a member while it runs,
// on the interface it names, and no longer.
func TestClientMembership(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	client := harness.Start(t, h, "multicast/client", "-group", "239.9.8.7:0")
	ready := client.Ready()
	client.Line(`joined 239\.9\.8\.7 on lo`)
	port := netip.MustParseAddrPort(ready).Port()
	assert.Assert(t, port != 0)
	assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"239.9.8.7", "224.0.0.1"})

	from := marker(t, h, "-group", fmt.Sprintf("239.9.8.7:%d", port))
	client.Line(from + ` TTL 128: ".*"`)
	client.Stop()
	assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"224.0.0.1"})
}

// Data is shown quoted, and cut to 64 bytes; an empty datagram is a datagram.
func TestClientShowsData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	var conn net.Conn
	var err error
	h.Do(func() {
		conn, err = net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup)))
		if err == nil {
			err = ipv4.NewConn(conn).SetTTL(1)
		}
	})
	assert.NilError(t, err)
	defer conn.Close()
	ifi := peer.LoopbackOf(t, h)
	assert.NilError(t, ipv4.NewPacketConn(conn.(*net.UDPConn)).SetMulticastInterface(ifi))
	for _, c := range []struct{ data, shown string }{
		{"", `""`},
		{"caf\u00e9\n\x00\xff", `"café\\n\\x00\\xff"`},
		{strings.Repeat("x", 64), `"x{64}"`},
		{strings.Repeat("x", 65), `"x{64}"…`},
		{strings.Repeat("x", 65507), `"x{64}"…`},
	} {
		_, err := conn.Write([]byte(c.data))
		assert.NilError(t, err)
		client.Line(conn.LocalAddr().String() + ` TTL 1: ` + c.shown)
	}
	client.Stop()
}

// Of unicast, one of two sockets on a port gets all; of multicast, both.
func TestClientUnicastOnASharedPort(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	plain := []*ipv4.PacketConn{peer.Member(t, h, peer.NotesGroup, "lo"), peer.Member(t, h, peer.NotesGroup, "lo")}
	out := peer.Sender(t, h, "lo", net.IPv4(127, 0, 0, 1))
	for _, to := range []string{"127.0.0.1:8080", peer.NotesGroup} {
		_, err := out.WriteTo([]byte(to), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
		assert.NilError(t, err)
	}
	unicast := 0
	for _, p := range plain {
		data, _, _ := peer.Hear(t, p)
		if data == "127.0.0.1:8080" {
			unicast++
			data, _, _ = peer.Hear(t, p)
		}
		assert.Equal(t, data, peer.NotesGroup)
	}
	assert.Equal(t, unicast, 1)
}

// Both print their own group's datagrams only: Go's looks at where they were
// sent to, Node's has the kernel sort them.
func TestClientNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		c := client("multicast/client")
		groupOf(c)
		stranger := peer.Member(t, h, "239.1.2.3:8080", "lo")
		send := func(group string) (from, sent string) {
			s := server("multicast/server", "--group", group, "--count", "1")
			from = sending(s, group, "lo", 128, "on")
			sent = s.Line(`sent 19 bytes: (".*")`)[0]
			s.Exit(0)
			return from, sent
		}
		from, _ := send("239.1.2.3:8080")
		_, _, src := peer.Hear(t, stranger)
		assert.Equal(t, src, from)
		c.Line(heard(send(peer.NotesGroup))) // and not the stranger's
		c.Stop()
	})
}

// The notes' client, on a machine that has the address it binds: it joins, and
// hears nothing but what is sent to that address. The mended one hears the group.
func TestClientNodeAsInTheNotes(t *testing.T) {
	t.Parallel()
	h, far := lab.NewHost(t, "h"), lab.NewHost(t, "far")
	lab.Link(t, h, "192.168.1.103/24", far, "192.168.1.1/24")
	h.Route(t, "224.0.0.0/4", "192.168.1.1") // it leaves the interface to the system
	node := harness.Node(t, h)
	client := node("testdata/notes_client.js")
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if groups := peer.Memberships(t, h, "eth0"); !slices.Contains(groups, "230.185.192.108") {
			return poll.Continue("the host has joined %v", groups)
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(5*time.Millisecond))
	marker(t, far, "-interface", "eth0")
	to := &net.UDPAddr{IP: net.IPv4(192, 168, 1, 103), Port: 8080}
	_, err := peer.ListenUDP(t, far, "udp4", "192.168.1.1:0").WriteTo([]byte("to its address"), to)
	assert.NilError(t, err)
	client.Line("to its address") // and nothing before
	client.Signal(syscall.SIGKILL)
	client.Exit(-1)

	client = node("multicast/client", "--interface", "eth0")
	groupOf(client)
	client.Line(marker(t, far, "-interface", "eth0") + `: "` + peer.Clock + `"`)
	client.Stop()
}

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
