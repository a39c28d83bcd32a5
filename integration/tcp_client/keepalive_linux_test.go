package tcp_client

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// What the program says is what the kernel has, at the limits too.
func TestKeepaliveIsTheKernels(t *testing.T) {
	harness.NotNode(t, "Node before 24.19 sets the first time and no more")
	t.Parallel()
	for _, c := range []struct {
		args                  string
		idle, interval, count int
	}{
		{"", 15, 15, 9},
		{"-idle 7s -interval 3s -count 5", 7, 3, 5},
		{"-idle 1s -interval 1s -count 1", 1, 1, 1},
		{"-idle 32767s -interval 32767s -count 127", 32767, 32767, 127},
	} {
		client, _ := dialledBy(t, lab.NewHost(t, "h"), "keepalive", strings.Fields(c.args)...)
		client.Line(fmt.Sprintf(`keep-alive on: idle %v, interval %v, count %d`,
			time.Duration(c.idle)*time.Second, time.Duration(c.interval)*time.Second, c.count))
		assertKeepAlive(t, clientSocket(t, client), c.idle, c.interval, c.count)
		stopWaiting(t, client, syscall.SIGTERM)
	}
}

// vanishes starts the program with the shortest times there are, cuts its peer
// off, and checks that it says so after idle + count × interval.
func vanishes(t *testing.T, client, remote *lab.Host, addr string, cut func()) {
	t.Helper()
	ln := peer.ListenTCP(t, remote, addr)
	begin := time.Now()
	p := harness.Start(t, client, "tcp_client/keepalive", "-addr", addr, "-idle", "1s", "-interval", "1s", "-count", "2")
	peer.AcceptTCP(t, ln)
	connectedFrom(p, ln.Addr())
	p.Line(`keep-alive on: idle 1s, interval 1s, count 2`)
	cut()
	p.Line("closed with error: connection timed out")
	p.Exit(0)
	assert.Assert(t, time.Since(begin) >= 3*time.Second)
	assert.Assert(t, peer.Counter(t, client, "TcpExt", "TCPKeepAlive") >= 2)
}

// A peer that is cut off sends nothing, not even an end. The probes tell.
func TestKeepaliveVanishedPeer(t *testing.T) {
	harness.NotNode(t, "Node before 24.19 sets the first time and no more")
	t.Parallel()
	segment := lab.NewSegment(t, "segment")
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	segment.Join(t, a, "10.0.0.1/24")
	segment.Join(t, b, "10.0.0.2/24")
	vanishes(t, a, b, "10.0.0.2:8080", func() { b.Unplug(t, "eth0") })
}

// The client's own cable: its kernel has no route left, and tells it no sooner.
func TestKeepaliveOwnCable(t *testing.T) {
	harness.NotNode(t, "Node before 24.19 sets the first time and no more")
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	vanishes(t, a, b, "10.0.0.2:8080", func() { a.Unplug(t, "eth0") })
}

// A router on the way that says "unreachable" is not believed: a probe repeats
// a sequence number that is acknowledged already, and the kernel ignores ICMP
// about those (RFC 5927, 4.1).
func TestKeepaliveUnreachablePeer(t *testing.T) {
	harness.NotNode(t, "Node before 24.19 sets the first time and no more")
	t.Parallel()
	left, router, right := peer.Routed(t)
	vanishes(t, left, right, "10.0.2.2:8080", func() { router.Unplug(t, "eth1") })
	assert.Assert(t, peer.Counter(t, left, "Icmp", "InDestUnreachs") >= 1)
	assert.Assert(t, peer.Counter(t, left, "TcpExt", "OutOfWindowIcmps") >= 1)
}

// A peer whose program is silent is there all the same: its kernel answers the
// probes, and the connection outlasts idle + count × interval.
func TestKeepaliveSilentPeer(t *testing.T) {
	harness.NotNode(t, "Node before 24.19 sets the first time and no more")
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	client, remote := dialledBy(t, h, "keepalive", "-idle", "1s", "-interval", "1s", "-count", "1")
	client.Line(`keep-alive on: idle 1s, interval 1s, count 1`)
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if n := peer.Counter(t, h, "TcpExt", "TCPKeepAlive"); n < 3 {
			return poll.Continue("%d probes", n)
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(20*time.Millisecond))
	remote.Close()
	client.Line("closed")
	client.Exit(0)
}

// keepAliveOf checks what the kernel has for a socket of the test.
func keepAliveOf(t *testing.T, conn *net.TCPConn, idle, interval, count int) {
	t.Helper()
	control(t, conn, func(fd int) { assertKeepAlive(t, fd, idle, interval, count) })
}

// control gives a test the descriptor of its socket.
func control(t *testing.T, conn *net.TCPConn, what func(fd int)) {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) { what(int(fd)) }))
}

// Go has keep-alive on for every connection, accepted ones too, and makes a
// second and a half two. Linux takes no more than 32767 s and 127 probes.
func TestKeepaliveInGo(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:0")
	dialed := peer.DialTCP(t, h, ln.Addr().String())
	keepAliveOf(t, dialed, 15, 15, 9)
	keepAliveOf(t, peer.AcceptTCP(t, ln), 15, 15, 9)
	assert.NilError(t, dialed.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Idle: 1500 * time.Millisecond, Interval: time.Millisecond, Count: 3,
	}))
	keepAliveOf(t, dialed, 2, 1, 3)
	for _, c := range []net.KeepAliveConfig{{Idle: 32768 * time.Second}, {Interval: 32768 * time.Second}, {Count: 128}} {
		c.Enable = true
		assert.ErrorIs(t, dialed.SetKeepAliveConfig(c), unix.EINVAL)
	}
}

// ListenConfig.KeepAliveConfig is for all that the listener accepts, a negative
// ListenConfig.KeepAlive turns it off for them; Dialer has the same two fields.
func TestKeepaliveListenConfig(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ends := func(lc net.ListenConfig, d net.Dialer) (dialed, accepted *net.TCPConn) {
		var ln net.Listener
		var conn net.Conn
		var err error
		h.Do(func() {
			if ln, err = lc.Listen(t.Context(), "tcp", "127.0.0.1:0"); err == nil {
				conn, err = d.Dial("tcp", ln.Addr().String())
			}
		})
		assert.NilError(t, err)
		defer ln.Close()
		return peer.Ours(t, conn.(*net.TCPConn)), peer.AcceptTCP(t, ln.(*net.TCPListener))
	}
	seldom := net.KeepAliveConfig{Enable: true, Idle: 10 * time.Minute, Interval: time.Minute, Count: 3}
	dialed, accepted := ends(net.ListenConfig{KeepAliveConfig: seldom}, net.Dialer{KeepAliveConfig: seldom})
	keepAliveOf(t, dialed, 600, 60, 3)
	keepAliveOf(t, accepted, 600, 60, 3)
	dialed, accepted = ends(net.ListenConfig{KeepAlive: -1}, net.Dialer{KeepAlive: -1})
	for _, conn := range []*net.TCPConn{dialed, accepted} {
		control(t, conn, func(fd int) { assert.Equal(t, tcpOption(t, fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE), 0) })
	}
}

// What either program says of its connection is what the kernel has. Node before
// 24.19 and 26.4 takes the first time and no more.
func TestKeepaliveSays(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
		c := start("tcp_client/keepalive", "--idle", "7s", "--interval", "3s", "--count", "5")
		peer.AcceptTCP(t, ln)
		peer.Connected(c)
		got := c.Line("keep-alive on: idle 7s, interval (3|1)s, count (5|10)")
		var interval, count int
		fmt.Sscan(strings.Join(got, " "), &interval, &count)
		assertKeepAlive(t, clientSocket(t, c), 7, interval, count)
		c.Stop()
	})
}

// Node cuts a time to whole seconds.
func TestKeepaliveNodeRoundsDown(t *testing.T) {
	harness.OnlyNode(t)
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	c := harness.Node(t, h)("tcp_client/keepalive", "--idle", "1m7900ms")
	peer.AcceptTCP(t, ln)
	peer.Connected(c)
	c.Line("keep-alive on: idle 67s, .*")
	assert.Equal(t, tcpOption(t, clientSocket(t, c), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), 67)
	c.Stop()
}

// With no time, or one below a second, it leaves the system's: on Linux two hours, and
// then nine probes, 75 s apart.
func TestKeepaliveNodeWithoutATime(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated()) // whose settings are the kernel's own
	h := lab.NewHost(t, "h")
	for _, script := range []string{
		"net.connect(8080, '127.0.0.1', function () { this.setKeepAlive(true); console.log('on') }).resume()",
		"net.connect(8080, '127.0.0.1', function () { this.setKeepAlive(true, 900); console.log('on') }).resume()",
		"net.connect({ port: 8080, host: '127.0.0.1', keepAlive: true }, () => console.log('on')).resume()",
	} {
		ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
		p := harness.NodeScript(t, h, script)
		remote := peer.AcceptTCP(t, ln)
		ln.Close()
		p.Line("on")
		assertKeepAlive(t, socketAt(t, p, remote), 7200, 75, 9)
		assert.NilError(t, remote.Close())
		p.Exit(0)
	}
}

// Node's sockets have it on from the start by options, of net.connect and, for those
// that are accepted, of net.createServer.
func TestKeepaliveNodeOptions(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	p := harness.NodeScript(t, h, `
		const options = { keepAlive: true, keepAliveInitialDelay: 9000 }
		const server = net.createServer(options, (socket) => {
			console.log('accepted')
			socket.resume().on('end', () => server.close(() => console.log('closed')))
		}).listen(8081, '127.0.0.1', () => {
			console.log('listening')
			net.connect({ port: 8080, host: '127.0.0.1', ...options }, () => console.log('connected')).resume()
		})`)
	p.Line("listening")
	p.Line("connected")
	remote := peer.AcceptTCP(t, ln)
	client := peer.DialTCP(t, h, "127.0.0.1:8081")
	p.Line("accepted")
	for _, conn := range []*net.TCPConn{remote, client} {
		fd := socketAt(t, p, conn)
		assert.Equal(t, tcpOption(t, fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE), 1)
		assert.Equal(t, tcpOption(t, fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), 9)
	}
	assert.NilError(t, remote.Close())
	assert.NilError(t, client.Close())
	p.Line("closed")
	p.Exit(0)
}

// cutOff is a connection from a host to another whose cable is then pulled. Its own
// link stays up.
func cutOff(t *testing.T, prepare func(a *lab.Host), config net.KeepAliveConfig) (a *lab.Host, conn *net.TCPConn) {
	t.Helper()
	segment := lab.NewSegment(t, "segment")
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	segment.Join(t, a, "10.0.0.1/24")
	segment.Join(t, b, "10.0.0.2/24")
	prepare(a)
	ln := peer.ListenTCP(t, b, "10.0.0.2:8080")
	conn = peer.DialTCP(t, a, "10.0.0.2:8080")
	peer.AcceptTCP(t, ln)
	assert.NilError(t, conn.SetKeepAliveConfig(config))
	b.Unplug(t, "eth0")
	return a, conn
}

// ends waits for the read to fail and returns after how long and why.
func ends(t *testing.T, conn *net.TCPConn) (time.Duration, error) {
	t.Helper()
	begin := time.Now()
	_, err := conn.Read(make([]byte, 1))
	return time.Since(begin), err
}

// A write to a peer that has vanished succeeds. With data under way the kernel does
// not probe: the error comes when retransmission gives up, with tcp_retries2 at 3
// after 3 s and more. Keep-alive would have taken 2 s.
func TestKeepaliveRetransmissionDecides(t *testing.T) {
	t.Parallel()
	a, conn := cutOff(t, func(a *lab.Host) { peer.SetSysctl(t, a, "net/ipv4/tcp_retries2", "3") },
		net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 1})
	peer.Write(t, conn, "hello")
	took, err := ends(t, conn)
	assert.Assert(t, errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ETIMEDOUT), "%v", err)
	assert.Assert(t, took >= 2500*time.Millisecond, "%v", took)
	assert.Equal(t, peer.Counter(t, a, "TcpExt", "TCPKeepAlive"), 0)
}

// TCP_USER_TIMEOUT bounds both: how long data may go unacknowledged, and, in place
// of the count, how long probes may go unanswered.
func TestKeepaliveUserTimeout(t *testing.T) {
	t.Parallel()
	for _, write := range []bool{false, true} {
		t.Run(fmt.Sprintf("data under way: %v", write), func(t *testing.T) {
			t.Parallel()
			_, conn := cutOff(t, func(*lab.Host) {}, net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 100})
			control(t, conn, func(fd int) {
				assert.NilError(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1500))
			})
			if write {
				peer.Write(t, conn, "hello")
			}
			took, err := ends(t, conn)
			assert.Assert(t, errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ETIMEDOUT), "%v", err)
			assert.Assert(t, took >= 1400*time.Millisecond && took < 20*time.Second, "%v", took)
		})
	}
}

// A peer that answers keeps the connection; from one whose cable is pulled the
// probes come to nothing, one an interval, and the kernel gives up.
func TestKeepaliveWire(t *testing.T) {
	harness.NotNode(t, "Node before 24.19 sets the first time and no more")
	t.Parallel()
	client, server := lab.NewHost(t, "client"), lab.NewHost(t, "server")
	segment := lab.NewSegment(t, "segment") // so that the client's own link stays up
	segment.Join(t, server, "10.0.0.1/24")
	segment.Join(t, client, "10.0.0.2/24")
	c := wire.Start(t, client, "eth0")
	ln := peer.ListenTCP(t, server, peer.Here)
	program := harness.Start(t, client, "tcp_client/keepalive", "-addr", peer.Here, "-idle", "1s", "-interval", "1s", "-count", "2")
	peer.AcceptTCP(t, ln)
	program.Await(`keep-alive on: .*`)
	c.Await("an answered probe", peer.Seen(wire.ACK, 2))
	server.Unplug(t, "eth0")
	program.Await(`closed with error: .*`)
	events := c.Await("RST", peer.Seen(wire.RST, 1))

	var story, probes []wire.Event
	for _, e := range events {
		if e.Kind == wire.Probe {
			probes = append(probes, e)
		}
		// Were the cable pulled late, a second probe was answered too.
		if n := len(story); e.Kind == wire.ACK && n > 2 && story[n-3].Kind == wire.Probe {
			story = story[:n-1]
			continue
		}
		story = append(story, e)
	}
	for i, e := range probes[1:] {
		assert.Assert(t, e.Time.Sub(probes[i].Time) > 900*time.Millisecond, "%v", probes)
	}
	peer.Drawn(t, "keepalive", story)
	program.Exit(0)
}
