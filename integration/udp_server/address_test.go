package udp_server

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

func TestAddressTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	given := harness.Start(t, h, "udp_server/address")
	given.Line(`listening on 127\.0\.0\.1:8080`)
	given.Line(`address: 127\.0\.0\.1`)
	given.Line(`port: 8080`)
	given.Line(`family: IPv4`)
	given.Stop()
	any6 := harness.Start(t, h, "udp_server/address", "-network", "udp6", "-addr", ":8080")
	any6.Line(`listening on \[::\]:8080`)
	any6.Line(`address: ::`)
	any6.Line(`port: 8080`)
	any6.Line(`family: IPv6`)
	any6.Stop()
	harness.Transcript(t, "address.txt", given, any6)
}

// The parts are those of the ready line, and of the socket that peers reach.
func TestAddressParts(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ network, addr, ip, family string }{
		{"udp4", "127.0.0.1:0", "127.0.0.1", "IPv4"},
		{"udp4", ":0", "0.0.0.0", "IPv4"},
		{"udp4", "localhost:0", "127.0.0.1", "IPv4"},
		{"udp6", "[::1]:0", "::1", "IPv6"},
		{"udp6", "[::]:0", "::", "IPv6"},
	} {
		p := harness.Start(t, h, "udp_server/address", "-network", c.network, "-addr", c.addr)
		ready := netip.MustParseAddrPort(p.Ready())
		assert.Equal(t, ready.Addr().String(), c.ip)
		assert.Assert(t, ready.Port() != 0)
		p.Line("address: " + c.ip)
		p.Line(fmt.Sprint("port: ", ready.Port()))
		p.Line("family: " + c.family)
		p.Stop()
	}
}

func TestAddressStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.StopBy(t, func() *harness.Program {
		p := harness.Start(t, h, "udp_server/address")
		p.Ready()
		p.Line("address: .*")
		p.Line("port: .*")
		p.Line("family: .*")
		return p
	})
}

func TestAddressFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
	peer.Fails(t, h, "address: listen udp4 127.0.0.1:8080: bind: address already in use", "udp_server/address")
	peer.Fails(t, h, "address: listen udp4 192.0.2.1:8080: bind: cannot assign requested address", "udp_server/address", "-addr", "192.0.2.1:8080")
	peer.Fails(t, h, "address: listen udp4: address ::1: no suitable address found", "udp_server/address", "-addr", "[::1]:8080")
	peer.Unresolved(t, h, "udp_server/address")
}

// Node: address() throws before bind has come to an end, on which it tells
// address, family and port.
func TestAddressOfNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	node := harness.NodeScript(t, h, `
		const socket = require('dgram').createSocket('udp4')
		const tell = () => { try { console.log(socket.address()) } catch (e) { console.log(e.code) } }
		socket.on('listening', () => { tell(); socket.close() })
		tell()
		socket.bind(8080, '127.0.0.1')
		tell()`)
	node.Line("EBADF")
	node.Line("EBADF")
	node.Line(`\{ address: '127\.0\.0\.1', family: 'IPv4', port: 8080 \}`)
	node.Exit(0)
}

func TestAddressNodePeer(t *testing.T) {
	same := func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, c := range []struct{ network, addr, ip, family string }{
			{"udp4", "127.0.0.1:0", "127.0.0.1", "IPv4"},
			{"udp6", "[::1]:0", "::1", "IPv6"},
		} {
			s := start("udp_server/address", "--network", c.network, "--addr", c.addr)
			ready := s.Ready()
			s.Line("address: " + c.ip)
			s.Line("port: " + ready[strings.LastIndex(ready, ":")+1:])
			s.Line("family: " + c.family)
			s.Stop()
		}
	}
	harness.Both(t, same)
}
