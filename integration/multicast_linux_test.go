package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// multicastTap shows every frame that an interface sends and receives
// (packet(7)).
type multicastTap struct {
	t *testing.T
	f *os.File
}

func tapMulticast(t *testing.T, on *lab.Host, ifname string) multicastTap {
	t.Helper()
	lab.Require(t, "namespaces", lab.Isolated())
	var fd int
	var err error
	on.Do(func() {
		var ifi *net.Interface
		if ifi, err = net.InterfaceByName(ifname); err != nil {
			return
		}
		// Protocol 0: nothing comes before the socket is bound to the interface.
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index})
	})
	assert.NilError(t, err)
	f := os.NewFile(uintptr(fd), "tap")
	t.Cleanup(func() { f.Close() })
	assert.NilError(t, f.SetReadDeadline(time.Now().Add(harness.Patience())))
	return multicastTap{t, f}
}

// next returns the next IPv4 packet of a protocol and the Ethernet address that
// it is for.
func (tap multicastTap) next(protocol byte) (packet []byte, to net.HardwareAddr) {
	tap.t.Helper()
	for {
		buf := make([]byte, 65536)
		n, err := tap.f.Read(buf)
		assert.NilError(tap.t, err)
		if n > 14+20 && binary.BigEndian.Uint16(buf[12:]) == unix.ETH_P_IP && buf[14+9] == protocol {
			return buf[14:n], net.HardwareAddr(buf[:6])
		}
	}
}

// said waits until something is said of a group that differs from what was said
// before: hosts repeat themselves in case of loss.
func (tap multicastTap) said(group, before string) (message string, packet []byte) {
	tap.t.Helper()
	for {
		packet, _ = tap.next(unix.IPPROTO_IGMP)
		for _, message := range igmpMessages(packet, group) {
			if message != before {
				return message, packet
			}
		}
	}
}

// Left alone, a socket sends with TTL 1 and loopback on.
func TestMulticastServerKernelDefaults(t *testing.T) {
	t.Parallel()
	conn := listenUDP(t, lab.NewHost(t, "h"), "udp4", "127.0.0.1:0")
	assert.Equal(t, ipOption(t, conn, unix.IP_MULTICAST_TTL), 1)
	assert.Equal(t, ipOption(t, conn, unix.IP_MULTICAST_LOOP), 1)
}

// However many members there are, the sender sends one frame, to the Ethernet
// address that RFC 1112, section 6.4 makes of the group's last 23 bits.
func TestMulticastServerOneFrame(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	segment := lab.NewSegment(t, "segment")
	a := lab.NewHost(t, "a")
	segment.Join(t, a, "10.0.0.1/24")
	var members []*harness.Program
	for i := range 3 {
		h := lab.NewHost(t, fmt.Sprint("member", i))
		segment.Join(t, h, fmt.Sprintf("10.0.0.%d/24", i+2))
		members = append(members, joined(t, h, "-interface", "eth0"))
	}
	tap := tapMulticast(t, a, "eth0")
	for _, ttl := range []int{7, 8} {
		from := sendWithTTL(t, a, ttl)
		for _, m := range members {
			m.Line(fmt.Sprintf(`%s TTL %d: ".*"`, from, ttl))
		}
	}
	for _, ttl := range []byte{7, 8} {
		packet, to := tap.next(unix.IPPROTO_UDP)
		assert.Equal(t, packet[8], ttl)
		assert.Equal(t, to.String(), "01:00:5e:39:c0:6c")
	}
	for _, m := range members {
		m.Stop()
	}
}

// The server joins nothing, and is content with nobody listening.
func TestMulticastServerIsNoMember(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	p := harness.Start(t, h, "multicast/server", "-interval", "1ms")
	sending(p, notesGroup, "lo", 128, "on")
	for range 3 {
		p.Line("sent .*")
	}
	assert.DeepEqual(t, memberships(t, h, "lo"), []string{"224.0.0.1"})
	p.Stop()
}

// On a machine with nothing but lo a sender has to name its interface, and its
// source as well if it is to be answered.
func TestMulticastServerRoute(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	plain := member(t, h, notesGroup, "lo")
	conn := listenUDP(t, h, "udp4", "0.0.0.0:0")
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(notesGroup))
	_, err := conn.WriteTo([]byte("x"), to)
	assert.Assert(t, errors.Is(err, unix.ENETUNREACH), "%v", err)
	assert.ErrorContains(t, err, "network is unreachable")

	assert.NilError(t, ipv4.NewPacketConn(conn).SetMulticastInterface(loopbackOf(t, h)))
	_, err = conn.WriteTo([]byte("x"), to)
	assert.NilError(t, err)
	_, _, src := hear(t, plain)
	assert.Assert(t, strings.HasPrefix(src, "0.0.0.0:"), src)

	// With networks, the routes choose the interface, and so the source.
	other := lab.NewHost(t, "other")
	lab.Link(t, h, "10.0.0.1/24", other, "10.0.0.2/24")
	lab.Link(t, h, "10.0.1.1/24", other, "10.0.1.2/24")
	h.Route(t, "0.0.0.0/0", "10.0.1.2")
	var routed net.Conn
	h.Do(func() { routed, err = net.Dial("udp4", notesGroup) })
	assert.NilError(t, err)
	defer routed.Close()
	assert.Equal(t, routed.LocalAddr().(*net.UDPAddr).IP.String(), "10.0.1.1")
}

// A socket bound to its interface's own address is a member, and hears what is
// sent to that address and nothing that is sent to the group.
func TestMulticastClientBoundToUnicast(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	conn := listenUDP(t, h, "udp4", "127.0.0.1:8080")
	lo := loopbackOf(t, h)
	assert.NilError(t, ipv4.NewPacketConn(conn).JoinGroup(lo, &net.UDPAddr{IP: net.IPv4(230, 185, 192, 108)}))
	assert.DeepEqual(t, memberships(t, h, lo.Name), []string{"230.185.192.108", "224.0.0.1"})
	out := sender(t, h, lo.Name, net.IPv4(127, 0, 0, 1))
	for _, to := range []string{notesGroup, "127.0.0.1:8080"} {
		_, err := out.WriteTo([]byte(to), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
		assert.NilError(t, err)
	}
	buf := make([]byte, 100)
	n, _, err := conn.ReadFrom(buf)
	assert.NilError(t, err)
	assert.Equal(t, string(buf[:n]), "127.0.0.1:8080")
}

// For a group's address Go binds 0.0.0.0, shares the port and does not join;
// ListenMulticastUDP joins, and turns loopback off.
func TestMulticastClientListenPacket(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	conn := listenUDP(t, h, "udp4", notesGroup)
	assert.Equal(t, conn.LocalAddr().String(), "0.0.0.0:8080")
	assert.Equal(t, sockOption(t, conn, unix.SOL_SOCKET, unix.SO_REUSEADDR), 1)
	assert.DeepEqual(t, memberships(t, h, "lo"), []string{"224.0.0.1"})
	assert.Equal(t, sockOption(t, listenUDP(t, h, "udp4", "0.0.0.0:0"), unix.SOL_SOCKET, unix.SO_REUSEADDR), 0)

	lo := loopbackOf(t, h)
	var both *net.UDPConn
	var err error
	h.Do(func() {
		both, err = net.ListenMulticastUDP("udp4", lo, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(notesGroup)))
	})
	assert.NilError(t, err)
	defer both.Close()
	assert.DeepEqual(t, memberships(t, h, "lo"), []string{"230.185.192.108", "224.0.0.1"})
	assert.Equal(t, ipOption(t, conn, unix.IP_MULTICAST_LOOP), 1)
	assert.Equal(t, ipOption(t, both, unix.IP_MULTICAST_LOOP), 0)
}

// Joining without an interface joins on the one that the route to the group
// names, and fails where there is none.
func TestMulticastClientWithoutInterface(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	group := &net.UDPAddr{IP: net.IPv4(230, 185, 192, 108)}
	p := ipv4.NewPacketConn(listenUDP(t, a, "udp4", notesGroup))
	err := p.JoinGroup(nil, group)
	assert.Assert(t, errors.Is(err, unix.ENODEV), "%v", err)

	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	lab.Link(t, a, "10.0.1.1/24", b, "10.0.1.2/24")
	a.Route(t, "0.0.0.0/0", "10.0.1.2")
	assert.NilError(t, p.JoinGroup(nil, group))
	assert.DeepEqual(t, memberships(t, a, "eth0"), []string{"224.0.0.1"})
	assert.DeepEqual(t, memberships(t, a, "eth1"), []string{"230.185.192.108", "224.0.0.1"})
}

// With strict reverse path filtering, a datagram whose source is not on the
// interface that it comes in by is lost.
func TestMulticastClientReversePath(t *testing.T) {
	t.Parallel()
	a, b, c := lab.NewHost(t, "a"), lab.NewHost(t, "b"), lab.NewHost(t, "c")
	lab.Link(t, a, "10.0.0.1/24 10.9.0.1/24", b, "10.0.0.2/24")
	lab.Link(t, b, "10.9.0.2/24", c, "10.9.0.3/24")
	client := joined(t, b, "-interface", "eth0")
	elsewhere := sender(t, a, "eth0", net.IPv4(10, 9, 0, 1))
	for _, filter := range []string{"0", "1"} {
		setSysctl(t, b, "net/ipv4/conf/eth0/rp_filter", filter)
		_, err := elsewhere.WriteTo([]byte("from elsewhere"), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(notesGroup)))
		assert.NilError(t, err)
		if filter == "0" {
			client.Line(elsewhere.LocalAddr().String() + ` TTL 1: "from elsewhere"`)
		}
		client.Line(marker(t, a, "-interface", "eth0") + ` TTL 128: ".*"`)
	}
	client.Stop()
}

func setSysctl(t *testing.T, on *lab.Host, name, value string) {
	t.Helper()
	var err error
	on.Do(func() { err = os.WriteFile("/proc/sys/"+name, []byte(value), 0) })
	assert.NilError(t, err)
}

func ipOption(t *testing.T, conn *net.UDPConn, option int) int {
	t.Helper()
	return sockOption(t, conn, unix.IPPROTO_IP, option)
}

func sockOption(t *testing.T, conn *net.UDPConn, level, option int) (value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	var failed error
	err = raw.Control(func(fd uintptr) { value, failed = unix.GetsockoptInt(int(fd), level, option) })
	assert.NilError(t, errors.Join(err, failed))
	return value
}

// stopNode ends a script that would go on.
func stopNode(p *harness.Program) {
	p.Signal(syscall.SIGKILL)
	p.ExitSaying(-1, "")
}

// The notes' server, as it is there.
const notesServer = `
let dgram = require('dgram')
let server = dgram.createSocket('udp4')
server.on('listening', function() {
    server.MulticastTTL(128)
    server.setMulticastLoopback(true)
    server.addMembership('230.185.192.108')
})
setInterval(broadcast, 1000)
function broadcast() {
    let buffer = Buffer.from(new Date().toLocaleString())
    server.send(buffer, 0, buffer.length, 8080, '230.185.192.108')
}
`

// It ends with a TypeError, and not one datagram was sent, although there is a
// route and a member.
func TestMulticastServerOfTheNotes(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	a.Route(t, "0.0.0.0/0", "10.0.0.2")
	near, far := joined(t, a, "-interface", "eth0"), joined(t, b, "-interface", "eth0")
	startNode(t, a, notesServer).ExitSaying(1, `(?s).*TypeError: server\.MulticastTTL is not a function.*`)
	from := marker(t, a, "-interface", "eth0")
	near.Line(from + ` TTL 128: ".*"`)
	far.Line(from + ` TTL 128: ".*"`)
	near.Stop()
	far.Stop()

	// With the method's right name it sends, the first datagram with TTL 128 too:
	// Node holds it back until the socket is bound and 'listening' is over.
	near = joined(t, a, "-interface", "eth0")
	fixed := startNode(t, a, strings.Replace(notesServer, ".MulticastTTL", ".setMulticastTTL", 1))
	near.Line(`10\.0\.0\.1:\d+ TTL 128: ".*"`)
	stopNode(fixed)
	near.Stop()
}

// The page's server sends; options that come before bind throw EBADF.
func TestMulticastServerInNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	p := startNode(t, h, `
const dgram = require('dgram')
const server = dgram.createSocket('udp4')
for (const early of [() => server.setMulticastTTL(128), () => server.setMulticastLoopback(true)])
  try { early(); console.log('fine') } catch (err) { console.log(err.code) }
server.bind(0, '127.0.0.1', () => {
  server.setMulticastInterface('127.0.0.1')
  server.setMulticastTTL(128)
  for (const ttl of [256, -1])
    try { server.setMulticastTTL(ttl); console.log('fine') } catch (err) { console.log(err.code) }
  setInterval(() => server.send(new Date().toLocaleString(), 8080, '230.185.192.108'), 1000)
})
`)
	p.Line("EBADF")
	p.Line("EBADF")
	p.Line("EINVAL")
	p.Line("EINVAL")
	client.Line(`127\.0\.0\.1:\d+ TTL 128: ".*"`)
	stopNode(p)
	client.Stop()
}

// The notes' client, as it is there, on a machine with its address: it is a
// member, it hears what is sent to that address and nothing of the group.
func TestMulticastClientOfTheNotes(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "192.168.1.103/24", b, "192.168.1.1/24")
	a.Route(t, "0.0.0.0/0", "192.168.1.1")
	near := joined(t, b, "-interface", "eth0")
	p := startNode(t, a, `
let dgram = require('dgram')
let client = dgram.createSocket('udp4')
client.on('listening', function() {
    client.addMembership('230.185.192.108')
})
client.on('message', function(message, remote) {
    console.log(message.toString())
})
client.bind(8080, '192.168.1.103')
`)
	awaitMember(t, a, "eth0", "230.185.192.108")
	near.Line(marker(t, b, "-interface", "eth0") + ` TTL 128: ".*"`)
	_, err := sender(t, b, "eth0", net.IPv4(192, 168, 1, 1)).WriteTo([]byte("unicast"), nil,
		&net.UDPAddr{IP: net.IPv4(192, 168, 1, 103), Port: 8080})
	assert.NilError(t, err)
	p.Line("unicast")
	stopNode(p)
	near.Stop()
}

// The page's client hears; so does one bound to the group's address, and that
// one hears no other group. Joining twice and the like throw what the kernel says.
func TestMulticastClientInNode(t *testing.T) {
	t.Parallel()
	const other = "239.1.2.3:8080"
	h := lab.NewHost(t, "h")
	stranger := joined(t, h, "-group", other)
	const script = `
const dgram = require('dgram')
const client = dgram.createSocket({ type: 'udp4', reuseAddr: true })
client.bind(8080, %s () => {
  client.addMembership('230.185.192.108', '127.0.0.1')
  for (const wrong of [() => client.addMembership('230.185.192.108', '127.0.0.1'),
                       () => client.dropMembership('239.9.9.9', '127.0.0.1'),
                       () => client.addMembership('239.9.9.9')])
    try { wrong(); console.log('fine') } catch (err) { console.log(err.code) }
  console.log(client.address().address)
})
client.on('message', (data, rinfo) => console.log(rinfo.address, rinfo.port, ` + "`${data}`" + `))
`
	everywhere := startNode(t, h, fmt.Sprintf(script, ""))
	group := startNode(t, h, fmt.Sprintf(script, "'230.185.192.108',"))
	for p, address := range map[*harness.Program]string{everywhere: "0.0.0.0", group: "230.185.192.108"} {
		p.Line("EADDRINUSE")
		p.Line("EADDRNOTAVAIL")
		p.Line("ENODEV")
		p.Line(address)
	}
	line := func(from string) string { return strings.Replace(from, ":", " ", 1) + " .*" }
	strange := marker(t, h, "-group", other)
	stranger.Line(strange + ` TTL 128: ".*"`)
	everywhere.Line(line(strange))
	from := marker(t, h)
	everywhere.Line(line(from))
	group.Line(line(from))
	stopNode(everywhere)
	stopNode(group)
	stranger.Stop()
}

// awaitMember waits until the kernel is a member.
func awaitMember(t *testing.T, on *lab.Host, ifname, group string) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if groups := memberships(t, on, ifname); !slices.Contains(groups, group) {
			return poll.Continue("%s is a member of %v", on.Name, groups)
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(5*time.Millisecond))
}

// An interface that is down still has its address: what cannot be done is to send.
func TestMulticastServerInterfaceDown(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	a.Unplug(t, "eth0")
	for _, name := range []string{"server", "ttl", "loopback"} {
		p := harness.Start(t, a, "multicast/"+name, "-interface", "eth0")
		from := p.Line(`sending to \S+ from (\S+) on eth0.*`)[0]
		p.ExitSaying(1, name+`: write udp4? \Q`+from+`\E->230\.185\.192\.108:8080: send(to|msg): network is unreachable\n`)
	}
}

// A program that cannot join says so and ends: it would wait for nothing.
func TestMulticastJoinRefused(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	var err error
	h.Do(func() { err = os.WriteFile("/proc/sys/net/ipv4/igmp_max_memberships", []byte("0"), 0) })
	assert.NilError(t, err)
	group := strings.TrimSuffix(notesGroup, ":8080")
	for _, section := range []string{"client", "loopback", "membership"} {
		testFailure(t, h, section+": join "+group+" on lo: setsockopt: no buffer space available", "multicast/"+section)
	}
	testFailure(t, h, "source: join 232.185.192.108 from 127.0.0.1 on lo: setsockopt: no buffer space available", "multicast/source")
}
