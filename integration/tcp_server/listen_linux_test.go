package tcp_server

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
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

// backlogOf returns how many connections wait in a listener's queue, and its
// backlog, as the kernel tells of a socket that listens (tcp_get_info).
func backlogOf(t *testing.T, listener int) (queue, backlog int) {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(listener, unix.IPPROTO_TCP, unix.TCP_INFO)
	assert.NilError(t, err)
	return int(info.Unacked), int(info.Sacked)
}

// The kernel has the backlog that the program was told, or as much of it as the
// system allows, and the program says which.
func TestListenBacklog(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ flag, somaxconn, want int }{
		{0, 4096, 511}, {1, 4096, 1}, {4096, 4096, 4096}, {4097, 4096, 4096}, {math.MaxInt32, 4096, 4096}, {511, 5, 5}, {4, 5, 4},
	} {
		var err error
		h.Do(func() { err = os.WriteFile("/proc/sys/net/core/somaxconn", []byte(strconv.Itoa(c.somaxconn)), 0) })
		assert.NilError(t, err)
		args := []string{"-addr", "127.0.0.1:0"}
		if c.flag > 0 {
			args = append(args, "-backlog", strconv.Itoa(c.flag))
		}
		server := harness.Start(t, h, "tcp_server/listen", args...)
		server.Line(fmt.Sprintf(`listening on 127\.0\.0\.1:\d+ with a backlog of %d`, c.want))
		fds := peer.SocketsOf(t, server)
		assert.Equal(t, len(fds), 1)
		_, backlog := backlogOf(t, fds[0])
		assert.Equal(t, backlog, c.want)
		server.Stop()
	}
}

// A backlog of 1 lets two connections complete. The third client's SYN is
// dropped: it is not refused, it goes on trying, and is connected once there is
// room.
func TestListenQueue(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "listen", "-backlog", "1")
	listener := peer.SocketsOf(t, server)[0]
	queued := func(n int) {
		t.Helper()
		peer.Until(t, fmt.Sprintf("%d wait", n), func() bool { queue, _ := backlogOf(t, listener); return queue == n })
	}
	for n := 1; n <= 2; n++ {
		peer.Write(t, peer.DialTCP(t, h, addr), []byte("nobody reads this"))
		queued(n)
	}

	at := netip.MustParseAddrPort(addr)
	var third int
	var err error
	h.Do(func() {
		if third, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Connect(third, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())})
		}
	})
	assert.ErrorIs(t, err, unix.EINPROGRESS)
	defer unix.Close(third)
	peer.Until(t, "a SYN is dropped", func() bool { return peer.Counter(t, h, "TcpExt", "ListenOverflows") > 0 })
	queued(2)
	assert.Equal(t, stateOf(t, third), tcpSynSent)

	// In place of the program, which never does that.
	accepted, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	assert.NilError(t, err)
	defer unix.Close(accepted)
	peer.Until(t, "the third is connected", func() bool { return stateOf(t, third) == tcpEstablished })
	queued(2)
	server.Stop()
}

func stateOf(t *testing.T, fd int) int {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	assert.NilError(t, err)
	return int(info.State)
}

// Both listen with the backlog they were given. In Go's program a connection
// stays in the queue, since nobody accepts it; Node accepts on its own.
func TestListenNodeBacklog(t *testing.T) {
	queue := func(t *testing.T, s *harness.Program) *unix.TCPInfo {
		for _, fd := range peer.SocketsOf(t, s) {
			if accepts, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); accepts == 1 {
				info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
				assert.NilError(t, err)
				return info // of a listener: Unacked wait, Sacked may
			}
		}
		t.Fatal("no listener")
		return nil
	}
	connect := func(t *testing.T, h *lab.Host, start harness.Starter) *harness.Program {
		s := start("tcp_server/listen", "--backlog", "7")
		s.Line(`listening on 127\.0\.0\.1:8080 with a backlog of 7`)
		assert.Equal(t, queue(t, s).Sacked, uint32(7))
		peer.DialTCP(t, h, "127.0.0.1:8080")
		peer.DialTCP(t, h, "127.0.0.1:8080")
		return s
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		s := connect(t, h, goes)
		assert.Equal(t, queue(t, s).Unacked, uint32(2))
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		s := connect(t, h, node)
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if n := queue(t, s).Unacked; n > 0 {
				return poll.Continue("%d wait to be accepted", n)
			}
			return poll.Success()
		}, poll.WithTimeout(harness.Patience()), poll.WithDelay(5*time.Millisecond))
		s.Stop()
	})
}

// With the queue full no answer comes, and the client's system asks again.
func TestListenWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := harness.Start(t, server, "tcp_server/listen", "-addr", peer.Here, "-backlog", "1")
	p.Line(`listening on ` + peer.Here + ` with a backlog of 1`)
	first, second := peer.DialTCP(t, client, peer.Here), peer.DialTCP(t, client, peer.Here)
	c.Await("two handshakes", peer.Seen(wire.ACK, 2))
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		client.Do(func() {
			_, err := new(net.Dialer).DialContext(ctx, "tcp", peer.Here)
			go func() { failed <- err }()
		})
	}()
	events := c.Await("the second try", peer.Seen(wire.SYNAgain, 1))
	peer.Drawn(t, "listen", events, party("first", first), party("second", second),
		wire.Party{Name: "third", Addr: "10.0.0.2"})
	cancel()
	assert.ErrorContains(t, <-failed, "canceled")
	p.Stop()
}
