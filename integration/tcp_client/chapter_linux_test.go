package tcp_client

import (
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// awaitProcTCP waits until the kernel has a socket like that on the host.
func awaitProcTCP(t *testing.T, on *lab.Host, what string, like func(peer.TCPSocket) bool) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		all := peer.TCPSockets(t, on)
		for _, s := range all {
			if like(s) {
				return poll.Success()
			}
		}
		return poll.Continue("no socket is %s: %+v", what, all)
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(10*time.Millisecond))
}

// awaitGone waits until the kernel has no end of a connection with that port any more:
// a program that another test starts just now may hold the socket until its exec.
func awaitGone(t *testing.T, on *lab.Host, local int) {
	t.Helper()
	peer.Until(t, "the kernel has dropped the connection", func() bool {
		return !slices.ContainsFunc(peer.TCPSockets(t, on), func(s peer.TCPSocket) bool { return s.Local == local })
	})
}

// roomlessListener listens and has no room for another connection: with a backlog
// of 0 one may wait to be accepted, and one does (listen(2)). The kernel drops
// the SYN of the next, so that who dials keeps trying until unblock.
func roomlessListener(t *testing.T, on *lab.Host, addr string) (ln *net.TCPListener, unblock func()) {
	t.Helper()
	ln = peer.ListenTCP(t, on, addr)
	raw, err := ln.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) }))
	assert.NilError(t, err)
	first := peer.DialTCP(t, on, ln.Addr().String())
	return ln, func() {
		t.Helper()
		assert.Equal(t, peer.AcceptTCP(t, ln).RemoteAddr().String(), first.LocalAddr().String())
	}
}

// connectingBy starts a section against a full listener and waits until it is in
// connect(2): its SYN has been sent and not answered.
func connectingBy(t *testing.T, on *lab.Host, section string, args ...string) (p *harness.Program, ln *net.TCPListener, unblock func()) {
	t.Helper()
	return connecting(t, on, on, "127.0.0.1:0", harness.Go(t, on), section, args...)
}

// connectingTo is connectingBy with the listener on another host.
func connectingTo(t *testing.T, on, remote *lab.Host, addr, section string, args ...string) (p *harness.Program, ln *net.TCPListener, unblock func()) {
	t.Helper()
	return connecting(t, on, remote, addr, harness.Go(t, on), section, args...)
}

func connecting(t *testing.T, on, remote *lab.Host, addr string, start harness.Starter, section string, args ...string) (p *harness.Program, ln *net.TCPListener, unblock func()) {
	t.Helper()
	lab.Require(t, "namespaces", lab.Isolated())
	ln, unblock = roomlessListener(t, remote, addr)
	p = start("tcp_client/"+section, append(args, "--addr", ln.Addr().String())...)
	awaitProcTCP(t, on, "connecting", func(s peer.TCPSocket) bool {
		return s.Remote == peer.TCPPort(ln.Addr()) && s.State == unix.BPF_TCP_SYN_SENT
	})
	return p, ln, unblock
}

// tcpOption asks the kernel for an option of a socket.
func tcpOption(t *testing.T, fd, level, option int) int {
	t.Helper()
	value, err := unix.GetsockoptInt(fd, level, option)
	assert.NilError(t, err)
	return value
}

// clientSocket returns a duplicate of a client's socket (see peer.SocketsOf).
func clientSocket(t *testing.T, p *harness.Program) int {
	t.Helper()
	fds := peer.SocketsOf(t, p)
	assert.Equal(t, len(fds), 1)
	return fds[0]
}

// socketAt returns a duplicate of that one of a program's sockets that is the other end
// of a connection of the test's.
func socketAt(t *testing.T, p *harness.Program, conn *net.TCPConn) int {
	t.Helper()
	port := func(addr unix.Sockaddr, err error) int {
		if in, ok := addr.(*unix.SockaddrInet4); ok && err == nil {
			return in.Port
		}
		return 0
	}
	for _, fd := range peer.SocketsOf(t, p) {
		local, remote := port(unix.Getsockname(fd)), port(unix.Getpeername(fd))
		if local == peer.TCPPort(conn.RemoteAddr()) && remote == peer.TCPPort(conn.LocalAddr()) {
			return fd
		}
	}
	t.Fatalf("no socket of %s is the other end of %v", p.Section, conn.LocalAddr())
	return -1
}

// assertKeepAlive checks what the kernel has: whether keep-alive is on, and its
// seconds of idleness and between probes, and their count.
func assertKeepAlive(t *testing.T, fd, idle, interval, count int) {
	t.Helper()
	assert.Equal(t, tcpOption(t, fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE), 1)
	assert.Equal(t, tcpOption(t, fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), idle)
	assert.Equal(t, tcpOption(t, fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), interval)
	assert.Equal(t, tcpOption(t, fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT), count)
}

// awaitShutWindow waits until the kernel says of the end of a connection with
// these ports that it has something to send and the other end has no room for
// it: the timer that runs, 4, is that of the zero window probe.
func awaitShutWindow(t *testing.T, on *lab.Host, local, remote int) {
	t.Helper()
	awaitProcTCP(t, on, "probing a shut window", func(s peer.TCPSocket) bool {
		return s.Local == local && s.Remote == remote && s.Sending > 0 && s.Timer == 4
	})
}

// smallBuffers is a host whose kernel keeps 64 KiB for each direction of a TCP
// connection, not megabytes, so that a few of them are many (tcp(7)).
func smallBuffers(t *testing.T) *lab.Host {
	t.Helper()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	for _, name := range []string{"tcp_rmem", "tcp_wmem"} {
		var err error
		h.Do(func() { err = os.WriteFile("/proc/sys/net/ipv4/"+name, []byte("4096 65536 65536"), 0) })
		assert.NilError(t, err)
	}
	return h
}

// named is a host with two addresses, IPv6 and IPv4, that h knows as server.
func named(t *testing.T, h *lab.Host) (server *lab.Host) {
	t.Helper()
	server = lab.NewHost(t, "server")
	lab.Link(t, server, "10.0.0.1/24 2001:db8::1/64", h, "10.0.0.2/24 2001:db8::2/64") // RFC 3849
	peer.Names(t, h, "10.0.0.1 server", "2001:db8::1 server")
	return server
}

// refusedByName is a client of a name both of whose addresses refuse. Node's error has no
// message then, only a code.
func refusedByName(start harness.Starter, section string) {
	start("tcp_client/"+section, "--addr", "server:8080").
		ExitSaying(1, section+": (dial tcp .*: connect: connection refused|ECONNREFUSED)\n")
}

// With each client it is one line when both of a name's addresses refuse.
func TestEachRefusedByName(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		named(t, h)
		for _, section := range clients() {
			if section != "happy_eyeballs" { // it has more to say, see TestHappyEyeballsAllFail
				refusedByName(start, section)
			}
		}
	})
}

// A signal ends each client that is still connecting.
func TestEachStopsWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, section := range clients() {
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			client, ln, _ := connectingBy(t, lab.NewHost(t, "h"), section)
			if section == "happy_eyeballs" {
				tries(client, ln.Addr().String())
			}
			stopWaiting(t, client, syscall.SIGTERM)
		})
	}
}
