package tcp_server

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// IPV6_V6ONLY is off, whatever net.ipv6.bindv6only says; and where IPv6 has been
// disabled, it still is [::] that Go makes of 0.0.0.0, which IPv4 clients reach.
func TestAddressEverywhereKernel(t *testing.T) {
	harness.Ours(t, "what 0.0.0.0 means is the language's choice")
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	for _, sysctl := range []string{"bindv6only", "conf/all/disable_ipv6"} {
		peer.SetSysctl(t, h, "net/ipv6/"+sysctl, "1")
		server := harness.Start(t, h, "tcp_server/address", "-addr", "0.0.0.0:0")
		reached(t, h, said(t, server, "::", "IPv6"), "127.0.0.1")
		assert.Equal(t, peer.Option(t, server, true, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY), 0)
		server.Stop()
	}
}

// Server and client print a link-local address with its zone, each with the name of
// its own interface. With no zone, or that of no interface, it is an invalid argument;
// but Node 24 connects by the first interface then. Of other addresses the zone is dropped.
func TestAddressZone(t *testing.T) {
	for language, in := range harness.Languages() {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			server, other, client := lab.NewHost(t, "server"), lab.NewHost(t, "other"), lab.NewHost(t, "client")
			lab.Link(t, other, "fe80::1/64", client, "fe80::3/64") // the client's eth0
			lab.Link(t, server, "fe80::1/64", client, "fe80::2/64")

			s := in(t, server)("tcp_server/address", "--addr", "[fe80::1%eth0]:8080")
			said(t, s, "fe80::1%eth0", "IPv6")
			c := in(t, client)("tcp_client/unref", "--addr", "[fe80::1%eth1]:8080")
			c.Line(`connected to \[fe80::1%eth1\]:8080 from \[fe80:[0-9a-f:]+%eth1\]:\d+`)
			c.Line("waiting for the peer")
			c.Stop()
			s.Stop()

			// Whom a client would come to that took the wrong interface, in either language.
			s = harness.Start(t, other, "tcp_server/address", "-addr", "[fe80::1%eth0]:8080")
			said(t, s, "fe80::1%eth0", "IPv6")
			for _, zone := range []string{"", "%nope"} {
				addr := "[fe80::1" + zone + "]:8080"
				in(t, server)("tcp_server/address", "--addr", addr).ExitSaying(1, "address: .*(invalid argument|EINVAL).*\n")
				if c = in(t, client)("tcp_client/unref", "--addr", addr); language == "Node" && harness.NodeMajor(t) >= 24 {
					c.Line(`connected to \[fe80::1%eth0\]:8080 from \[fe80:[0-9a-f:]+%eth0\]:\d+`)
					c.Line("waiting for the peer")
					c.Stop()
				} else {
					c.ExitSaying(1, "unref: .*(invalid argument|EINVAL).*\n")
				}
			}
			s.Stop()
			s = in(t, server)("tcp_server/address", "--addr", "[::1%lo]:0")
			said(t, s, "::1", "IPv6")
			s.Stop()
		})
	}
}

// Go's "tcp6" on [::] is IPv6 alone, and so is Node's server with ipv6Only: an IPv4
// client is refused, and the port is free for an IPv4 server.
func TestAddressIPv6Only(t *testing.T) {
	only := func(t *testing.T, h *lab.Host, port string) {
		t.Helper()
		reached(t, h, "[::]:"+port, "::1")
		var ln net.Listener
		var err, refused error
		h.Do(func() {
			_, refused = net.Dial("tcp4", "127.0.0.1:"+port)
			ln, err = net.Listen("tcp4", "0.0.0.0:"+port)
		})
		assert.ErrorIs(t, refused, unix.ECONNREFUSED)
		assert.NilError(t, err)
		assert.NilError(t, ln.Close())
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, _ harness.Starter) {
		var ln net.Listener
		var err error
		h.Do(func() { ln, err = net.Listen("tcp6", "[::]:0") })
		assert.NilError(t, err)
		defer ln.Close()
		only(t, h, fmt.Sprint(peer.TCPPort(ln.Addr())))
	}, func(t *testing.T, h *lab.Host, _ harness.Starter) {
		p := harness.NodeScript(t, h, `
			const server = require('node:net').createServer((socket) => socket.destroy())
			server.listen({ port: 0, host: '::', ipv6Only: true }, () => console.log(server.address().port))
			process.on('SIGTERM', () => server.close(() => console.log('closed')))`)
		only(t, h, p.Line(`(\d+)`)[0])
		p.Stop()
	})
}

// Go's own listener is an MPTCP socket, whose address lacks the zone; the program's,
// and Node's, is a TCP socket.
func TestAddressMultipath(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/address", "--addr", "127.0.0.1:0")
		said(t, server, "127.0.0.1", "IPv4")
		assert.Equal(t, peer.Option(t, server, true, unix.SOL_SOCKET, unix.SO_PROTOCOL), unix.IPPROTO_TCP)
		server.Stop()
	})
	t.Run("as Go does by default", func(t *testing.T) {
		h := lab.NewHost(t, "h")
		lab.Link(t, h, "fe80::1/64", lab.NewHost(t, "other"), "")
		// A number: the names of a host's interfaces are not those that this process knows.
		addr := fmt.Sprintf("[fe80::1%%%d]:0", peer.InterfaceOf(t, h, "eth0").Index)
		for _, c := range []struct {
			config   func(*net.ListenConfig)
			protocol int
			zone     bool
		}{
			{func(*net.ListenConfig) {}, unix.IPPROTO_MPTCP, false},
			{func(lc *net.ListenConfig) { lc.SetMultipathTCP(false) }, unix.IPPROTO_TCP, true},
		} {
			var lc net.ListenConfig
			c.config(&lc)
			var ln net.Listener
			var err error
			h.Do(func() { ln, err = lc.Listen(context.Background(), "tcp", addr) })
			assert.NilError(t, err)
			defer ln.Close()
			raw, err := ln.(*net.TCPListener).SyscallConn()
			assert.NilError(t, err)
			protocol := 0
			assert.NilError(t, raw.Control(func(fd uintptr) { protocol, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL) }))
			assert.NilError(t, err)
			if protocol != c.protocol && !c.zone {
				lab.Require(t, "MPTCP", false)
			}
			assert.Equal(t, protocol, c.protocol)
			assert.Equal(t, strings.Contains(ln.Addr().String(), "%"), c.zone, "%v", ln.Addr())
		}
	})
}
