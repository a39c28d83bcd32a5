package tcp_client

import (
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
	t.Parallel()
	segment := lab.NewSegment(t, "segment")
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	segment.Join(t, a, "10.0.0.1/24")
	segment.Join(t, b, "10.0.0.2/24")
	vanishes(t, a, b, "10.0.0.2:8080", func() { b.Unplug(t, "eth0") })
}

// The client's own cable: its kernel has no route left, and tells it no sooner.
func TestKeepaliveOwnCable(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	vanishes(t, a, b, "10.0.0.2:8080", func() { a.Unplug(t, "eth0") })
}

// A router on the way that says "unreachable" is not believed: a probe repeats
// a sequence number that is acknowledged already, and the kernel ignores ICMP
// about those (RFC 5927, 4.1).
func TestKeepaliveUnreachablePeer(t *testing.T) {
	t.Parallel()
	left, router, right := peer.Routed(t)
	vanishes(t, left, right, "10.0.2.2:8080", func() { router.Unplug(t, "eth1") })
	assert.Assert(t, peer.Counter(t, left, "Icmp", "InDestUnreachs") >= 1)
	assert.Assert(t, peer.Counter(t, left, "TcpExt", "OutOfWindowIcmps") >= 1)
}

// A peer whose program is silent is there all the same: its kernel answers the
// probes, and the connection outlasts idle + count × interval.
func TestKeepaliveSilentPeer(t *testing.T) {
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

// Go has keep-alive on for every connection, accepted ones too, and makes a
// second and a half two.
func TestKeepaliveInGo(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:0")
	dialed := peer.DialTCP(t, h, ln.Addr().String())
	check := func(conn *net.TCPConn, idle, interval, count int) {
		t.Helper()
		raw, err := conn.SyscallConn()
		assert.NilError(t, err)
		assert.NilError(t, raw.Control(func(fd uintptr) { assertKeepAlive(t, int(fd), idle, interval, count) }))
	}
	check(dialed, 15, 15, 9)
	check(peer.AcceptTCP(t, ln), 15, 15, 9)
	assert.NilError(t, dialed.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Idle: 1500 * time.Millisecond, Interval: time.Millisecond, Count: 3,
	}))
	check(dialed, 2, 1, 3)
}

// Asked to, Node turns it on as well. How often it probes, nobody can tell it.
func TestKeepaliveNodeKernel(t *testing.T) {
	ask := func(t *testing.T, h *lab.Host, start harness.Starter, idle, interval, count int, args ...string) {
		ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
		c := start("tcp_client/keepalive", args...)
		peer.AcceptTCP(t, ln)
		peer.Connected(c)
		c.Line("keep-alive on: .*")
		for _, o := range []struct{ level, name, want int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, interval},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, count},
		} {
			assert.Equal(t, peer.Option(t, c, false, o.level, o.name), o.want, "%v", o)
		}
		c.Stop()
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		ask(t, h, goes, 7, 3, 5, "--idle", "7s", "--interval", "3s", "--count", "5")
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		ask(t, h, node, 7, 1, 10, "--idle", "7s")
	})
}

// A peer that answers keeps the connection; from one whose cable is pulled the
// probes come to nothing, one an interval, and the kernel gives up.
func TestKeepaliveWire(t *testing.T) {
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
