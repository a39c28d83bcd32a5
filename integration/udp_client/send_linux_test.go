package udp_client

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// With its defaults it sends to this machine only, and yet takes another machine's
// datagram for the reply: its socket is on 0.0.0.0.
func TestSendOtherMachines(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		other := lab.NewHost(t, "other")
		lab.Link(t, other, "10.0.0.1/24", h, "10.0.0.2/24")
		stranger := peer.ListenUDP(t, other, "udp4", "10.0.0.1:8080")
		p, port := sentBy(t, start, 5, "127.0.0.1:8080", "0.0.0.0")
		peer.SendUDP(t, stranger, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port), "from elsewhere")
		p.Line(`received 14 bytes from 10\.0\.0\.1:8080: "from elsewhere"`)
		p.Exit(0)
	})
}

// On a link that takes 1500 bytes, 1472 cross in one piece over IPv4, and 1473 in two
// fragments. On one that takes 1280, the least of IPv6, 1232 cross in one piece.
func TestSendSizes(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	for _, c := range []struct {
		to        string
		mtu, size int
		whole     bool
	}{
		{"10.0.0.1:8080", 1500, 1472, true},
		{"10.0.0.1:8080", 1500, 1473, false},
		{"[fd00::1]:8080", 1500, 1452, true},
		{"[fd00::1]:8080", 1500, 1453, false},
		{"[fd00::1]:8080", 1280, 1232, true},
		{"[fd00::1]:8080", 1280, 1233, false},
	} {
		t.Run(fmt.Sprintf("%d bytes, MTU %d", c.size, c.mtu), func(t *testing.T) {
			t.Parallel()
			server, client := lab.NewHost(t, "server"), lab.NewHost(t, "client")
			lab.Link(t, server, "10.0.0.1/24 fd00::1/64", client, "10.0.0.2/24 fd00::2/64")
			client.SetMTU(t, "eth0", c.mtu)
			server.SetMTU(t, "eth0", c.mtu)
			capture := wire.Start(t, client, "eth0")
			remote := peer.ListenUDP(t, server, "udp", c.to)
			p := harness.Start(t, client, "udp_client/send", "-addr", c.to, "-message", strings.Repeat("x", c.size))
			data, from := peer.ReceiveUDP(t, remote)
			assert.Equal(t, len(data), c.size)
			peer.SendUDP(t, remote, from, "whole")
			p.Await(`received .*`)
			p.Exit(0)
			reply := func(e wire.Event) bool { return e.Kind == wire.UDP && e.Bytes == 5 }
			var sizes []int
			for _, e := range capture.Await("the reply", func(events []wire.Event) bool { return len(events) > 0 && reply(events[len(events)-1]) }) {
				if e.Kind == wire.UDP && !reply(e) {
					sizes = append(sizes, e.Bytes)
				}
			}
			assert.Equal(t, len(sizes) == 1 && sizes[0] == c.size, c.whole, "%v", sizes)
		})
	}
}

// A socket that forbids fragments is refused what the link does not take.
func TestSendDontFragment(t *testing.T) {
	t.Parallel()
	client, _, _ := peer.Cabled(t)
	conn := peer.ListenUDP(t, client, "udp4", ":0")
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
	}))
	assert.NilError(t, err)
	to := netip.MustParseAddrPort(peer.Here)
	peer.SendUDP(t, conn, to, strings.Repeat("x", 1472))
	_, err = conn.WriteToUDPAddrPort(make([]byte, 1473), to)
	assert.ErrorIs(t, err, unix.EMSGSIZE)
}

// Node looks a name up for each send.
func TestSendNodeLooksUpEachTime(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Names(t, h, "127.0.0.1 server")
	one, two := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080"), peer.ListenUDP(t, h, "udp4", "127.0.0.2:8080")
	node := harness.NodeScript(t, h, `
		const socket = require('dgram').createSocket('udp4')
		socket.send('first', 8080, 'server', () => {
			require('fs').writeFileSync('/etc/hosts', '127.0.0.2 server\n')
			socket.send('second', 8080, 'server', () => socket.close())
		})`)
	node.Exit(0)
	data, _ := peer.ReceiveUDP(t, one)
	assert.Equal(t, data, "first")
	data, _ = peer.ReceiveUDP(t, two)
	assert.Equal(t, data, "second")
}

// Told to end while it looks a name up, which there is not, Node's ends as ever.
func TestSendNodeLookup(t *testing.T) {
	t.Parallel()
	peer.StopsLookingUp(t, "udp_client/send", "--addr", "host.invalid:8080")
}
