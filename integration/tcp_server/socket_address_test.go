package tcp_server

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// ends is the line of a server that sees a client's two ends, as they are or as
// they are written in an IPv6 address.
func ends(conn *net.TCPConn, mapped, family string) string {
	local, remote := conn.RemoteAddr().(*net.TCPAddr).AddrPort(), conn.LocalAddr().(*net.TCPAddr).AddrPort()
	return fmt.Sprintf("local %s%s port %d family %s, remote %[1]s%[5]s port %[6]d family %[4]s",
		mapped, local.Addr(), local.Port(), family, remote.Addr(), remote.Port())
}

// meet starts a server that listens on one address, and connects to another.
func meet(t *testing.T, h *lab.Host, start harness.Starter, listen, ip string, line func(*net.TCPConn) string) {
	t.Helper()
	server := start("tcp_server/socket_address", "--addr", listen)
	port := netip.MustParseAddrPort(server.Ready()).Port()
	for range 2 { // a client has a port of its own each time
		conn := peer.DialTCP(t, h, net.JoinHostPort(ip, fmt.Sprint(port)))
		server.Line(line(conn))
		peer.Silent(t, conn)
	}
	server.Stop()
}

// Both ends are what the client has, the other way round. The local port is the
// server's, whatever address the client connected to.
func TestSocketAddress(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		cases := []struct{ listen, dial, family string }{
			{"0.0.0.0:0", "127.0.0.1", "IPv4"},
			{"[::]:0", "::1", "IPv6"},
			{"127.0.0.1:0", "127.0.0.1", "IPv4"},
		}
		if peer.InOurNode(t) {
			cases = cases[:1] // where it listens plays no part, and TestSocketAddressZone has IPv6
		}
		for _, c := range cases {
			meet(t, h, start, c.listen, c.dial, func(conn *net.TCPConn) string { return ends(conn, "", c.family) })
		}
	})
}

// An IPv4 client of a server that listens everywhere comes to an IPv6 socket: Go's
// program says IPv4, Node's what the kernel says.
func TestSocketAddressMapped(t *testing.T) {
	harness.Compare(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		meet(t, h, start, ":0", "127.0.0.1", func(conn *net.TCPConn) string { return ends(conn, "", "IPv4") })
	}, func(t *testing.T, h *lab.Host, start harness.Starter) {
		meet(t, h, start, ":0", "127.0.0.1", func(conn *net.TCPConn) string { return ends(conn, "::ffff:", "IPv6") })
	})
}

// A destroyed socket of Node still knows the remote end if it was asked for before,
// and of the local one nothing.
func TestSocketAddressNodeDestroyed(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	p := harness.NodeScript(t, h, `
		const net = require('node:net')
		let asked = false
		const server = net.createServer((socket) => {
			if (asked) socket.remoteAddress
			socket.localAddress
			socket.destroy()
			console.log(socket.remoteAddress, socket.remotePort > 0, socket.localAddress, socket.address())
			if (asked) server.close()
			asked = true
		})
		server.listen(0, '127.0.0.1', () => console.log('listening on 127.0.0.1:' + server.address().port))`)
	addr := p.Ready()
	peer.DialTCP(t, h, addr)
	p.Line(`undefined false undefined \{\}`)
	peer.DialTCP(t, h, addr)
	p.Line(`127\.0\.0\.1 true undefined \{\}`)
	p.Exit(0)
}

// A client that resets its connection costs that connection only.
func TestSocketAddressReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/socket_address", "--addr", "127.0.0.1:0")
		addr := server.Ready()
		good, bad := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
		server.Line(`local .*`)
		server.Line(`local .*`)
		peer.Reset(t, bad)
		const want = `socket_address: .*(connection reset by peer|ECONNRESET)\n`
		server.Complaint(want)
		peer.Finish(t, peer.DialTCP(t, h, addr))
		server.Line(`local .*`)
		peer.Silent(t, good)
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, want)
	})
}

// In Node an accepted socket knows its server; one that has connected has none.
func TestSocketAddressNodeServer(t *testing.T) {
	t.Parallel()
	p := harness.NodeScript(t, lab.NewHost(t, "h"), `
		const net = require('node:net')
		const server = net.createServer((accepted) => {
			console.log(accepted.server === server, client.server === null)
			accepted.destroy()
			server.close()
		})
		let client
		server.listen(0, '127.0.0.1', () => { client = net.connect(server.address().port, '127.0.0.1').resume() })`)
	p.Line("true true")
	p.Exit(0)
}
