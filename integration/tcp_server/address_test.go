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

// The program with nothing but its defaults, as the page shows it.
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

// said checks that the three lines agree with the ready line, and returns that.
func said(t *testing.T, server *harness.Program, ip, family string) (ready string) {
	t.Helper()
	ready = server.Ready()
	assert.Equal(t, server.Line(`address: (\S+)`)[0], ip)
	assert.Equal(t, ready, net.JoinHostPort(ip, server.Line(`port: (\d+)`)[0]))
	assert.Equal(t, server.Line(`family: (\S+)`)[0], family)
	return ready
}

// reached checks that a client gets through at each of those addresses.
func reached(t *testing.T, on *lab.Host, ready string, ips ...string) {
	t.Helper()
	_, port, err := net.SplitHostPort(ready)
	assert.NilError(t, err)
	for _, ip := range ips {
		peer.DialTCP(t, on, net.JoinHostPort(ip, port))
	}
}

// The three lines agree with the ready line, and a client gets through at every
// address that they stand for.
func TestAddress(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		cases := []struct{ addr, ip, family, reach string }{
			{"127.0.0.2:0", "127.0.0.2", "IPv4", "127.0.0.2"},
			{":0", "::", "IPv6", "127.0.0.1 ::1"},
			{"[::1]:0", "::1", "IPv6", "::1"},
		}
		if peer.InOurNode(t) {
			cases = cases[:2] // TestAddressEverywhere has Node on [::1]
		}
		for _, c := range cases {
			server := start("tcp_server/address", "--addr", c.addr)
			reached(t, h, said(t, server, c.ip, c.family), strings.Fields(c.reach)...)
			server.Stop()
		}
	})
}

// Go takes 0.0.0.0 for every address of both families, Node for every IPv4 address:
// beside it IPv6's port is taken in Go, and free in Node. Of the two of localhost Go
// takes IPv4's.
func TestAddressEverywhere(t *testing.T) {
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		server := goes("tcp_server/address", "-addr", "0.0.0.0:8080")
		reached(t, h, said(t, server, "::", "IPv6"), "127.0.0.1", "::1")
		goes("tcp_server/address", "-addr", "[::1]:8080").ExitSaying(1, "address: .*address already in use\n")
		server.Stop()

		server = goes("tcp_server/address", "-addr", "localhost:0")
		said(t, server, "127.0.0.1", "IPv4")
		server.Stop()
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		server := node("tcp_server/address", "--addr", "0.0.0.0:8080")
		reached(t, h, said(t, server, "0.0.0.0", "IPv4"), "127.0.0.1")
		six := node("tcp_server/address", "--addr", "[::1]:8080")
		reached(t, h, said(t, six, "::1", "IPv6"), "::1")
		six.Stop()
		server.Stop()
	})
}

// In Node address() is null before 'listening' where a host is given. Without one the
// address was there at once.
func TestAddressNodeTooSoon(t *testing.T) {
	t.Parallel()
	p := harness.NodeScript(t, lab.NewHost(t, "h"), `
		for (const args of [[0, '127.0.0.1'], [0]]) {
			const server = require('node:net').createServer()
			server.listen(...args, () => server.close())
			console.log(server.address() === null ? 'null' : 'an address')
		}`)
	p.Line("null")
	p.Line("an address")
	p.Exit(0)
}
