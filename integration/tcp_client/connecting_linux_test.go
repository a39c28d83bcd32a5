package tcp_client

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// nowhere is an address in a network that a client is cut off from.
const nowhere = "10.0.9.1:8080"

// rejected gives a client, 10.0.0.2, a router, 10.0.0.1, that rejects what is for that
// network, and captures what crosses the cable between them.
func rejected(t *testing.T, client *lab.Host, how int) (router *lab.Host, c *wire.Capture) {
	t.Helper()
	router = lab.NewHost(t, "router")
	lab.Link(t, router, "10.0.0.1/24", client, "10.0.0.2/24")
	client.Route(t, "10.0.9.0/24", "10.0.0.1")
	router.Forward(t)
	router.Reject(t, "10.0.9.0/24", how)
	return router, wire.Start(t, client, "eth0")
}

// attempt starts the program on a client's host.
func attempt(start harness.Starter, addr string, args ...string) *harness.Program {
	return start("tcp_client/connecting", append([]string{"--addr", addr}, args...)...)
}

// routed compares events between a client and its router with testdata/NAME.mmd.
func routed(t *testing.T, name string, events []wire.Event) {
	t.Helper()
	golden.Assert(t, wire.Diagram(events, wire.Party{Name: "client", Addr: "10.0.0.2"}, wire.Party{Name: "router", Addr: "10.0.0.1"}).Mermaid(), name+".mmd")
}

// Where nobody listens one SYN goes out and one RST comes back: the attempt has failed.
func TestConnectingRefused(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Link(t, lab.NewHost(t, "server"), "10.0.0.1/24", h, "10.0.0.2/24")
		c := wire.Start(t, h, "eth0")
		attempt(start, peer.Here, "--timeout", "1h").ExitSaying(1, `connecting: `+refusedThere(peer.Here)+`\n`)
		c.Await("RST", peer.Seen(wire.RST, 1))
		peer.Drawn(t, "connecting_refused", c.Settle())
	})
}

// A router that cannot reach a host says so, by ICMP, and the attempt has failed after one SYN.
func TestConnectingUnreachable(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		_, c := rejected(t, h, lab.Unreachable)
		attempt(start, nowhere, "--timeout", "1h").
			ExitSaying(1, `connecting: (dial tcp 10\.0\.9\.1:8080: connect: no route to host|connect EHOSTUNREACH 10\.0\.9\.1:8080)\n`)
		c.Await("ICMP", peer.Seen(wire.ICMP, 1))
		routed(t, "connecting_unreachable", c.Settle())
	})
}

// Linux limits the ICMP errors that it sends to one sender: where one is left out the
// attempt fails no sooner than its SYN has been sent again.
func TestConnectingUnreachableLate(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	_, c := rejected(t, h, lab.Unreachable)
	peer.Until(t, "a SYN is not answered", func() bool {
		var err error
		h.Do(func() { _, err = net.Dial("tcp", nowhere) })
		assert.ErrorIs(t, err, unix.EHOSTUNREACH)
		return len(wire.Only(wire.Events(c.Packets()), wire.SYNAgain)) > 0
	})
	events := c.Settle()
	assert.Assert(t, len(events) > 3, "%v", events) // the first was told at once
	assert.Equal(t, events[1].Kind, wire.ICMP)
	last := events[len(events)-3:]
	assert.Assert(t, last[0].Kind == wire.SYN && last[1].Kind == wire.SYNAgain && last[2].Kind == wire.ICMP, "%v", events)
}

// Where no machine has the address Linux asks for it by ARP, for three seconds: it is the
// client's on its own network, which sends no SYN, or the last router, which then sends ICMP.
func TestConnectingNoMachine(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		router := lab.NewHost(t, "router")
		lab.Link(t, router, "10.0.0.1/24", h, "10.0.0.2/24")
		lab.Link(t, router, "10.0.9.2/24", lab.NewHost(t, "other"), "10.0.9.3/24")
		h.Route(t, "10.0.9.0/24", "10.0.0.1")
		router.Forward(t)
		c := wire.Start(t, h, "eth0")
		begin := time.Now()
		var clients []*harness.Program
		for _, addr := range []string{"10.0.0.9:8080", nowhere} {
			clients = append(clients, attempt(start, addr, "--timeout", "1h"))
		}
		for _, client := range clients {
			client.ExitSaying(1, `connecting: (dial tcp \S+: connect: no route to host|connect EHOSTUNREACH \S+.*)\n`)
			assert.Assert(t, time.Since(begin) > 2*time.Second)
		}
		for _, e := range c.Settle() {
			assert.Assert(t, e.Kind == wire.ICMP || e.To.String() == nowhere, "%v", e)
		}
		assert.Assert(t, slices.ContainsFunc(c.Packets(), func(p gopacket.Packet) bool {
			arp, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP)
			return ok && net.IP(arp.DstProtAddress).String() == "10.0.0.9"
		}))
	})
}

// "Refused" need not be a RST: a firewall's ICMP says the same.
func TestConnectingRefusedByFirewall(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		router, c := rejected(t, h, lab.Blackhole)
		client := attempt(start, nowhere, "--timeout", "1h")
		// Not the first: told of the error while connect(2) is under way, Node 24 was seen to
		// take the connection for made, and to fail in its first read.
		c.Await("the SYN again", peer.Seen(wire.SYNAgain, 1))
		syn := c.Packets()[slices.IndexFunc(c.Packets(), func(p gopacket.Packet) bool { return p.Layer(layers.LayerTypeTCP) != nil })]
		// Of what was not delivered the header and 8 bytes (RFC 792).
		what := slices.Concat(syn.NetworkLayer().LayerContents(), syn.NetworkLayer().LayerPayload()[:8])
		const portUnreachable = 3
		message, err := (&icmp.Message{Type: ipv4.ICMPTypeDestinationUnreachable, Code: portUnreachable, Body: &icmp.DstUnreach{Data: what}}).Marshal(nil)
		assert.NilError(t, err)
		var raw net.PacketConn
		router.Do(func() { raw, err = net.ListenPacket("ip4:icmp", "10.0.0.1") })
		assert.NilError(t, err)
		defer raw.Close()
		_, err = raw.WriteTo(message, &net.IPAddr{IP: net.IPv4(10, 0, 0, 2)})
		assert.NilError(t, err)
		client.ExitSaying(1, `connecting: `+refusedThere(nowhere)+`\n`)
		assert.Equal(t, len(wire.Only(c.Settle(), wire.RST)), 0)
	})
}

// Where a router has no route one SYN goes out, and where the client has none not even that.
func TestConnectingNoRoute(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		const noRoute = `connecting: (dial tcp .*: connect: network is unreachable|connect ENETUNREACH .*)\n`
		router := lab.NewHost(t, "router")
		lab.Link(t, router, "10.0.0.1/24", h, "10.0.0.2/24")
		c := wire.Start(t, h, "eth0")
		attempt(start, nowhere, "--timeout", "1h").ExitSaying(1, noRoute)
		assert.Equal(t, len(c.Settle()), 0)

		h.Route(t, "10.0.9.0/24", "10.0.0.1")
		router.Forward(t)
		c = wire.Start(t, h, "eth0")
		attempt(start, nowhere, "--timeout", "1h").ExitSaying(1, noRoute)
		c.Await("ICMP", peer.Seen(wire.ICMP, 1))
		routed(t, "connecting_no_route", c.Settle())
	})
}

// portsOf returns the source ports of SYNs, in the order of their first.
func portsOf(events []wire.Event) (ports []uint16) {
	for _, e := range wire.Only(events, wire.SYN) {
		ports = append(ports, e.From.Port())
	}
	return ports
}

// Where nobody answers the kernel sends the SYN again after a second, and the attempt
// fails when -timeout is over. From then on its SYN is not sent again: the next attempt
// has another socket and another port.
func TestConnectingSilent(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		_, c := rejected(t, h, lab.Blackhole)
		const silent = `(?:dial tcp 10\.0\.9\.1:8080: i/o timeout|connect 10\.0\.9\.1:8080: no answer in 1500ms)`
		client := attempt(start, nowhere, "--timeout", "1500ms", "--tries", "2")
		goesOn(client, 1, silent)
		client.ExitSaying(1, `connecting: `+silent+`\n`)
		events := c.Settle()
		second := slices.IndexFunc(events[1:], func(e wire.Event) bool { return e.Kind == wire.SYN }) + 1
		assert.Assert(t, second > 1 && len(portsOf(events)) == 2, "%v", events)
		for i, e := range events {
			assert.Assert(t, (e.From == events[0].From) == (i < second), "%v", events)
			assert.Assert(t, e.Kind == wire.SYN == (i == 0 || i == second), "%v", events)
		}
		again := events[1].Time.Sub(events[0].Time)
		assert.Assert(t, again > 900*time.Millisecond && again < 1900*time.Millisecond, "%v", again)
		took := events[second].Time.Sub(events[0].Time)
		assert.Assert(t, took > 1500*time.Millisecond || client.Section == "node" || client.Foreign(), "%v", took) // whose clock may be slow to begin
		routed(t, "connecting_silent", events[:2])
	})
}

// In Go a name's addresses share -timeout, 2 s each at least: of three the last has no turn
// when it is over.
func TestConnectingShares(t *testing.T) {
	harness.Ours(t, "it is Go's way")
	t.Parallel()
	for timeout, c := range map[string]struct {
		addrs int
		share time.Duration
	}{
		"6s":     {2, 3 * time.Second},
		"3900ms": {3, 2 * time.Second},
	} {
		t.Run(timeout, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			_, capture := rejected(t, h, lab.Blackhole)
			peer.Names(t, h, []string{"10.0.9.1 dead", "10.0.9.2 dead", "10.0.9.3 dead"}[:c.addrs]...)
			begin := time.Now()
			attempt(harness.Go(t, h), "dead:8080", "-timeout", timeout).ExitSaying(1, `connecting: dial tcp 10\.0\.9\.\d:8080: i/o timeout\n`)
			syns := wire.Only(capture.Settle(), wire.SYN)
			assert.Equal(t, len(syns), 2)
			assert.Assert(t, syns[0].To != syns[1].To && syns[1].Time.Sub(begin) > c.share, "%v", syns)
		})
	}
}

// Without a -timeout the kernel gives up when it has tried for as long as tcp_syn_retries
// makes it: with 1 that is 3 seconds.
func TestConnectingSystemTimeout(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		_, c := rejected(t, h, lab.Blackhole)
		peer.SetSysctl(t, h, "net/ipv4/tcp_syn_retries", "1")
		attempt(start, nowhere, "--timeout", "0s").
			ExitSaying(1, `connecting: (dial tcp .*: connect: connection timed out|connect ETIMEDOUT 10\.0\.9\.1:8080)\n`)
		ended := time.Now()
		events := c.Settle()
		assert.Equal(t, len(wire.Only(events, wire.SYN)), 1)
		assert.Equal(t, len(wire.Only(events, wire.SYN, wire.SYNAgain)), len(events))
		assert.Assert(t, len(events) > 1 && ended.Sub(events[0].Time) > 2900*time.Millisecond, "%v", events)
	})
}

// A signal calls the attempt off: the kernel forgets it, and sends no SYN of it again.
func TestConnectingAborted(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		_, c := rejected(t, h, lab.Blackhole)
		client := attempt(start, nowhere, "--timeout", "1h", "--tries", "9")
		first := c.Await("a SYN", peer.Seen(wire.SYN, 1))[0].From
		assert.Equal(t, stateOf(t, h, first.Port()), unix.BPF_TCP_SYN_SENT)
		stopWaiting(t, client, syscall.SIGTERM)
		ended := time.Now()
		assert.Equal(t, stateOf(t, h, first.Port()), 0)

		// When another attempt that began later sends its SYN again, this one would have.
		dialNowhere(t, h)
		events := c.Await("the other's SYN again", func(events []wire.Event) bool {
			return slices.ContainsFunc(events, func(e wire.Event) bool { return e.Kind == wire.SYNAgain && e.From != first })
		})
		for _, e := range events {
			assert.Assert(t, e.From != first || e.Time.Before(ended), "%v", events)
		}
	})
}

// dialNowhere has a plain socket begin to connect to where nobody answers.
func dialNowhere(t *testing.T, on *lab.Host) {
	t.Helper()
	to := netip.MustParseAddrPort(nowhere)
	var fd int
	var err error
	on.Do(func() {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err == nil {
			t.Cleanup(func() { unix.Close(fd) })
			err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		}
	})
	assert.ErrorIs(t, err, unix.EINPROGRESS)
}

// stateOf returns the state of the host's socket with that port, 0 if there is none.
func stateOf(t *testing.T, on *lab.Host, port uint16) int {
	t.Helper()
	for _, s := range peer.TCPSockets(t, on) {
		if s.Local == int(port) {
			return s.State
		}
	}
	return 0
}

// The attempts go on until the server is there, each from another port, after pauses of
// which each is twice the last, and up to half of it more, at random.
func TestConnectingUntilItIsThere(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := lab.NewHost(t, "server")
		lab.Link(t, server, "10.0.0.1/24", h, "10.0.0.2/24")
		c := wire.Start(t, h, "eth0")
		client := attempt(start, peer.Here, "--tries", "99", "--pause", "50ms")
		var pauses []time.Duration
		random := false
		for n := range 4 {
			pause, err := time.ParseDuration(goesOn(client, n+1, refusedThere(peer.Here)))
			assert.NilError(t, err)
			least := 50 * time.Millisecond << n
			assert.Assert(t, pause >= least && pause <= least*3/2, "%v", pause)
			random = random || pause != least
			pauses = append(pauses, pause)
		}
		assert.Assert(t, random, "%v", pauses)
		remote := peer.AcceptTCP(t, peer.ListenTCP(t, server, peer.Here))
		client.Await(regexp.QuoteMeta(fmt.Sprintf("connected to %v from %v", remote.LocalAddr(), remote.RemoteAddr())))
		remote.Close()
		client.Line("closed")
		client.Exit(0)
		syns := wire.Only(c.Settle(), wire.SYN)
		ports := portsOf(syns)
		slices.Sort(ports)
		assert.Equal(t, len(slices.Compact(ports)), len(syns))
		for i, pause := range pauses {
			if client.Section == "node" || client.Foreign() { // whose clock may be slow to begin
				pause /= 2
			}
			after := syns[i+1].Time.Sub(syns[i].Time)
			assert.Assert(t, after > pause-3*time.Millisecond, "%v after a pause of %v", after, pause)
		}
	})
}

// To a blocked network not one SYN goes, whichever way its addresses are written.
func TestConnectingBlocked(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Link(t, lab.NewHost(t, "server"), "10.0.0.1/24 fe80::1/64", h, "10.0.0.2/24 fe80::2/64")
		c := wire.Start(t, h, "eth0")
		for addr, block := range map[string]string{
			"10.0.0.1:8080":          "10.0.0.0/24",
			"[::ffff:10.0.0.1]:8080": "10.0.0.1/32",
			"[fe80::1%eth0]:8080":    "fe80::/10",
		} {
			client := attempt(start, addr, "--block", block)
			if client.Section != "node" {
				client.ExitSaying(1, `connecting: dial tcp \S+: `+block+` is blocked\n`)
			} else if harness.NodeMajor(t) < 22 {
				client.ExitSaying(1, `connecting: this Node has no option blockList\n`)
				break // whatever the address
			} else {
				client.ExitSaying(1, `connecting: IP\(\S+\) is blocked by net.BlockList\n`)
			}
		}
		var err error
		h.Do(func() { _, err = net.Dial("tcp", peer.Here) }) // what does go is seen
		assert.ErrorIs(t, err, unix.ECONNREFUSED)
		assert.Equal(t, c.Await("a RST", peer.Seen(wire.RST, 1))[0].Kind, wire.SYN)
		assert.Equal(t, len(c.Settle()), 2) // and these are all
	})
}

// Of a name's addresses only those are left out that are blocked.
func TestConnectingBlockedByName(t *testing.T) {
	harness.NotNode(t, "Node 20 has no option blockList")
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		if strings.HasSuffix(t.Name(), "Node") && harness.NodeMajor(t) < 22 {
			return // see above
		}
		server := lab.NewHost(t, "server")
		lab.Link(t, server, "10.0.0.1/24 2001:db8::1/64", h, "10.0.0.2/24 2001:db8::2/64") // RFC 3849
		peer.Names(t, h, "10.0.0.1 server", "2001:db8::1 server")
		peer.ListenTCP(t, server, four)
		peer.ListenTCP(t, server, six)
		for _, c := range []struct{ block, to string }{
			{"10.0.0.0/24", six},
			{"2001:db8::/32", four},
		} {
			client := attempt(start, "server:8080", "--block", c.block, "--tries", "99", "--pause", "1ms") // for Node is quick to give up
			client.Await("connected to " + regexp.QuoteMeta(c.to) + " from .*")
			client.Stop()
		}
	})
}

// A name that nobody has ends it at the first attempt. A name server that is not there is
// asked again.
func TestConnectingName(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := lab.NewHost(t, "server")
		lab.Link(t, server, "10.0.0.1/24", h, "10.0.0.2/24")
		peer.Asks(t, h, "10.0.0.1")
		client := attempt(start, "server.test:8080", "--tries", "99", "--pause", "1ms", "--timeout", "1h")
		goesOn(client, 1, `.*server\.test.*`)
		peer.NameServer(t, server, "10.0.0.1:53", map[string][]string{"server.test": {"10.0.0.1"}}, nil)
		client.Await(`attempt \d+: (?i:.*refused.*); again in \S+`) // it has the address
		client.Stop()
		attempt(start, "other.test:8080", "--tries", "99", "--timeout", "1h").
			ExitSaying(1, `connecting: (dial tcp: lookup other\.test.*: no such host|getaddrinfo ENOTFOUND other\.test)\n`)
	})
}

// While Node connects readyState is "opening", and connecting and pending are true; the
// kernel calls it SYN_SENT. Then "open" is ESTABLISHED, "writeOnly" CLOSE_WAIT,
// "readOnly" FIN_WAIT2. 'ready' follows 'connect'. Before all that a socket is "open" too.
func TestConnectingNodeStates(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	p := harness.NodeScript(t, h, `
		let socket
		const tell = (event) => console.log(event, socket.readyState, socket.connecting, socket.pending)
		process.stdin.on('data', (data) => {
			if (String(data) === 'end') return socket.end(() => tell('end()'))
			if (String(data) === 'no more') return process.stdin.destroy()
			socket = new net.Socket({ allowHalfOpen: true })
			tell('new')
			socket.connect(+data, '127.0.0.1')
			tell('connect()')
			for (const event of ['connect', 'ready', 'end', 'close']) socket.on(event, () => tell(event))
			socket.resume()
		})`)
	for _, theyEnd := range []bool{true, false} {
		ln, unblock := roomlessListener(t, h, "127.0.0.1:0")
		p.Write(fmt.Sprint(peer.TCPPort(ln.Addr())))
		p.Line("new open false true")
		p.Line(`connect\(\) opening true true`)
		var port int
		awaitProcTCP(t, h, "connecting", func(s peer.TCPSocket) bool {
			port = s.Local
			return s.Remote == peer.TCPPort(ln.Addr()) && s.State == unix.BPF_TCP_SYN_SENT
		})
		is := func(state int) {
			t.Helper()
			peer.Until(t, fmt.Sprintf("it is in state %d", state), func() bool { return stateOf(t, h, uint16(port)) == state })
		}
		unblock()
		p.Line("connect open false false")
		p.Line("ready open false false")
		remote := peer.AcceptTCP(t, ln)
		is(unix.BPF_TCP_ESTABLISHED)
		if theyEnd {
			assert.NilError(t, remote.CloseWrite())
			p.Line("end writeOnly false false")
			is(unix.BPF_TCP_CLOSE_WAIT)
			p.Write("end")
			p.Line(`end\(\) closed false false`)
		} else {
			p.Write("end")
			p.Line(`end\(\) readOnly false false`)
			is(unix.BPF_TCP_FIN_WAIT2)
			assert.NilError(t, remote.CloseWrite())
			p.Line("end closed false false")
		}
		p.Line("close closed false true")
	}
	p.Write("no more")
	p.Exit(0)
}

// Node's timeout is for silence: it goes on after connecting, and closes nothing.
func TestConnectingNodeTimeout(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	p := harness.NodeScript(t, h, `
		const socket = net.connect({ port: 8080, host: '127.0.0.1', timeout: 500 })
		for (const event of ['connect', 'timeout']) socket.on(event, () => console.log(event, socket.readyState))`)
	remote := peer.AcceptTCP(t, ln)
	p.Await("connect open") // on a busy machine there has been a timeout before
	p.Line("timeout open")
	remote.Close()
	assert.Equal(t, p.Wait(), 0)
}

// A Node socket can be connected again after 'close'. The signal that it was made with
// has no effect on it any more.
func TestConnectingNodeAgain(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	p := harness.NodeScript(t, h, `
		const abort = new AbortController()
		const socket = new net.Socket({ signal: abort.signal })
		socket.connect(8080, '127.0.0.1')
		socket.on('error', (err) => console.log(err.code))
		socket.once('close', () => process.stdin.once('data', () => {
			socket.connect(8080, '127.0.0.1', () => {
				console.log('connected')
				abort.abort()
				setImmediate(() => console.log('aborted', socket.readyState))
				socket.on('end', () => process.stdin.destroy()).resume()
			})
		}))`)
	p.Line("ECONNREFUSED")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	p.Write("again")
	remote := peer.AcceptTCP(t, ln)
	p.Line("connected")
	p.Line("aborted open")
	peer.Write(t, remote, "still there")
	remote.Close()
	p.Exit(0)
}

// While the socket has not closed, it has: the connection is destroyed.
func TestConnectingNodeSignal(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	p := harness.NodeScript(t, h, `
		const abort = new AbortController()
		const socket = net.connect({ port: 8080, host: '127.0.0.1', signal: abort.signal }, () => abort.abort())
		socket.on('error', (err) => console.log(err.name))`)
	p.Line("AbortError")
	assert.Equal(t, readToFIN(t, peer.AcceptTCP(t, ln)), "")
	p.Exit(0)
}

// In Go the context of DialContext has no say once there is a connection.
func TestConnectingContext(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var conn net.Conn
	var err error
	h.Do(func() { conn, err = new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String()) })
	assert.NilError(t, err)
	defer conn.Close()
	remote := peer.AcceptTCP(t, ln)
	cancel()
	peer.Write(t, conn, "still here")
	assert.NilError(t, conn.Close())
	assert.Equal(t, readToFIN(t, remote), "still here")
}

// Who tries a port of its own machine again and again where nobody listens, one that the
// kernel also gives to clients, 32768 to 60999 by default and the even ones first, is given
// that very port one day, and is connected to itself. Go notices that and tries again, Node does not.
func TestConnectingToItself(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	host := func() *lab.Host {
		h := lab.NewHost(t, "h")
		var ports []byte
		h.Do(func() { ports, _ = os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range") })
		assert.Equal(t, string(ports), "32768\t60999\n")
		peer.SetSysctl(t, h, "net/ipv4/ip_local_port_range", "40000 40015") // so that it is soon
		return h
	}
	p := harness.NodeScript(t, host(), `
		function dial () {
			const socket = net.connect(40000, '127.0.0.1', () => {
				console.log('connected to', socket.remotePort, 'from', socket.localPort)
				socket.end('hello').on('data', (data) => console.log('received', String(data)))
			}).on('error', dial)
		}
		dial()`)
	p.Line("connected to 40000 from 40000")
	p.Line("received hello")
	p.Exit(0)

	h := host()
	itself := netip.MustParseAddrPort("127.0.0.1:40000")
	peer.Until(t, "it has been connected to itself", func() bool {
		var err error
		h.Do(func() { _, err = net.Dial("tcp", itself.String()) })
		assert.ErrorIs(t, err, unix.ECONNREFUSED)
		return slices.ContainsFunc(peer.TCPSockets(t, h), func(s peer.TCPSocket) bool { return s.Local == 40000 && s.Remote == 40000 })
	})
}

// As long as one is free, Linux gives clients even ports: those that the first one of the
// range is like.
func TestConnectingEvenPorts(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	peer.SetSysctl(t, h, "net/ipv4/ip_local_port_range", "40000 40015")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	for n := range 16 {
		conn := peer.DialTCP(t, h, ln.Addr().String())
		assert.Equal(t, peer.TCPPort(conn.LocalAddr())%2, n/8, "connection %d", n)
	}
}

// The two programs as a reader starts them: the server comes when two attempts have
// failed. The pauses in the text are some that might have been.
func TestConnectingTranscript(t *testing.T) {
	harness.Ours(t, "its errors are in Go's words")
	t.Parallel()
	h := lab.NewHost(t, "h")
	var client *harness.Program
	for {
		client = harness.Start(t, h, "tcp_client/connecting", "-tries", "9", "-pause", "1s")
		client.Await("attempt 2: .*")
		peer.Freeze(t, client)
		if len(client.Lines()) == 2 {
			break
		}
		client.Signal(syscall.SIGKILL) // this machine was too slow to stop it in time
		client.Wait()
	}
	server := harness.Start(t, h, "tcp_server/server")
	server.Ready()
	client.Signal(syscall.SIGCONT)
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
	server.Line(from + " connected")
	client.Stop()
	server.Line(from + " closed after 0 bytes")
	server.Stop()
	if harness.Judged() {
		return // others' words for a failure are their own
	}
	text := "$ ./bazelw run //tcp_client:connecting -- -tries 9 -pause 1s\n" + strings.Join(client.Lines(), "") +
		"\n$ ./bazelw run //tcp_server:server\n" + strings.Join(server.Lines(), "")
	pauses := []string{"1.131s", "2.814s"}
	text = regexp.MustCompile(`again in \S+`).ReplaceAllStringFunc(text, func(string) (said string) {
		said, pauses = "again in "+pauses[0], pauses[1:]
		return said
	})
	golden.Assert(t, strings.ReplaceAll(text, from, "127.0.0.1:50001"), "connecting.txt")
}
