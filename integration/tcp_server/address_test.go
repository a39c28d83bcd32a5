package tcp_server

import (
	"net"
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
	four := harness.Start(t, h, "tcp_server/address")
	six := harness.Start(t, h, "tcp_server/address", "-addr", "[::1]:8080")
	for _, p := range []*harness.Program{four, six} {
		p.Ready()
		p.Await(`family: IPv\d`)
		p.Stop()
	}
	harness.Transcript(t, "address.txt", four, six)
}

// What the program says is where a client reaches it. No address, or 0.0.0.0,
// is every address of the machine, IPv6 and IPv4.
func TestAddress(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ addr, ip, family, reach string }{
		{"127.0.0.1:0", "127.0.0.1", "IPv4", "127.0.0.1"},
		{"127.0.0.2:0", "127.0.0.2", "IPv4", "127.0.0.2"},
		{"localhost:0", "127.0.0.1", "IPv4", "127.0.0.1"},
		{"[::1]:0", "::1", "IPv6", "::1"},
		{"[::]:0", "::", "IPv6", "127.0.0.1 ::1"},
		{":0", "::", "IPv6", "127.0.0.1 ::1"},
		{"0.0.0.0:0", "::", "IPv6", "127.0.0.1 ::1"},
	} {
		server := harness.Start(t, h, "tcp_server/address", "-addr", c.addr)
		ready := server.Ready()
		assert.Equal(t, server.Line(`address: (\S+)`)[0], c.ip, c.addr)
		port := server.Line(`port: (\d+)`)[0]
		assert.Equal(t, server.Line(`family: (\S+)`)[0], c.family, c.addr)
		assert.Equal(t, ready, net.JoinHostPort(c.ip, port))
		for _, ip := range strings.Fields(c.reach) {
			peer.DialTCP(t, h, net.JoinHostPort(ip, port))
		}
		server.Stop()
	}
}

func TestAddressNode(t *testing.T) {
	same := func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, c := range []struct{ addr, ip, family string }{
			{"127.0.0.1:0", "127.0.0.1", "IPv4"},
			{"[::1]:0", "::1", "IPv6"},
		} {
			s := start("tcp_server/address", "--addr", c.addr)
			ready := s.Ready()
			s.Line("address: " + c.ip)
			s.Line("port: " + ready[strings.LastIndex(ready, ":")+1:])
			s.Line("family: " + c.family)
			s.Stop()
		}
	}
	harness.Both(t, same)
}
