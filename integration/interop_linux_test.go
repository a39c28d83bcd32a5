package integration

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// option asks the kernel for an option of a program's socket, the only one for
// which there is such an option and which is, or is not, listening.
func option(t *testing.T, p *harness.Program, listening bool, level, name int) int {
	t.Helper()
	var got []int
	for _, fd := range socketsOf(t, p) {
		accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err != nil || (accepts == 1) != listening {
			continue
		}
		if value, err := unix.GetsockoptInt(fd, level, name); err == nil {
			got = append(got, value)
		}
	}
	assert.Equal(t, len(got), 1, "%s has %v", p.Section, got)
	return got[0]
}

// Go turns keep-alive on and Nagle's algorithm off for every connection, made
// or accepted. Node leaves both as the kernel has them.
func TestTCPClientClientNodeDefaults(t *testing.T) {
	want := map[string]int{"Go": 1, "Node": 0}
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/connections")
		s.Ready()
		c, addr := waiting(client)
		s.Line(addr + " connected, 1 open")
		for _, p := range []*harness.Program{s, c} {
			language := "Go"
			if p.Section == "node" {
				language = "Node"
			}
			for _, o := range []struct{ level, name int }{
				{unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.IPPROTO_TCP, unix.TCP_NODELAY},
			} {
				assert.Equal(t, option(t, p, false, o.level, o.name), want[language], "%s: %v", language, o)
			}
		}
		c.Signal(unix.SIGTERM)
		c.Line("closed")
		c.Exit(0)
		s.Stop()
	})
}

// Asked to, Node turns it on as well. How often it probes, nobody can tell it.
func TestTCPClientKeepaliveNodeKernel(t *testing.T) {
	ask := func(t *testing.T, h *lab.Host, start start, idle, interval, count int, args ...string) {
		ln := listenTCP(t, h, "127.0.0.1:8080")
		c := start("tcp_client/keepalive", args...)
		acceptTCP(t, ln)
		connected(c)
		c.Line("keep-alive on: .*")
		for _, o := range []struct{ level, name, want int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, interval},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, count},
		} {
			assert.Equal(t, option(t, c, false, o.level, o.name), o.want, "%v", o)
		}
		c.Stop()
	}
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		ask(t, h, goes, 7, 3, 5, "--idle", "7s", "--interval", "3s", "--count", "5")
	}, func(t *testing.T, h *lab.Host, node start) {
		ask(t, h, node, 7, 1, 10, "--idle", "7s")
	})
}

// Both listen with the backlog they were given. In Go's program a connection
// stays in the queue, since nobody accepts it; Node accepts on its own.
func TestTCPServerListenNodeBacklog(t *testing.T) {
	queue := func(t *testing.T, s *harness.Program) *unix.TCPInfo {
		for _, fd := range socketsOf(t, s) {
			if accepts, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); accepts == 1 {
				info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
				assert.NilError(t, err)
				return info // of a listener: Unacked wait, Sacked may
			}
		}
		t.Fatal("no listener")
		return nil
	}
	connect := func(t *testing.T, h *lab.Host, start start) *harness.Program {
		s := start("tcp_server/listen", "--backlog", "7")
		s.Line(`listening on 127\.0\.0\.1:8080 with a backlog of 7`)
		assert.Equal(t, queue(t, s).Sacked, uint32(7))
		dialTCP(t, h, "127.0.0.1:8080")
		dialTCP(t, h, "127.0.0.1:8080")
		return s
	}
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		s := connect(t, h, goes)
		assert.Equal(t, queue(t, s).Unacked, uint32(2))
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node start) {
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

// A UDP socket of Go's may broadcast from the start, one of Node's once it has
// asked. Either language's socket for udp6 on :: is what the kernel says.
func TestUDPServerBindNodeKernel(t *testing.T) {
	ask := func(t *testing.T, h *lab.Host, start start, v6only, broadcast int) {
		s := start("udp_server/bind", "--network", "udp6", "--addr", "[::]:8080")
		s.Line(`listening on .* \(udp6\)`)
		assert.Equal(t, option(t, s, false, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY), v6only)
		assert.Equal(t, option(t, s, false, unix.SOL_SOCKET, unix.SO_BROADCAST), broadcast)
		s.Stop()
	}
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		ask(t, h, goes, 1, 1)
	}, func(t *testing.T, h *lab.Host, node start) {
		ask(t, h, node, 0, 0)
	})
}

// What either server says of its socket is what the kernel has.
func TestMulticastServerNodeKernel(t *testing.T) {
	same := func(t *testing.T, h *lab.Host, start start) {
		s := start("multicast/server", "--ttl", "7", "--loopback=false", "--interval", "3600s")
		sending(s, notesGroup, "lo", 7, "off")
		s.Line(`sent .*`)
		assert.Equal(t, option(t, s, false, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL), 7)
		assert.Equal(t, option(t, s, false, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP), 0)
		s.Stop()
	}
	compare(t, same, same)
}
