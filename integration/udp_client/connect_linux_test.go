package udp_client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// connectTo has the program connect, and disconnect has it undo that; each demands that it
// says from where, or at which address it is then bound.
func connectTo(p *harness.Program, to string, from netip.AddrPort) {
	p.Write("\n")
	p.Line(fmt.Sprintf(`connected to \Q%s\E from \Q%v\E`, to, from))
}

func disconnect(p *harness.Program, bound string) {
	p.Write("\n")
	p.Line(`disconnected, bound to \Q` + bound + `\E`)
}

// strangerAsks has udp_client:client send a message to a program that does not reply.
func strangerAsks(t *testing.T, h *lab.Host, message, failure string) (p *harness.Program, from string) {
	t.Helper()
	p = harness.Start(t, h, "udp_client/client", "-addr", "127.0.0.1:8081", "-message", message, "-timeout", "200ms")
	from = p.Line(`connected to 127\.0\.0\.1:8081 from (\S+)`)[0]
	p.Line(`sent \d+ bytes: .*`)
	p.ExitSaying(1, `client: read .*: `+failure+`\n`)
	peer.KeepPort(t, h, from)
	return p, from
}

// With three terminals, as the page shows it: the stranger is heard before and after, and
// refused while the socket is connected.
func TestConnectTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, _ := peer.EchoServer(t, h)
	p := harness.Start(t, h, "udp_client/connect")
	addr := listens(p)
	before, from := strangerAsks(t, h, "before", "no reply within 200ms")
	p.Line(from + ` sent 6 bytes: "before"`)
	connectTo(p, "127.0.0.1:8080", addr)
	server.Line(`127\.0\.0\.1:8081 IPv4 sent 5 bytes: "hello"`)
	p.Line(`127\.0\.0\.1:8080 sent 5 bytes: "hello"`)
	while, _ := strangerAsks(t, h, "while", "read: connection refused")
	disconnect(p, "127.0.0.1:8081")
	_, from = strangerAsks(t, h, "after", "no reply within 200ms")
	p.Line(from + ` sent 5 bytes: "after"`)
	p.Stop()
	server.Stop()
	for _, stranger := range []*harness.Program{before, while} {
		stranger.Args = stranger.Args[:4] // the reader need not hurry
	}
	harness.Transcript(t, "connect.txt", server, p, before, while)
}

// hears has a socket send to the program, which prints it.
func hears(t *testing.T, p *harness.Program, from *net.UDPConn, to netip.AddrPort) {
	t.Helper()
	peer.SendUDP(t, from, to, "hi")
	p.Line(fmt.Sprintf(`\Q%v\E sent 2 bytes: "hi"`, peer.AddrOf(from)))
}

// isRefused demands that the kernel refuses what a stranger sends.
func isRefused(t *testing.T, h *lab.Host, to netip.AddrPort) {
	t.Helper()
	stranger := dial(t, h, to)
	peer.Write(t, stranger, "lost")
	_, err := stranger.Read(make([]byte, 1))
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
}

// Connected, the socket lets in its peer's datagrams only, by address and port; others'
// are refused, as if nobody had bound the port. Disconnected, it hears everybody again.
// The kernel knows the peer as long as it has one, and that may come about again and again.
func TestConnectPeerOnly(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for n, c := range []struct{ ip, bind string }{
			{"127.0.0.1", "127.0.0.1"},
			{"[::1]", "[::1]"},
			{"127.0.0.1", ""},
		} {
			if peer.InOurNode(t) && n == 0 {
				continue // so it is in the tests below
			}
			at := fmt.Sprintf("%s:808%d", c.ip, n) // other ports each time: a child may hold one until its exec
			remote, other := peer.ListenUDP(t, h, "udp", at), peer.ListenUDP(t, h, "udp", c.ip+":0")
			samePort := peer.ListenUDP(t, h, "udp4", fmt.Sprintf("127.0.0.2:808%d", n))
			p := start("udp_client/connect", "--addr", at, "--from", fmt.Sprintf("%s:809%d", c.bind, n))
			bound := listens(p)
			addr := netip.MustParseAddrPort(fmt.Sprintf("%s:809%d", c.ip, n))
			fds := peer.SocketsOf(t, p)
			assert.Equal(t, len(fds), 1)
			for range 2 {
				hears(t, p, other, addr)
				_, err := unix.Getpeername(fds[0])
				assert.ErrorIs(t, err, unix.ENOTCONN)

				connectTo(p, at, addr)
				data, from := peer.ReceiveUDP(t, remote)
				assert.Equal(t, data, "hello")
				assert.Equal(t, from, addr)
				_, err = unix.Getpeername(fds[0])
				assert.NilError(t, err)
				isRefused(t, h, addr)
				if addr.Addr().Is4() {
					refusals := peer.Counter(t, h, "Icmp", "OutDestUnreachs")
					peer.SendUDP(t, samePort, addr, "lost")
					assert.Equal(t, peer.Counter(t, h, "Icmp", "OutDestUnreachs"), refusals+1)
				}
				hears(t, p, remote, addr)

				disconnect(p, bound.String())
			}
			hears(t, p, other, addr)
			hears(t, p, remote, addr)
			peer.LetGo(t, fds[0])
			p.Stop()
		}
	})
}

// Nobody is at the peer's port: what is sent there first is sent, and the call that waits
// in a read then tells, once; the socket is as good as before.
func TestConnectRefused(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		p := start("udp_client/connect")
		addr := listens(p)
		for range 2 {
			connectTo(p, "127.0.0.1:8080", addr)
			p.Line("refused: nobody is at the peer's port")
			remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
			hears(t, p, remote, addr)
			remote.Close()
			// A program that another test starts just now may hold the socket until its exec.
			peer.Until(t, "nobody is there", func() bool { return portFree(h, "127.0.0.1:8080") })
			disconnect(p, "127.0.0.1:8081")
		}
		p.Stop()
	})
}

func portFree(h *lab.Host, addr string) bool {
	var conn net.PacketConn
	var err error
	h.Do(func() { conn, err = net.ListenPacket("udp4", addr) })
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// A port that the system chose is lost by disconnecting: what is sent there is refused.
// Connected again, the socket gets another.
func TestConnectPortLost(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
		p := start("udp_client/connect", "--from", "127.0.0.1:0")
		addr := listens(p)
		connectTo(p, "127.0.0.1:8080", addr)
		disconnect(p, "127.0.0.1:0")
		isRefused(t, h, addr)
		kept := peer.ListenUDP(t, h, "udp4", addr.String()) // it is free
		p.Write("\n")
		again := netip.MustParseAddrPort(p.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0])
		assert.Assert(t, again != peer.AddrOf(kept) && again.Port() != 0)
		p.Stop()
	})
}

// fdOf lends f a socket's descriptor.
func fdOf(t *testing.T, conn *net.UDPConn, f func(fd int)) {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) { f(int(fd)) }))
}

// kernelConnect connects a socket that is there, and with nobody undoes that.
func kernelConnect(t *testing.T, conn *net.UDPConn, to *net.UDPConn) {
	t.Helper()
	sa := unix.RawSockaddrInet4{Family: unix.AF_UNSPEC}
	if to != nil {
		addr := peer.AddrOf(to)
		sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: addr.Addr().As4(), Port: addr.Port()<<8 | addr.Port()>>8}
	}
	fdOf(t, conn, func(fd int) {
		_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
		assert.Equal(t, errno, syscall.Errno(0))
	})
}

// Connecting does not throw away what waits in the socket: a stranger's datagram that came
// before is read after. So it is in Node, whose page says otherwise.
func TestConnectKeepsWhatWaits(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	remote, stranger := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8081")
	peer.SendUDP(t, stranger, peer.AddrOf(conn), "before")
	kernelConnect(t, conn, remote)
	data, from := peer.ReceiveUDP(t, conn)
	assert.Equal(t, data, "before")
	assert.Equal(t, from, peer.AddrOf(stranger))
	conn.Close()
	peer.Until(t, "the port is free", func() bool { return portFree(h, "127.0.0.1:8081") })

	node := harness.NodeScript(t, h, `
		const lookup = (host, family, done) => done(null, host, 4) // so that connect does not come later
		const socket = require('dgram').createSocket({ type: 'udp4', lookup })
		socket.on('message', (data) => { console.log(String(data)); socket.close() })
		socket.on('connect', () => console.log('connected'))
		socket.bind(8081, '127.0.0.1', () => {
			console.log('bound')
			require('fs').readSync(0, Buffer.alloc(1)) // nothing is read from the socket meanwhile
			socket.connect(8080, '127.0.0.1')
			socket.remoteAddress()
		})`)
	node.Line("bound")
	peer.SendUDP(t, stranger, netip.MustParseAddrPort("127.0.0.1:8081"), "before")
	node.Write("\n")
	node.Line("connected")
	node.Line("before")
	node.Exit(0)
}

// Linux lets a socket be connected anew, to another peer, without disconnecting. What Go
// has noted of a socket's ends it does not ask again; its WriteTo… goes by that.
func TestConnectByHand(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	one, other := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	conn := peer.ListenUDP(t, h, "udp4", "0.0.0.0:0")
	for _, remote := range []*net.UDPConn{one, other} {
		kernelConnect(t, conn, remote)
		peer.Write(t, conn, "to the peer")
		data, _ := peer.ReceiveUDP(t, remote)
		assert.Equal(t, data, "to the peer")
	}
	assert.Assert(t, conn.RemoteAddr() == nil || conn.RemoteAddr().(*net.UDPAddr) == nil)
	assert.Equal(t, peer.AddrOf(conn).Addr().String(), "0.0.0.0")
	fdOf(t, conn, func(fd int) {
		local, err := unix.Getsockname(fd)
		assert.NilError(t, err)
		assert.Equal(t, local.(*unix.SockaddrInet4).Addr, [4]byte{127, 0, 0, 1})
	})
	peer.SendUDP(t, conn, peer.AddrOf(one), "elsewhere") // Go takes it for a socket that is not connected
	data, _ := peer.ReceiveUDP(t, one)
	assert.Equal(t, data, "elsewhere")

	dialled := dial(t, h, peer.AddrOf(one))
	kernelConnect(t, dialled, nil)
	assert.Equal(t, dialled.RemoteAddr().String(), peer.AddrOf(one).String())
	_, err := dialled.WriteToUDPAddrPort([]byte("x"), peer.AddrOf(one))
	assert.ErrorIs(t, err, net.ErrWriteToConnected)
	_, err = dialled.Write([]byte("x"))
	assert.ErrorIs(t, err, syscall.EDESTADDRREQ)
}

// Bound again after disconnecting, to the port that was lost, a socket hears there; sending
// gives it another port.
func TestConnectBindAgain(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	kernelConnect(t, conn, remote)
	kernelConnect(t, conn, nil)
	fdOf(t, conn, func(fd int) {
		assert.NilError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(peer.AddrOf(conn).Port())}))
	})
	peer.SendUDP(t, remote, peer.AddrOf(conn), "again")
	data, _ := peer.ReceiveUDP(t, conn)
	assert.Equal(t, data, "again")

	conn = peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	kernelConnect(t, conn, remote)
	kernelConnect(t, conn, nil)
	peer.SendUDP(t, conn, peer.AddrOf(remote), "from elsewhere")
	_, from := peer.ReceiveUDP(t, remote)
	assert.Assert(t, from.Port() != 0 && from != peer.AddrOf(conn), "%v", from)
}

// A question to a broadcast address comes back from another one, and a socket that is
// connected to the first does not hear that.
func TestConnectBroadcast(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	client, server := lab.NewHost(t, "client"), lab.NewHost(t, "server")
	lab.Link(t, server, "10.0.0.1/24", client, "10.0.0.2/24")
	answers := peer.ListenUDP(t, server, "udp4", "0.0.0.0:8080")
	conn := dial(t, client, netip.MustParseAddrPort("10.0.0.255:8080"))
	peer.Write(t, conn, "who is there?")
	data, from := peer.ReceiveUDP(t, answers)
	assert.Equal(t, data, "who is there?")
	peer.SendUDP(t, answers, from, "I am")
	peer.Until(t, "the answer is refused", func() bool { return peer.Counter(t, client, "Icmp", "OutDestUnreachs") == 1 })
}

// That a router knows no way (ICMP net unreachable) the program is not told, though the
// client's machine is.
func TestConnectUnreachable(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		router := lab.NewHost(t, "router")
		lab.Link(t, router, "10.0.0.1/24", h, "10.0.0.2/24")
		router.Forward(t)
		h.Route(t, "192.0.2.0/24", "10.0.0.1")
		p := start("udp_client/connect", "--addr", "192.0.2.1:8080", "--from", "10.0.0.2:8081")
		addr := listens(p)
		connectTo(p, "192.0.2.1:8080", addr)
		peer.Until(t, "the router has told", func() bool { return peer.Counter(t, h, "Icmp", "InDestUnreachs") == 1 })
		disconnect(p, "10.0.0.2:8081")
		hears(t, p, peer.ListenUDP(t, h, "udp4", "10.0.0.2:0"), addr)
		p.Stop()
	})
}

// That a router forbids it (ICMP communication administratively prohibited) is told, and
// ends the program.
func TestConnectProhibited(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		router := lab.NewHost(t, "router")
		lab.Link(t, router, "10.0.0.1/24 fd00::1/64", h, "10.0.0.2/24 fd00::2/64")
		router.Forward(t)
		for _, c := range []struct{ network, via, to, from, complaint string }{
			{"192.0.2.0/24", "10.0.0.1", "192.0.2.1:8080", "10.0.0.2:8081", "no route to host|EHOSTUNREACH"},
			{"2001:db8::/64", "fd00::1", "[2001:db8::1]:8080", "[fd00::2]:8081", "permission denied|EACCES"},
		} {
			router.Reject(t, c.network, unix.RTN_PROHIBIT)
			h.Route(t, c.network, c.via)
			p := start("udp_client/connect", "--addr", c.to, "--from", c.from)
			connectTo(p, c.to, listens(p))
			p.ExitSaying(1, `connect: .*(`+c.complaint+`).*\n`)
		}
	})
}

// Connecting looks for a route, and a socket of the peer's family: without, it fails, and
// the program names the address.
func TestConnectFailures(t *testing.T) {
	failing := func(noRoute, family string) func(t *testing.T, h *lab.Host, start harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			lab.Require(t, "namespaces", lab.Isolated())
			for complaint, args := range map[string][]string{
				noRoute: {"--addr", "192.0.2.1:8080"}, // TEST-NET-1, RFC 5737
				family:  {"--addr", "127.0.0.1:8080", "--from", "[::1]:8081"},
			} {
				p := start("udp_client/connect", args...)
				listens(p)
				p.Write("\n")
				p.ExitSaying(1, complaint+`\n`)
			}
		}
	}
	harness.Compare(t, failing(
		`connect: connect 192\.0\.2\.1:8080: network is unreachable`,
		`connect: connect 127\.0\.0\.1:8080: address family not supported by protocol`,
	), failing(`connect: connect ENETUNREACH 192\.0\.2\.1:8080`, `connect: (connect EINVAL|.*ENOTFOUND) 127\.0\.0\.1.*`))
}

// An address that is a port alone is this machine's.
func TestConnectPortAlone(t *testing.T) {
	harness.Ours(t, "what an address without a host means is package net's affair")
	t.Parallel()
	h := lab.NewHost(t, "h")
	remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
	p := harness.Start(t, h, "udp_client/connect", "-addr", ":8080", "-from", "127.0.0.1:0")
	addr := listens(p)
	connectTo(p, "127.0.0.1:8080", addr)
	_, from := peer.ReceiveUDP(t, remote)
	assert.Equal(t, from, addr)
	p.Stop()
}

// A link-local peer has a zone, which the kernel says too.
func TestConnectZone(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		other := lab.NewHost(t, "other")
		lab.Link(t, h, "fe80::1/64", other, "fe80::2/64")
		remote := peer.ListenUDP(t, other, "udp6", "[fe80::2%eth0]:8080")
		p := start("udp_client/connect", "--addr", "[fe80::2%eth0]:8080", "--from", "[fe80::1%eth0]:8081")
		addr := listens(p)
		connectTo(p, "[fe80::2%eth0]:8080", addr)
		_, from := peer.ReceiveUDP(t, remote)
		hears(t, p, remote, from)
		disconnect(p, "[fe80::1]:8081") // the interface is let go with the peer
		hears(t, p, peer.ListenUDP(t, other, "udp6", "[fe80::2%eth0]:0"), from)
		p.Stop()
	})
}

// In Go the zone may be the interface's number as well. Our own address names none here.
func TestConnectZoneNumber(t *testing.T) {
	harness.NotNode(t, "it wants the interface's name")
	t.Parallel()
	h, other := lab.NewHost(t, "h"), lab.NewHost(t, "other")
	lab.Link(t, h, "fe80::1/64", other, "fe80::2/64")
	remote := peer.ListenUDP(t, other, "udp6", "[fe80::2%eth0]:8080")
	number := peer.InterfaceOf(t, h, "eth0").Index
	p := harness.Start(t, h, "udp_client/connect", "-addr", fmt.Sprintf("[fe80::2%%%d]:8080", number), "-from", "[::]:8081")
	listens(p)
	p.Write("\n")
	p.Line(`connected to \[fe80::2%eth0\]:8080 from \[fe80::.*%eth0\]:8081`)
	_, from := peer.ReceiveUDP(t, remote)
	hears(t, p, remote, from)
	p.Stop()
}

// On the wire: connecting and disconnecting send nothing. While the socket is connected a
// stranger's datagram is refused.
func TestConnectWire(t *testing.T) {
	t.Parallel()
	segment := lab.NewSegment(t, "segment")
	server, client, stranger := lab.NewHost(t, "server"), lab.NewHost(t, "client"), lab.NewHost(t, "stranger")
	segment.Join(t, server, "10.0.0.1/24")
	segment.Join(t, client, "10.0.0.2/24")
	segment.Join(t, stranger, "10.0.0.3/24")
	c := wire.Start(t, client, "eth0")
	echo := peer.Serving(t, server, "udp_server/server")
	p := harness.Start(t, client, "udp_client/connect", "-addr", peer.Here, "-from", "10.0.0.2:8081")
	addr := listens(p)
	from := peer.ListenUDP(t, stranger, "udp4", "10.0.0.3:0")
	hears(t, p, from, addr)
	connectTo(p, peer.Here, addr)
	p.Line(`10\.0\.0\.1:8080 sent 5 bytes: "hello"`)
	isRefused(t, stranger, addr)
	disconnect(p, "10.0.0.2:8081")
	hears(t, p, from, addr)
	p.Stop()
	echo.Stop()
	peer.Drawn(t, "connect", c.Await("all", peer.Seen(wire.UDP, 5)),
		wire.Party{Name: "stranger", Addr: "10.0.0.3"}, wire.Party{Name: "client", Addr: "10.0.0.2"})
}

// A refusal that the read has not been told yet meets the next send instead, which then has
// not sent: the program sends again, and goes on. Node may be told while it looks up a name.
func TestConnectRefusedBefore(t *testing.T) {
	test := func(t *testing.T, h *lab.Host, start harness.Starter, args ...string) {
		p := start("udp_client/connect", args...)
		addr := listens(p)
		p.Write("\n\n\n\n\n") // all at once
		for range 3 {
			p.Await(fmt.Sprintf(`connected to 127\.0\.0\.1:8080 from %v`, addr))
		}
		peer.Until(t, "all are refused", func() bool { return peer.Counter(t, h, "Icmp", "OutDestUnreachs") == 3 })
		remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
		peer.SendUDP(t, remote, addr, "hi")
		p.Await(`127\.0\.0\.1:8080 sent 2 bytes: "hi"`)
		p.Stop()
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, _ harness.Starter) {
		test(t, h, peer.OneProcessor(t, h)) // so that it writes again before it reads
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		test(t, h, node)
		named := lab.NewHost(t, "named")
		peer.Names(t, named, "127.0.0.1 localhost")
		test(t, named, harness.Node(t, named), "--addr", "localhost:8080")
	})
}

// What a connected socket's read fails with is gone after: errors of a socket are told once.
func TestConnectToldOnce(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	conn := dial(t, h, netip.MustParseAddrPort("127.0.0.1:8080"))
	peer.Write(t, conn, "refused")
	_, err := conn.Write([]byte("not sent"))
	assert.Assert(t, errors.Is(err, syscall.ECONNREFUSED), "%v", err)
	remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
	peer.Write(t, conn, "sent")
	data, _ := peer.ReceiveUDP(t, remote)
	assert.Equal(t, data, "sent")
}

// A stranger who forges the peer's address is let in.
func TestConnectForged(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		stranger := lab.NewHost(t, "stranger")
		lab.Link(t, h, "10.0.0.1/24", stranger, "10.0.0.2/24")
		p := start("udp_client/connect", "--addr", "10.0.0.3:8080", "--from", "10.0.0.1:8081")
		addr := listens(p)
		connectTo(p, "10.0.0.3:8080", addr)
		peer.Spoof(t, peer.RawIPv4(t, stranger), net.IPv4(10, 0, 0, 3), 8080, net.UDPAddrFromAddrPort(addr), "forged")
		p.Line(`10\.0\.0\.3:8080 sent 6 bytes: "forged"`)
		p.Stop()
	})
}
