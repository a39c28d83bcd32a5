package integration

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// notesGroup is the group of the notes, and every program's default.
const notesGroup = "230.185.192.108:8080"

const clock = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`

// sending waits for a server's first line and returns its address.
func sending(p *harness.Program, group, ifname string, ttl int, loopback string) string {
	return p.Line(fmt.Sprintf(`sending to %s from (\S+:\d+) on %s, TTL %d, loopback %s`, group, ifname, ttl, loopback))[0]
}

// joined starts a client and returns it once it is a member.
func joined(t *testing.T, on *lab.Host, args ...string) *harness.Program {
	p := harness.Start(t, on, "multicast/client", args...)
	p.Ready()
	p.Line(`joined \S+ on \S+`)
	return p
}

// marker sends one datagram that every member hears, and tells from where.
// The client's next line being the marker proves that it heard nothing before.
func marker(t *testing.T, on *lab.Host, args ...string) (from string) {
	p := harness.Start(t, on, "multicast/server", append(args, "-count", "1")...)
	from = p.Line(`sending to \S+ from (\S+:\d+) on .*`)[0]
	p.Line(`sent 19 bytes: "` + clock + `"`)
	p.Exit(0)
	return from
}

// member is a plain socket that has joined a group and tells what it hears.
func member(t *testing.T, on *lab.Host, group, ifname string) *ipv4.PacketConn {
	t.Helper()
	addr := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(group))
	ifi := interfaceOf(t, on, ifname)
	var p *ipv4.PacketConn
	var err error
	on.Do(func() {
		var conn net.PacketConn
		if conn, err = net.ListenPacket("udp4", group); err != nil {
			return
		}
		p = ipv4.NewPacketConn(conn)
		if err = p.JoinGroup(ifi, addr); err == nil {
			err = p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true)
		}
	})
	assert.NilError(t, err)
	t.Cleanup(func() { p.Close() })
	p.SetReadDeadline(time.Now().Add(harness.Patience()))
	return p
}

// hear waits for the member's next datagram.
func hear(t *testing.T, p *ipv4.PacketConn) (data string, cm *ipv4.ControlMessage, from string) {
	t.Helper()
	buf := make([]byte, 65535)
	n, cm, src, err := p.ReadFrom(buf)
	assert.NilError(t, err)
	return string(buf[:n]), cm, src.String()
}

// memberships returns the groups that the kernel has joined on an interface of
// a host: /proc/net/igmp, where a group is a host-order number in hexadecimal.
func memberships(t *testing.T, on *lab.Host, ifname string) (groups []string) {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/igmp") })
	assert.NilError(t, err)
	var current string
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case !strings.HasPrefix(line, "\t"):
			current = fields[1]
		case current == ifname:
			var group uint32
			_, err := fmt.Sscanf(fields[0], "%X", &group)
			assert.NilError(t, err)
			groups = append(groups, netip.AddrFrom4([4]byte(binary.NativeEndian.AppendUint32(nil, group))).String())
		}
	}
	return groups
}

// The two programs with nothing but their defaults, as the page shows them.
func TestMulticastTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := harness.Start(t, h, "multicast/client")
	client.Line(`listening on 0\.0\.0\.0:8080`)
	client.Line(`joined 230\.185\.192\.108 on lo`)
	server := harness.Start(t, h, "multicast/server", "-count", "2")
	from := sending(server, notesGroup, "lo", 128, "on")
	for range 2 {
		sent := server.Line(`sent 19 bytes: ("` + clock + `")`)[0]
		client.Line(from + ` TTL 128: ` + sent)
	}
	server.Exit(0)
	client.Stop()
	harness.Transcript(t, "multicast/server.txt", client, server)
}

// A datagram arrives with the TTL it was given, 128 if none was.
func TestMulticastServerTTL(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	plain := member(t, h, notesGroup, "lo")
	for _, ttl := range []int{128, 0, 1, 2, 64, 127, 254, 255} {
		args := []string{"-count", "1"}
		if ttl != 128 {
			args = append(args, "-ttl", fmt.Sprint(ttl))
		}
		server := harness.Start(t, h, "multicast/server", args...)
		from := sending(server, notesGroup, "lo", ttl, "on")
		sent := server.Line(`sent 19 bytes: (".*")`)[0]
		server.Exit(0)

		data, cm, src := hear(t, plain)
		assert.Equal(t, cm.TTL, ttl)
		assert.Equal(t, src, from)
		assert.Equal(t, fmt.Sprintf("%q", data), sent)
		client.Line(fmt.Sprintf(`%s TTL %d: %s`, from, ttl, sent))
	}
	client.Stop()
}

// With loopback off, the sender's own host hears nothing and the other host
// hears everything; with it on, both do.
func TestMulticastServerLoopback(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	near, far := joined(t, a, "-interface", "eth0"), joined(t, b, "-interface", "eth0")

	server := harness.Start(t, a, "multicast/server", "-interface", "eth0", "-loopback=false", "-count", "3", "-interval", "1ms")
	from := sending(server, notesGroup, "eth0", 128, "off")
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
}

// By default nothing leaves the machine, even one that has a network.
func TestMulticastServerStaysHome(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	far := joined(t, b, "-interface", "eth0")
	near := joined(t, a)
	assert.DeepEqual(t, memberships(t, a, "lo"), []string{"230.185.192.108", "224.0.0.1"})
	assert.DeepEqual(t, memberships(t, a, "eth0"), []string{"224.0.0.1"})

	near.Line(marker(t, a) + ` TTL 128: ".*"`)
	far.Line(marker(t, a, "-interface", "eth0") + ` TTL 128: ".*"`)
	near.Stop()
	far.Stop()
}

// -count datagrams are sent and the program ends; without it, it goes on. They
// are -interval apart.
func TestMulticastServerCountAndInterval(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	plain := member(t, h, notesGroup, "lo")

	begin := time.Now()
	server := harness.Start(t, h, "multicast/server", "-count", "3", "-interval", "200ms")
	sending(server, notesGroup, "lo", 128, "on")
	for range 3 {
		server.Line(`sent .*`)
		hear(t, plain)
	}
	server.Exit(0)
	assert.Assert(t, time.Since(begin) >= 400*time.Millisecond)

	// Had the interval stayed at a second, this would outlast every deadline.
	server = harness.Start(t, h, "multicast/server", "-interval", "1ms")
	from := sending(server, notesGroup, "lo", 128, "on")
	for range 100 {
		_, _, src := hear(t, plain)
		assert.Equal(t, src, from)
	}
	server.Stop()
}

// Every client on the machine hears every datagram.
func TestMulticastClientsShareThePort(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	var clients []*harness.Program
	for range 3 {
		clients = append(clients, joined(t, h))
	}
	server := harness.Start(t, h, "multicast/server", "-count", "5", "-interval", "1ms")
	from := sending(server, notesGroup, "lo", 128, "on")
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
func TestMulticastClientHearsItsGroupOnly(t *testing.T) {
	t.Parallel()
	const other = "239.1.2.3:8080"
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	stranger := joined(t, h, "-group", other)
	unfiltered := member(t, h, notesGroup, "lo")

	fromOther := marker(t, h, "-group", other)
	stranger.Line(fromOther + ` TTL 128: ".*"`)
	_, cm, src := hear(t, unfiltered)
	assert.Equal(t, src, fromOther)
	assert.Equal(t, cm.Dst.String(), "239.1.2.3")

	from := marker(t, h)
	client.Line(from + ` TTL 128: ".*"`) // and not fromOther
	client.Stop()
	stranger.Stop()
}

// What the client says is what the kernel did: it is a member while it runs,
// on the interface it names, and no longer.
func TestMulticastClientMembership(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	client := harness.Start(t, h, "multicast/client", "-group", "239.9.8.7:0")
	ready := client.Ready()
	client.Line(`joined 239\.9\.8\.7 on lo`)
	port := netip.MustParseAddrPort(ready).Port()
	assert.Assert(t, port != 0)
	assert.DeepEqual(t, memberships(t, h, "lo"), []string{"239.9.8.7", "224.0.0.1"})

	from := marker(t, h, "-group", fmt.Sprintf("239.9.8.7:%d", port))
	client.Line(from + ` TTL 128: ".*"`)
	client.Stop()
	assert.DeepEqual(t, memberships(t, h, "lo"), []string{"224.0.0.1"})
}

// Data is shown quoted, and cut to 64 bytes; an empty datagram is a datagram.
func TestMulticastClientShowsData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	var conn net.Conn
	var err error
	h.Do(func() {
		conn, err = net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(notesGroup)))
		if err == nil {
			err = ipv4.NewConn(conn).SetTTL(1)
		}
	})
	assert.NilError(t, err)
	defer conn.Close()
	ifi := loopbackOf(t, h)
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

// interfaceOf returns a host's interface of that name.
func interfaceOf(t *testing.T, on *lab.Host, name string) (ifi *net.Interface) {
	t.Helper()
	var err error
	on.Do(func() { ifi, err = net.InterfaceByName(name) })
	assert.NilError(t, err)
	return ifi
}

func loopbackOf(t *testing.T, on *lab.Host) (ifi *net.Interface) {
	t.Helper()
	var all []net.Interface
	var err error
	on.Do(func() { all, err = net.Interfaces() })
	assert.NilError(t, err)
	i := slices.IndexFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	assert.Assert(t, i >= 0)
	return &all[i]
}

// SIGINT and SIGTERM end both programs cleanly, wherever they are.
func TestMulticastStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client := joined(t, h)
		client.Signal(sig)
		client.Line("closed")
		client.Exit(0)

		server := harness.Start(t, h, "multicast/server", "-interval", "1h")
		sending(server, notesGroup, "lo", 128, "on")
		server.Line(`sent .*`)
		server.Signal(sig)
		server.Line("closed")
		server.Exit(0)
	}
}

func TestMulticastServerCommandLine(t *testing.T) {
	t.Parallel()
	notAGroup := func(addr string) misuse {
		return misuse{[]string{"-group", addr}, "server: -group " + strconv.Quote(addr) + " is not an IPv4 multicast address and a port"}
	}
	testCommandLine(t, "multicast/server", "group=230.185.192.108:8080 interface ttl=128 loopback=true interval=1s count",
		notAGroup("192.0.2.1:8080"), notAGroup("223.255.255.255:1"), notAGroup("240.0.0.0:1"),
		notAGroup("[ff02::1]:8080"), notAGroup("230.185.192.108:0"),
		misuse{[]string{"-group", "230.185.192.108"}, `invalid value "230.185.192.108" for flag -group: not an ip:port`},
		misuse{[]string{"-group", "nonsense"}, `invalid value "nonsense" for flag -group: not an ip:port`},
		misuse{[]string{"-ttl", "256"}, "server: -ttl 256 is not from 0 to 255"},
		misuse{[]string{"-ttl", "-1"}, "server: -ttl -1 is not from 0 to 255"},
		misuse{[]string{"-ttl", "far"}, `invalid value "far" for flag -ttl: parse error`},
		misuse{[]string{"-interval", "0"}, "server: -interval 0s is not positive"},
		misuse{[]string{"-count", "-1"}, "server: -count -1 is negative"},
	)
}

func TestMulticastClientCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "multicast/client", "group=230.185.192.108:8080 interface",
		misuse{[]string{"-group", "192.0.2.1:8080"}, `client: -group "192.0.2.1:8080" is not an IPv4 multicast address and a port`},
		misuse{[]string{"-group", "[ff02::1]:8080"}, `client: -group "[ff02::1]:8080" is not an IPv4 multicast address and a port`},
		misuse{[]string{"-group", "nonsense"}, `invalid value "nonsense" for flag -group: not an ip:port`},
	)
}

func TestMulticastFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	testFailure(t, h, `server: interface "nope0": no such network interface`, "multicast/server", "-interface", "nope0")
	testFailure(t, h, `client: interface "nope0": no such network interface`, "multicast/client", "-interface", "nope0")

	// Another program has the port and does not share it.
	var taken net.PacketConn
	var err error
	h.Do(func() { taken, err = net.ListenPacket("udp4", "0.0.0.0:8080") })
	assert.NilError(t, err)
	defer taken.Close()
	testFailure(t, h, "client: listen udp4 230.185.192.108:8080: bind: address already in use", "multicast/client")
}

// An interface that goes away, or never had an address, is told plainly.
func TestMulticastServerInterfaceWithoutAddress(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "", b, "")
	for _, name := range []string{"server", "ttl", "loopback"} {
		testFailure(t, a, name+`: interface "eth0": no IPv4 address`, "multicast/"+name, "-interface", "eth0")
	}
}

// sender is a plain socket that sends to groups by the loopback interface, or
// from an address by its own.
func sender(t *testing.T, on *lab.Host, ifname string, ip net.IP) *ipv4.PacketConn {
	t.Helper()
	conn := listenUDP(t, on, "udp4", net.JoinHostPort(ip.String(), "0"))
	p := ipv4.NewPacketConn(conn)
	assert.NilError(t, p.SetMulticastInterface(interfaceOf(t, on, ifname)))
	return p
}

// Of unicast, one of two sockets on a port gets all; of multicast, both.
func TestMulticastClientUnicastOnASharedPort(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	plain := []*ipv4.PacketConn{member(t, h, notesGroup, "lo"), member(t, h, notesGroup, "lo")}
	out := sender(t, h, "lo", net.IPv4(127, 0, 0, 1))
	for _, to := range []string{"127.0.0.1:8080", notesGroup} {
		_, err := out.WriteTo([]byte(to), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
		assert.NilError(t, err)
	}
	unicast := 0
	for _, p := range plain {
		data, _, _ := hear(t, p)
		if data == "127.0.0.1:8080" {
			unicast++
			data, _, _ = hear(t, p)
		}
		assert.Equal(t, data, notesGroup)
	}
	assert.Equal(t, unicast, 1)
}
