package tcp_server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// listenerOf returns a duplicate of a program's socket that listens.
func listenerOf(t *testing.T, p *harness.Program) (fd int) {
	t.Helper()
	for _, fd := range peer.SocketsOf(t, p) {
		if accepts, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); accepts == 1 {
			return fd
		}
	}
	t.Fatalf("%s does not listen", p.Section)
	return -1
}

// backlogOf returns how many connections wait in a listener's queue, and its
// backlog, as the kernel tells of a socket that listens (tcp_get_info).
func backlogOf(t *testing.T, listener int) (queue, backlog int) {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(listener, unix.IPPROTO_TCP, unix.TCP_INFO)
	assert.NilError(t, err)
	return int(info.Unacked), int(info.Sacked)
}

// awaitQueue waits until so many connections are in a listener's queue.
func awaitQueue(t *testing.T, listener, n int) {
	t.Helper()
	peer.Until(t, fmt.Sprintf("%d wait", n), func() bool { queue, _ := backlogOf(t, listener); return queue == n })
}

// The kernel has the backlog that the program names: the flag's, 511 by default,
// somaxconn at most.
func TestListenBacklog(t *testing.T) {
	harness.NotNode(t, "Node accepts by itself")
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	for _, c := range []struct {
		flag            string
		somaxconn, want int
	}{
		{"", 4096, 511}, {"0", 4096, 0}, {"1", 4096, 1}, {"4096", 4096, 4096}, {"4097", 4096, 4096},
		{"4294967297", 4096, 4096}, // 1 to who takes the lower half of it
		{"511", 5, 5}, {"4", 5, 4},
	} {
		peer.SetSysctl(t, h, "net/core/somaxconn", strconv.Itoa(c.somaxconn))
		args := []string{"-addr", "127.0.0.1:0"}
		if c.flag != "" {
			args = append(args, "-backlog", c.flag)
		}
		server := harness.Start(t, h, "tcp_server/listen", args...)
		server.Line(fmt.Sprintf(`listening on 127\.0\.0\.1:\d+ with a backlog of %d`, c.want))
		_, backlog := backlogOf(t, listenerOf(t, server))
		assert.Equal(t, backlog, c.want)
		server.Stop()
	}
}

// Go's own backlog is somaxconn: all that the system allows.
func TestListenGoBacklog(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	for _, somaxconn := range []int{5, 4096} {
		peer.SetSysctl(t, h, "net/core/somaxconn", strconv.Itoa(somaxconn))
		server, _ := tcpServer(t, h, "server")
		_, backlog := backlogOf(t, listenerOf(t, server))
		assert.Equal(t, backlog, somaxconn)
		server.Stop()
	}
}

// Node passes its backlog, for 0 it passes 511, and it accepts by itself.
func TestListenNodeBacklog(t *testing.T) {
	harness.OnlyNode(t)
	t.Parallel()
	h := lab.NewHost(t, "h")
	node := harness.Node(t, h)
	for given, want := range map[string]int{"7": 7, "0": 511} {
		server := node("tcp_server/listen", "--addr", "127.0.0.1:0", "--backlog", given)
		addr := server.Line(`listening on (\S+) with a backlog of ` + given)[0]
		listener := listenerOf(t, server)
		_, backlog := backlogOf(t, listener)
		assert.Equal(t, backlog, want)
		peer.DialTCP(t, h, addr)
		awaitQueue(t, listener, 0)
		peer.LetGo(t, listener)
		server.Stop()
	}
}

// While Node's event loop does not turn, clients wait in the queue.
func TestListenNodeBusy(t *testing.T) {
	harness.OnlyNode(t)
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.NodeScript(t, h, `
		const server = require('net').createServer((socket) => socket.destroy())
		server.listen(0, '127.0.0.1', 1, () => {
			console.log('listening on 127.0.0.1:' + server.address().port)
			require('fs').readSync(0, Buffer.alloc(1)) // in place of a long computation
		})
		process.on('SIGTERM', () => { console.log('closed'); process.exit() })`)
	addr := server.Ready()
	listener := listenerOf(t, server)
	for n := range 2 {
		peer.DialTCP(t, h, addr)
		awaitQueue(t, listener, n+1)
	}
	server.Write("!")
	awaitQueue(t, listener, 0)
	server.Stop()
}

// With a backlog of 1 two connections complete, with 0 one. The next client's SYN is
// dropped: it is not refused, it goes on trying, and is connected when one is accepted.
func TestListenQueue(t *testing.T) {
	harness.NotNode(t, "Node accepts by itself")
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	for _, backlog := range []int{0, 1} {
		h := lab.NewHost(t, "h")
		server, addr := tcpServer(t, h, "listen", "-backlog", strconv.Itoa(backlog))
		listener := listenerOf(t, server)
		for n := range backlog + 1 {
			peer.Write(t, peer.DialTCP(t, h, addr), "nobody reads this")
			awaitQueue(t, listener, n+1)
		}

		last := begin(t, h, addr)
		peer.Until(t, "a SYN is dropped", func() bool { return peer.Counter(t, h, "TcpExt", "ListenOverflows") > 0 })
		awaitQueue(t, listener, backlog+1)
		assert.Equal(t, stateOf(t, last), tcpSynSent)

		// In place of the program, which never does that.
		accepted, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		assert.NilError(t, err)
		defer unix.Close(accepted)
		peer.Until(t, "it is connected", func() bool { return stateOf(t, last) == tcpEstablished })
		awaitQueue(t, listener, backlog+1)
		server.Stop()
	}
}

// begin has a SYN sent, and does not wait for the answer.
func begin(t *testing.T, on *lab.Host, addr string) (fd int) {
	t.Helper()
	at := netip.MustParseAddrPort(addr)
	var err error
	on.Do(func() {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())})
		}
	})
	t.Cleanup(func() { unix.Close(fd) })
	assert.ErrorIs(t, err, unix.EINPROGRESS)
	return fd
}

// Of clients whose SYNs all come before the first ACK more are connected than the queue
// takes: the server does not know the others.
func TestListenAtOnce(t *testing.T) {
	harness.NotNode(t, "Node accepts by itself")
	t.Parallel()
	client, server, _ := peer.Cabled(t)
	p := harness.Start(t, server, "tcp_server/listen", "-addr", peer.Here, "-backlog", "1")
	p.Line(`listening on ` + peer.Here + ` with a backlog of 1`)

	// The cable is busy for half a minute with datagrams, and the SYNs wait behind them.
	discard := netip.MustParseAddrPort("10.0.0.1:9")
	before := peer.ListenUDP(t, client, "udp4", "10.0.0.2:0")
	client.SetRate(t, "eth0", 1000, 100_000)
	for range 20 {
		peer.SendUDP(t, before, discard, strings.Repeat("x", 1400))
	}
	for range 5 {
		begin(t, client, peer.Here)
	}
	client.SetRate(t, "eth0", 1_000_000, 100_000)
	peer.SendUDP(t, before, discard, "so that the card looks anew what it may send")
	connected := func(on *lab.Host) (n int) {
		for _, s := range peer.TCPSockets(t, on) {
			if s.State == tcpEstablished {
				n++
			}
		}
		return n
	}
	peer.Until(t, "more than two are connected", func() bool { return connected(client) > 2 })
	peer.Until(t, "an ACK is dropped", func() bool { return peer.Counter(t, server, "TcpExt", "ListenOverflows") > 0 })
	awaitQueue(t, listenerOf(t, p), 2)
	assert.Equal(t, connected(server), 2)
	p.Stop()
}

// Who waits is reset when the listener closes.
func TestListenResets(t *testing.T) {
	harness.NotNode(t, "Node accepts by itself")
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "listen")
	conn := peer.DialTCP(t, h, addr)
	server.Stop()
	_, err := conn.Read(make([]byte, 1))
	assert.ErrorIs(t, err, syscall.ECONNRESET)
}

// A dropped SYN is sent again after one second, and after one more, or after two where
// the kernel is old or was told so: net.ipv4.tcp_syn_linear_timeouts.
func TestListenRetries(t *testing.T) {
	harness.NotNode(t, "Node accepts by itself")
	for _, linear := range []string{"4", "0"} {
		t.Run(linear, func(t *testing.T) {
			t.Parallel()
			client, server, c := peer.Cabled(t)
			const sysctl = "net/ipv4/tcp_syn_linear_timeouts"
			second := 2 * time.Second
			if _, err := os.Stat("/proc/sys/" + sysctl); err == nil { // since Linux 6.5
				peer.SetSysctl(t, client, sysctl, linear)
				if linear != "0" {
					second = time.Second
				}
			}
			p := harness.Start(t, server, "tcp_server/listen", "-addr", peer.Here, "-backlog", "0")
			p.Line(`listening on ` + peer.Here + ` with a backlog of 0`)
			peer.DialTCP(t, client, peer.Here)
			c.Await("the handshake", peer.Seen(wire.ACK, 1))
			cancel := dialInVain(t, client)
			events := c.Await("two tries more", peer.Seen(wire.SYNAgain, 2))
			cancel()
			syn, again := wire.Only(events, wire.SYN), wire.Only(events, wire.SYNAgain)
			near := func(pause, want time.Duration) {
				t.Helper()
				assert.Assert(t, pause > want*3/4 && pause < want*3/2, "a pause of %v, want %v", pause, want)
			}
			near(again[0].Time.Sub(syn[1].Time), time.Second)
			near(again[1].Time.Sub(again[0].Time), second)
			p.Stop()
		})
	}
}

// dialInVain begins to connect to a server that does not answer, until it is told
// to give up.
func dialInVain(t *testing.T, on *lab.Host) (giveUp func()) {
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go on.Do(func() {
		_, err := new(net.Dialer).DialContext(ctx, "tcp", peer.Here)
		go func() { failed <- err }()
	})
	return func() {
		t.Helper()
		cancel()
		assert.ErrorContains(t, <-failed, "canceled")
	}
}

// A server can be started again while its port is in TIME_WAIT. A socket without
// SO_REUSEADDR is refused then, and any is while another listens.
func TestListenAgain(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/server", "--addr", "127.0.0.1:0")
		addr := server.Ready()
		start("tcp_server/server", "--addr", addr).ExitSaying(1, `server: .*address already in use.*\n`)

		conn := peer.DialTCP(t, h, addr)
		server.Line(peer.Of(conn) + "connected")
		server.Stop() // the server's FIN is the first
		peer.Silent(t, conn)
		port := int(netip.MustParseAddrPort(addr).Port())
		peer.Until(t, "the server's side is in TIME_WAIT", func() bool {
			return slices.ContainsFunc(peer.TCPSockets(t, h), func(s peer.TCPSocket) bool {
				return s.Local == port && s.State == tcpTimeWait
			})
		})
		var err error
		h.Do(func() {
			var plain int
			if plain, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
				err = unix.Bind(plain, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port})
				unix.Close(plain)
			}
		})
		assert.ErrorIs(t, err, unix.EADDRINUSE)
		again := start("tcp_server/server", "--addr", addr)
		assert.Equal(t, again.Ready(), addr)
		again.Stop()
	})
}

func stateOf(t *testing.T, fd int) int {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	assert.NilError(t, err)
	return int(info.State)
}

// With the queue full no answer comes, and the client's system sends its SYN again.
func TestListenWire(t *testing.T) {
	harness.NotNode(t, "Node accepts by itself")
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := harness.Start(t, server, "tcp_server/listen", "-addr", peer.Here, "-backlog", "1")
	p.Line(`listening on ` + peer.Here + ` with a backlog of 1`)
	first, second := peer.DialTCP(t, client, peer.Here), peer.DialTCP(t, client, peer.Here)
	c.Await("two handshakes", peer.Seen(wire.ACK, 2))
	giveUp := dialInVain(t, client)
	events := c.Await("the second try", peer.Seen(wire.SYNAgain, 1))
	peer.Drawn(t, "listen", events, party("first", first), party("second", second),
		wire.Party{Name: "third", Addr: "10.0.0.2"})
	giveUp()
	p.Stop()
}
