package multicast

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Left alone, a socket sends with TTL 1 and loopback on.
func TestServerKernelDefaults(t *testing.T) {
	t.Parallel()
	conn := peer.ListenUDP(t, lab.NewHost(t, "h"), "udp4", "127.0.0.1:0")
	assert.Equal(t, ipOption(t, conn, unix.IP_MULTICAST_TTL), 1)
	assert.Equal(t, ipOption(t, conn, unix.IP_MULTICAST_LOOP), 1)
}

// However many members there are, the sender sends one frame, to the Ethernet
// address that RFC 1112, section 6.4 makes of the group's last 23 bits.
func TestServerOneFrame(t *testing.T) {
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
func TestServerIsNoMember(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	p := harness.Start(t, h, "multicast/server", "-interval", "1ms")
	sending(p, peer.NotesGroup, "lo", 128, "on")
	for range 3 {
		p.Line("sent .*")
	}
	assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"224.0.0.1"})
	p.Stop()
}

// On a machine with nothing but lo a sender has to name its interface, and its
// source as well if it is to be answered.
func TestServerRoute(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	plain := peer.Member(t, h, peer.NotesGroup, "lo")
	conn := peer.ListenUDP(t, h, "udp4", "0.0.0.0:0")
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup))
	_, err := conn.WriteTo([]byte("x"), to)
	assert.Assert(t, errors.Is(err, unix.ENETUNREACH), "%v", err)
	assert.ErrorContains(t, err, "network is unreachable")

	assert.NilError(t, ipv4.NewPacketConn(conn).SetMulticastInterface(peer.LoopbackOf(t, h)))
	_, err = conn.WriteTo([]byte("x"), to)
	assert.NilError(t, err)
	_, _, src := peer.Hear(t, plain)
	assert.Assert(t, strings.HasPrefix(src, "0.0.0.0:"), src)

	// With networks, the routes choose the interface, and so the source.
	other := lab.NewHost(t, "other")
	lab.Link(t, h, "10.0.0.1/24", other, "10.0.0.2/24")
	lab.Link(t, h, "10.0.1.1/24", other, "10.0.1.2/24")
	h.Route(t, "0.0.0.0/0", "10.0.1.2")
	var routed net.Conn
	h.Do(func() { routed, err = net.Dial("udp4", peer.NotesGroup) })
	assert.NilError(t, err)
	defer routed.Close()
	assert.Equal(t, routed.LocalAddr().(*net.UDPAddr).IP.String(), "10.0.1.1")
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
func TestServerOfTheNotes(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	a.Route(t, "0.0.0.0/0", "10.0.0.2")
	near, far := joined(t, a, "-interface", "eth0"), joined(t, b, "-interface", "eth0")
	harness.NodeScript(t, a, notesServer).ExitSaying(1, `(?s).*TypeError: server\.MulticastTTL is not a function.*`)
	from := marker(t, a, "-interface", "eth0")
	near.Line(from + ` TTL 128: ".*"`)
	far.Line(from + ` TTL 128: ".*"`)
	near.Stop()
	far.Stop()

	// With the method's right name it sends, the first datagram with TTL 128 too:
	// Node holds it back until the socket is bound and 'listening' is over.
	near = joined(t, a, "-interface", "eth0")
	fixed := harness.NodeScript(t, a, strings.Replace(notesServer, ".MulticastTTL", ".setMulticastTTL", 1))
	near.Line(`10\.0\.0\.1:\d+ TTL 128: ".*"`)
	stopNode(fixed)
	near.Stop()
}

// The page's server sends; options that come before bind throw EBADF.
func TestServerInNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	p := harness.NodeScript(t, h, `
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

// An interface that is down still has its address: what cannot be done is to send.
func TestServerInterfaceDown(t *testing.T) {
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

// What the server says of its socket is what the kernel has.
func TestServerOptions(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "multicast/server", "-ttl", "7", "-loopback=false", "-interval", "1h")
	sending(server, peer.NotesGroup, "lo", 7, "off")
	server.Line(`sent .*`)
	fds := peer.SocketsOf(t, server)
	assert.Equal(t, len(fds), 1)
	for option, want := range map[int]int{unix.IP_MULTICAST_TTL: 7, unix.IP_MULTICAST_LOOP: 0} {
		got, err := unix.GetsockoptInt(fds[0], unix.IPPROTO_IP, option)
		assert.NilError(t, err)
		assert.Equal(t, got, want)
	}
	server.Stop()
}

// A router takes one from the TTL and forwards what is left above 0: TTL 1
// stays on its network, 2 crosses one router and arrives as 1, 128 as 127.
func TestServerTTLAcrossARouter(t *testing.T) {
	t.Parallel()
	left, router, right := peer.Routed(t)
	smcroute := routeMulticast(t, router, "230.185.192.108")
	near, far := peer.Member(t, router, peer.NotesGroup, "eth0"), joined(t, right, "-interface", "eth0")
	for _, ttl := range []int{1, 2, 128} {
		from := sendWithTTL(t, left, ttl)
		_, cm, src := peer.Hear(t, near)
		assert.Equal(t, src, from)
		assert.Equal(t, cm.TTL, ttl)
		if ttl > 1 { // had 1 come, this would not be the next line
			far.Line(fmt.Sprintf(`%s TTL %d: ".*"`, from, ttl-1))
		}
	}
	far.Stop()
	stopRouter(smcroute)
}

// RFC 1122 (3.2.1.7) has no host send a datagram of TTL 0. Linux obeys only where some
// program of that host is a member; from a host with none, it goes out.
func TestServerTTLZero(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	far := joined(t, b, "-interface", "eth0")
	far.Line(sendWithTTL(t, a, 0) + ` TTL 0: ".*"`)

	near := joined(t, a, "-interface", "eth0")
	near.Line(sendWithTTL(t, a, 0) + ` TTL 0: ".*"`)
	from := sendWithTTL(t, a, 1)
	near.Line(from + ` TTL 1: ".*"`)
	far.Line(from + ` TTL 1: ".*"`) // and not the one before
	near.Stop()
	far.Stop()
}

// sendWithTTL has the server send one datagram on eth0, and tells from where.
func sendWithTTL(t *testing.T, on *lab.Host, ttl int) (from string) {
	t.Helper()
	return marker(t, on, "-interface", "eth0", "-ttl", fmt.Sprint(ttl))
}

// What either server says of its socket is what the kernel has.
func TestServerNodeKernel(t *testing.T) {
	same := func(t *testing.T, h *lab.Host, start harness.Starter) {
		s := start("multicast/server", "--ttl", "7", "--loopback=false", "--interval", "3600s")
		sending(s, peer.NotesGroup, "lo", 7, "off")
		s.Line(`sent .*`)
		assert.Equal(t, peer.Option(t, s, false, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL), 7)
		assert.Equal(t, peer.Option(t, s, false, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP), 0)
		s.Stop()
	}
	harness.Both(t, same)
}
