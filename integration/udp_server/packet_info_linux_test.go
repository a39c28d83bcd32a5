package udp_server

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// ask sends from a connected socket, which takes a reply from the address that it asked
// only, and demands one.
func ask(t *testing.T, from *lab.Host, to netip.AddrPort) (local netip.AddrPort) {
	t.Helper()
	var conn *net.UDPConn
	var err error
	from.Do(func() { conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)) })
	assert.NilError(t, err)
	peer.Ours(t, conn)
	peer.Write(t, conn, "hello")
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	assert.NilError(t, err)
	assert.Equal(t, string(buf[:n]), "hello")
	return peer.AddrOf(conn)
}

// asked demands the program's line on that.
func asked(p *harness.Program, local netip.AddrPort, dst, by string) {
	p.Line(fmt.Sprintf(`\Q%v\E sent 5 bytes to \Q%s\E by %s: "hello"`, local, dst, by))
}

// anywhere starts the program on all addresses.
func anywhere(t *testing.T, h *lab.Host) *harness.Program {
	t.Helper()
	p := harness.Start(t, h, "udp_server/packet_info", "-addr", ":8080")
	p.Line(`listening on \[::\]:8080`)
	return p
}

// As the page shows it: a connected client gets its reply from whichever address of the
// machine it asks.
func TestPacketInfoTranscript(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated()) // not every system's lo has all of 127.0.0.0/8
	h := lab.NewHost(t, "h")
	p := anywhere(t, h)
	programs := []*harness.Program{p}
	for _, addr := range []string{"127.9.9.9:8080", "[::1]:8080"} {
		client := harness.Start(t, h, "udp_client/client", "-addr", addr)
		from := client.Line(`connected to \Q` + addr + `\E from (\S+)`)[0]
		client.Line(`sent 5 bytes: "hello"`)
		client.Line(`received 5 bytes from \Q` + addr + `\E: "hello"`)
		client.Exit(0)
		asked(p, netip.MustParseAddrPort(from), netip.MustParseAddrPort(addr).Addr().String(), "lo")
		programs = append(programs, client)
	}
	p.Stop()
	harness.Transcript(t, "packet_info.txt", programs...)
}

// On a machine with several addresses each of them answers for itself, over IPv4 and IPv6,
// link-local ones too, whether the program is bound to all or to one.
func TestPacketInfoAsked(t *testing.T) {
	t.Parallel()
	client, server := lab.NewHost(t, "client"), lab.NewHost(t, "server")
	addrs := []string{"10.0.0.1", "10.0.0.9", "fd00::1", "fd00::9", "fe80::1%eth0"}
	lab.Link(t, server, "10.0.0.1/24 10.0.0.9/24 fd00::1/64 fd00::9/64 fe80::1/64", client, "10.0.0.2/24 fd00::2/64 fe80::2/64")
	p := anywhere(t, server)
	for _, addr := range addrs {
		local := ask(t, client, netip.AddrPortFrom(netip.MustParseAddr(addr), 8080))
		dst, _, _ := strings.Cut(addr, "%")
		asked(p, local, dst, "eth0")
	}
	p.Stop()
	for _, addr := range addrs {
		to := netip.AddrPortFrom(netip.MustParseAddr(addr), 8081)
		p := harness.Start(t, server, "udp_server/packet_info", "-addr", to.String())
		p.Ready()
		ask(t, client, to)
		p.Stop()
	}
}

// The interface is the one that the datagram came by, which need not be the one that has
// the address. From the same machine it is that one, and not lo.
func TestPacketInfoInterface(t *testing.T) {
	t.Parallel()
	client, server, other := lab.NewHost(t, "client"), lab.NewHost(t, "server"), lab.NewHost(t, "other")
	lab.Link(t, server, "10.0.0.1/24", client, "10.0.0.2/24")
	lab.Link(t, server, "10.0.1.1/24", other, "10.0.1.2/24")
	client.Route(t, "10.0.1.0/24", "10.0.0.1")
	p := anywhere(t, server)
	for _, c := range []struct {
		from    *lab.Host
		dst, by string
	}{
		{client, "10.0.0.1", "eth0"},
		{other, "10.0.1.1", "eth1"},
		{client, "10.0.1.1", "eth0"},
		{server, "10.0.1.1", "eth1"},
		{server, "127.0.0.1", "lo"},
	} {
		asked(p, ask(t, c.from, netip.AddrPortFrom(netip.MustParseAddr(c.dst), 8080)), c.dst, c.by)
	}
	p.Stop()
}

// A datagram to a broadcast address or a group says so, and the reply comes from an address
// that the routes choose.
func TestPacketInfoToMany(t *testing.T) {
	t.Parallel()
	client, server := lab.NewHost(t, "client"), lab.NewHost(t, "server")
	lab.Link(t, server, "10.0.0.1/24 fe80::1/64", client, "10.0.0.2/24 fe80::2/64")
	p := anywhere(t, server)
	for _, c := range []struct{ to, from string }{
		{"10.0.0.255:8080", "10.0.0.1:8080"},
		{"255.255.255.255:8080", "10.0.0.1:8080"},
		{"[ff02::1%eth0]:8080", ""}, // all on the link, a group that every interface joins
	} {
		var conn *net.UDPConn
		to := netip.MustParseAddrPort(c.to)
		if to.Addr().Is4() {
			conn = peer.ListenUDP(t, client, "udp4", "10.0.0.2:0")
		} else {
			conn = peer.ListenUDP(t, client, "udp6", "[fe80::2%eth0]:0")
		}
		if c.to == "255.255.255.255:8080" { // which has no route here
			client.Route(t, "255.255.255.255/32", "10.0.0.1")
		}
		peer.SendUDP(t, conn, to, "hello")
		data, from := peer.ReceiveUDP(t, conn)
		assert.Equal(t, data, "hello")
		if to.Addr().Is4() {
			assert.Equal(t, from.String(), c.from)
		} else { // the card has a link-local address by itself, and ours
			assert.Assert(t, from.Addr().IsLinkLocalUnicast() && from.Port() == 8080, "%v", from)
		}
		asked(p, peer.AddrOf(conn), to.Addr().WithZone("").String(), "eth0")
	}
	p.Stop()
}

// twice is a client with two cables to a server, of which it asks the second's address in
// the first's name. So the question comes by eth1 and the routes lead back by eth0.
func twice(t *testing.T) (server *lab.Host, conn *net.UDPConn, eth0, eth1 *wire.Capture) {
	t.Helper()
	client, server := lab.NewHost(t, "client"), lab.NewHost(t, "server")
	lab.Link(t, server, "10.0.0.1/24", client, "10.0.0.2/24")
	lab.Link(t, server, "10.0.1.1/24", client, "10.0.1.2/24")
	for _, h := range []*lab.Host{client, server} {
		for _, ifname := range []string{"all", "eth0", "eth1"} { // let in what does not come the way back
			peer.SetSysctl(t, h, "net/ipv4/conf/"+ifname+"/rp_filter", "0")
		}
	}
	conn = peer.ListenUDP(t, client, "udp4", "10.0.0.2:0")
	return server, conn, wire.Start(t, server, "eth0"), wire.Start(t, server, "eth1")
}

// The reply goes the way that the routes lead. If its interface were set as well, it would
// go by that one, whatever they say.
func TestPacketInfoRoutes(t *testing.T) {
	t.Parallel()
	server, conn, eth0, eth1 := twice(t)
	to := netip.MustParseAddrPort("10.0.1.1:8080")
	reply := func(events []wire.Event) bool {
		return len(wire.Of(wire.Only(events, wire.UDP), to)) > 0 && events[len(events)-1].From == to
	}
	p := anywhere(t, server)
	roundTrip(t, conn, to, "hello")
	asked(p, peer.AddrOf(conn), "10.0.1.1", "eth1")
	p.Stop()
	eth0.Await("the reply", reply)

	pinned := ipv4.NewPacketConn(peer.ListenUDP(t, server, "udp4", "0.0.0.0:8081"))
	to = netip.MustParseAddrPort("10.0.1.1:8081")
	assert.NilError(t, pinned.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true))
	peer.SendUDP(t, conn, to, "hello")
	_, cm, from, err := pinned.ReadFrom(make([]byte, 100))
	assert.NilError(t, err)
	_, err = pinned.WriteTo([]byte("pinned"), &ipv4.ControlMessage{Src: cm.Dst, IfIndex: cm.IfIndex}, from)
	assert.NilError(t, err)
	eth1.Await("the reply", reply)
}

// The source of a datagram can only be one of the machine's own addresses; over IPv6 any
// address, once the socket has asked for that.
func TestPacketInfoForeignSource(t *testing.T) {
	t.Parallel()
	client, server := lab.NewHost(t, "client"), lab.NewHost(t, "server")
	lab.Link(t, server, "10.0.0.1/24 fd00::1/64", client, "10.0.0.2/24 fd00::2/64")
	conn := ipv4.NewPacketConn(peer.ListenUDP(t, server, "udp4", "0.0.0.0:8080"))
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.2:8080"))
	_, err := conn.WriteTo([]byte("x"), &ipv4.ControlMessage{Src: net.IPv4(10, 0, 0, 77)}, to)
	assert.Assert(t, err != nil)
	_, err = conn.WriteTo([]byte("x"), &ipv4.ControlMessage{Src: net.IPv4(10, 0, 0, 1)}, to)
	assert.NilError(t, err)

	remote, six := peer.ListenUDP(t, client, "udp6", "[fd00::2]:8080"), peer.ListenUDP(t, server, "udp6", "[::]:8080")
	conn6, to, foreign := ipv6.NewPacketConn(six), net.UDPAddrFromAddrPort(peer.AddrOf(remote)), &ipv6.ControlMessage{Src: net.ParseIP("fd00::77")}
	_, err = conn6.WriteTo([]byte("x"), foreign, to)
	assert.Assert(t, err != nil)
	option(t, six, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
	_, err = conn6.WriteTo([]byte("x"), foreign, to)
	assert.NilError(t, err)
	_, from := peer.ReceiveUDP(t, remote)
	assert.Equal(t, from.String(), "[fd00::77]:8080")
}

// On a socket for both families Linux tells of an IPv4 datagram in IPv6's way too, and takes
// that for the reply, which x/net does not write.
func TestPacketInfoMapped(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated()) // not every system's lo has all of 127.0.0.0/8
	h := lab.NewHost(t, "h")
	server, client := peer.ListenUDP(t, h, "udp", ":8080"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	assert.NilError(t, ipv4.NewPacketConn(server).SetControlMessage(ipv4.FlagDst, true))
	assert.NilError(t, ipv6.NewPacketConn(server).SetControlMessage(ipv6.FlagDst, true))
	peer.SendUDP(t, client, netip.MustParseAddrPort("127.9.9.9:8080"), "hello")
	control := make([]byte, 128)
	_, n, _, from, err := server.ReadMsgUDPAddrPort(make([]byte, 100), control)
	assert.NilError(t, err)
	var asked ipv4.ControlMessage
	var asked6 ipv6.ControlMessage
	assert.NilError(t, asked.Parse(control[:n]))
	assert.NilError(t, asked6.Parse(control[:n]))
	ip := net.IPv4(127, 9, 9, 9).To16() // ::ffff:127.9.9.9
	assert.Assert(t, asked.Dst.Equal(ip) && asked6.Dst.Equal(ip), "%v %v", asked.Dst, asked6.Dst)
	for _, reply := range []struct {
		source []byte
		from   string
	}{
		{(&ipv4.ControlMessage{Src: ip}).Marshal(), "127.9.9.9:8080"},
		{unix.PktInfo6(&unix.Inet6Pktinfo{Addr: [16]byte(ip)}), "127.9.9.9:8080"},
		{(&ipv6.ControlMessage{Src: ip}).Marshal(), "127.0.0.1:8080"}, // as the routes choose
	} {
		_, _, err := server.WriteMsgUDPAddrPort([]byte("hello"), reply.source, from)
		assert.NilError(t, err)
		_, replied := peer.ReceiveUDP(t, client)
		assert.Equal(t, replied.String(), reply.from)
	}
}

// On the wire: the client asks the second address of a machine. The plain echo replies from
// the first, and is refused; this one replies from the second.
func TestPacketInfoWire(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		section string
		last    wire.Kind
		n       int
	}{
		"packet_info":         {"udp_server/packet_info", wire.UDP, 2},
		"packet_info_without": {"udp_server/server", wire.ICMP, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := lab.NewHost(t, "client"), lab.NewHost(t, "server")
			lab.Link(t, server, "10.0.0.1/24 10.0.0.9/24", client, "10.0.0.2/24")
			capture := wire.Start(t, client, "eth0")
			p := harness.Start(t, server, c.section, "-addr", ":8080")
			p.Ready()
			asks := harness.Start(t, client, "udp_client/client", "-addr", "10.0.0.9:8080", "-timeout", "1h")
			asks.Await("sent .*")
			events := capture.Await("the last", peer.Seen(c.last, c.n))
			golden.Assert(t, wire.Diagram(events, wire.Party{Name: "client", Addr: "10.0.0.2"},
				wire.Party{Name: "10.0.0.9", Addr: "10.0.0.9"}, wire.Party{Name: "10.0.0.1", Addr: "10.0.0.1"}).Mermaid(), name+".mmd")
			if c.last == wire.UDP {
				asks.Await(`received .*`)
				asks.Exit(0)
				p.Stop()
			} else {
				asks.Stop()
				p.Stop()
			}
		})
	}
}
