package multicast

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// A member that is bound to its interface's own address receives nothing that is sent
// to the group, with a privilege or without, and all that is sent to that address, though
// another socket has the port on every address. Joining needs no privilege.
func TestClientBoundToUnicast(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	for _, privileged := range []bool{true, false} {
		t.Run(fmt.Sprintf("privileged=%v", privileged), func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			if !privileged { // the thread that makes the host's sockets (capabilities(7))
				var none [2]unix.CapUserData
				var err error
				h.Do(func() { err = unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]) })
				assert.NilError(t, err)
			}
			everywhere, group := peer.Member(t, h, peer.NotesGroup, "lo"), &net.UDPAddr{IP: net.IPv4(230, 185, 192, 108)}
			conn := sharing(t, h, "127.0.0.1:8080")
			lo := peer.LoopbackOf(t, h)
			assert.NilError(t, everywhere.LeaveGroup(lo, group))
			assert.NilError(t, ipv4.NewPacketConn(conn).JoinGroup(lo, group))
			assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"230.185.192.108", "224.0.0.1"})
			out := peer.Sender(t, h, "lo", net.IPv4(127, 0, 0, 1))
			for _, to := range []string{"127.0.0.1:8080", peer.NotesGroup, "127.0.0.1:8080"} {
				_, err := out.WriteTo([]byte(to), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
				assert.NilError(t, err)
			}
			for range 2 {
				data, _ := peer.ReceiveUDP(t, conn)
				assert.Equal(t, data, "127.0.0.1:8080")
			}
			data, _, _ := peer.Hear(t, everywhere)
			assert.Equal(t, data, peer.NotesGroup) // and nothing before
		})
	}
}

// sharing is a plain socket that shares its port (SO_REUSEADDR, socket(7)).
func sharing(t *testing.T, on *lab.Host, addr string) (conn *net.UDPConn) {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
		return errors.Join(err, failed)
	}}
	var pc net.PacketConn
	var err error
	on.Do(func() { pc, err = config.ListenPacket(t.Context(), "udp4", addr) })
	assert.NilError(t, err)
	return peer.Ours(t, pc.(*net.UDPConn))
}

// For a group's address Go binds 0.0.0.0, shares the port and does not join;
// ListenMulticastUDP joins, and turns loopback off.
func TestClientListenPacket(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	conn := peer.ListenUDP(t, h, "udp4", peer.NotesGroup)
	assert.Equal(t, conn.LocalAddr().String(), "0.0.0.0:8080")
	assert.Equal(t, sockOption(t, conn, unix.SOL_SOCKET, unix.SO_REUSEADDR), 1)
	assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"224.0.0.1"})
	assert.Equal(t, sockOption(t, peer.ListenUDP(t, h, "udp4", "0.0.0.0:0"), unix.SOL_SOCKET, unix.SO_REUSEADDR), 0)

	lo := peer.LoopbackOf(t, h)
	assert.Equal(t, lo.Flags&net.FlagMulticast, net.Flags(0)) // it works all the same
	var both *net.UDPConn
	var err error
	h.Do(func() {
		both, err = net.ListenMulticastUDP("udp4", lo, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup)))
	})
	assert.NilError(t, err)
	defer both.Close()
	assert.DeepEqual(t, peer.Memberships(t, h, "lo"), []string{"230.185.192.108", "224.0.0.1"})
	assert.Equal(t, ipOption(t, conn, unix.IP_MULTICAST_LOOP), 1)
	assert.Equal(t, ipOption(t, both, unix.IP_MULTICAST_LOOP), 0)
}

// Joining without an interface joins on the one that the route to the group
// names, and fails where there is none.
func TestClientWithoutInterface(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	group := &net.UDPAddr{IP: net.IPv4(230, 185, 192, 108)}
	p := ipv4.NewPacketConn(peer.ListenUDP(t, a, "udp4", peer.NotesGroup))
	err := p.JoinGroup(nil, group)
	assert.Assert(t, errors.Is(err, unix.ENODEV), "%v", err)

	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	lab.Link(t, a, "10.0.1.1/24", b, "10.0.1.2/24")
	a.Route(t, "0.0.0.0/0", "10.0.1.2")
	assert.NilError(t, p.JoinGroup(nil, group))
	assert.DeepEqual(t, peer.Memberships(t, a, "eth0"), []string{"224.0.0.1"})
	assert.DeepEqual(t, peer.Memberships(t, a, "eth1"), []string{"230.185.192.108", "224.0.0.1"})
}

// With strict reverse path filtering, a datagram whose source is not on the
// interface that it comes in by is lost.
func TestClientReversePath(t *testing.T) {
	t.Parallel()
	a, b, c := lab.NewHost(t, "a"), lab.NewHost(t, "b"), lab.NewHost(t, "c")
	lab.Link(t, a, "10.0.0.1/24 10.9.0.1/24", b, "10.0.0.2/24")
	lab.Link(t, b, "10.9.0.2/24", c, "10.9.0.3/24")
	client := joined(t, b, "-interface", "eth0")
	elsewhere := peer.Sender(t, a, "eth0", net.IPv4(10, 9, 0, 1))
	for _, filter := range []string{"0", "1"} {
		peer.SetSysctl(t, b, "net/ipv4/conf/eth0/rp_filter", filter)
		_, err := elsewhere.WriteTo([]byte("from elsewhere"), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.NotesGroup)))
		assert.NilError(t, err)
		if filter == "0" {
			client.Line(elsewhere.LocalAddr().String() + ttl(1) + `: "from elsewhere"`)
		}
		client.Line(marker(t, a, "-interface", "eth0") + ttl(128) + `: ".*"`)
	}
	client.Stop()
}

// The notes' client, on a machine that has the address it binds, is a member, and
// receives what is sent to that address and nothing of the group. The mended one
// receives the group.
func TestClientOfTheNotes(t *testing.T) {
	harness.OnlyNode(t)
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "192.168.1.103/24", b, "192.168.1.1/24")
	a.Route(t, "0.0.0.0/0", "192.168.1.1") // it leaves the interface to the system
	node := harness.Node(t, a)
	p := node("testdata/notes_client.js")
	awaitMember(t, a, "eth0", "230.185.192.108")
	marker(t, b, "-interface", "eth0")
	_, err := peer.ListenUDP(t, b, "udp4", "192.168.1.1:0").WriteTo([]byte("unicast"), &net.UDPAddr{IP: net.IPv4(192, 168, 1, 103), Port: 8080})
	assert.NilError(t, err)
	p.Line("unicast") // and nothing before
	stopNode(p)

	p = node("multicast/client", "--interface", "eth0")
	groupOf(p)
	p.Line(heard(marker(t, b, "-interface", "eth0"), `"`+peer.Clock+`"`))
	p.Stop()
}

// A Node client bound to the group's address receives no other group, one bound to
// all addresses does. Joining twice, leaving what was not joined, and joining where no
// route leads to the group, or on an interface that is a group, throw what the kernel says.
func TestClientNodeBind(t *testing.T) {
	harness.Ours(t, "it is about Node")
	t.Parallel()
	const other = "239.1.2.3:8080"
	h := lab.NewHost(t, "h")
	stranger := joined(t, h, "-group", other)
	p := harness.NodeScript(t, h, `
const dgram = require('dgram')
const bind = (address, then) => {
  const client = dgram.createSocket({ type: 'udp4', reuseAddr: true })
  client.bind(8080, address, () => {
    client.addMembership('230.185.192.108', '127.0.0.1')
    for (const wrong of [() => client.addMembership('230.185.192.108', '127.0.0.1'),
                         () => client.dropMembership('239.9.9.9', '127.0.0.1'),
                         () => client.addMembership('239.9.9.9'),
                         () => client.addMembership('239.9.9.9', '239.9.9.9')])
      try { wrong(); console.log('fine') } catch (err) { console.log(err.code) }
    console.log(client.address().address)
    then?.()
  })
  client.on('message', (data, rinfo) => console.log(client.address().address, rinfo.address + ':' + rinfo.port))
}
bind(undefined, () => bind('230.185.192.108'))
`)
	for _, address := range []string{`0\.0\.0\.0`, `230\.185\.192\.108`} {
		p.Line("EADDRINUSE")
		p.Line("EADDRNOTAVAIL")
		p.Line("ENODEV")
		p.Line("ENODEV")
		p.Line(address)
	}
	strange := marker(t, h, "-group", other)
	stranger.Line(strange + ` TTL 128: ".*"`)
	p.Line(`0\.0\.0\.0 ` + strange)
	from := marker(t, h)
	heard := map[string]bool{} // in either order, and the stranger's by no other
	for range 2 {
		heard[p.Line(`(\S+) ` + from)[0]] = true
	}
	assert.DeepEqual(t, heard, map[string]bool{"0.0.0.0": true, "230.185.192.108": true})
	stopNode(p)
	stranger.Stop()
}

// awaitMember waits until the kernel is a member.
func awaitMember(t *testing.T, on *lab.Host, ifname, group string) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if groups := peer.Memberships(t, on, ifname); !slices.Contains(groups, group) {
			return poll.Continue("%s is a member of %v", on.Name, groups)
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(5*time.Millisecond))
}
