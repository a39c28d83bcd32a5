package integration

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// descriptors returns what a program has open, as in "socket:[123]".
func descriptors(t *testing.T, p *harness.Program) (open []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd/", p.Pid())
	entries, err := os.ReadDir(dir)
	assert.NilError(t, err)
	for _, entry := range entries {
		if target, err := os.Readlink(dir + entry.Name()); err == nil {
			open = append(open, target)
		}
	}
	return open
}

// processorTime is what a program has used of it until now, utime and stime in
// proc_pid_stat(5), which counts in hundredths of a second.
func processorTime(t *testing.T, p *harness.Program) (used time.Duration) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	assert.NilError(t, err)
	// The second field, a name in parentheses, may hold blanks.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, field := range fields[14-3 : 16-3] {
		ticks, err := time.ParseDuration(field + "0ms")
		assert.NilError(t, err)
		used += ticks
	}
	return used
}

// 200 clients come to a server that may have 64 descriptors. It neither dies
// nor spins, and serves those who had to wait when others have left. What a
// section replies to "hello" and a FIN, and prints of one who left, or "".
func TestTCPServerServerExhausted(t *testing.T) {
	testTCPServerExhausted(t, "server", "hello", `\S+ closed after 5 bytes`)
}

func TestTCPServerConnectionsExhausted(t *testing.T) {
	testTCPServerExhausted(t, "connections", "", `\S+ closed, \d+ open`)
}

func TestTCPServerCloseExhausted(t *testing.T) {
	testTCPServerExhausted(t, "close", "hello", "")
}

func TestTCPServerHalfOpenExhausted(t *testing.T) {
	testTCPServerExhausted(t, "half_open", "hello", `\S+ closed`)
}

func TestTCPServerSocketAddressExhausted(t *testing.T) {
	testTCPServerExhausted(t, "socket_address", "", "")
}

func testTCPServerExhausted(t *testing.T, section, reply, left string, args ...string) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	// The shell becomes the server; what that says on stderr comes as lines too.
	// Go keeps the pipes that splice(2) goes through for reuse until a collection.
	// Its race detector makes it mislay some, so collections come often.
	args = append([]string{"-c", `ulimit -n 64; GOGC=1 exec "$0" "$@" 2>&1`,
		harness.Binary(t, "tcp_server/"+section), "-addr", "127.0.0.1:0"}, args...)
	server := harness.Command(t, h, exec.Command("/bin/sh", args...))
	addr := server.Ready()
	conns := make([]*net.TCPConn, 200)
	for i := range conns {
		conns[i] = dialTCP(t, h, addr)
		conns[i].SetDeadline(time.Now().Add(2 * time.Minute)) // some will wait for many pauses
	}

	const full = `\w+: accept tcp \S+: accept4: too many open files`
	server.Await(full)
	for range strings.Count(strings.Join(server.Lines(), ""), "too many open files") - 1 {
		server.Await(full) // those of the time that the clients took to come
	}
	begin, before := time.Now(), processorTime(t, server)
	for range 4 {
		server.Await(full)
	}
	// Each took a pause of half a second; the first may have begun before.
	took, used := time.Since(begin), processorTime(t, server)-before
	assert.Assert(t, took > time.Second, "four failures within %v", took)
	assert.Assert(t, used < took/10, "%v of processor time in %v", used, took)
	assert.Assert(t, len(descriptors(t, server)) >= 64) // more if some were inherited

	for _, conn := range conns {
		write(t, conn, []byte("hello"))
		assert.NilError(t, conn.CloseWrite())
	}
	for i, conn := range conns {
		got, err := io.ReadAll(conn)
		assert.NilError(t, err)
		assert.Equal(t, string(got), reply, "client %d", i)
		if left != "" {
			server.Await(left)
		}
	}
	server.Stop()
}

// io.Copy from a connection to a connection is splice(2): the bytes pass
// through a pipe in the kernel, which takes two descriptors besides the
// connection's own.
func TestTCPServerServerSplices(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	for range 10 {
		echoes(t, dialTCP(t, h, addr), "hello")
	}
	open := fmt.Sprint(descriptors(t, server))
	assert.Equal(t, strings.Count(open, "socket:"), 1+10, open)
	assert.Assert(t, strings.Count(open, "pipe:") >= 20, open) // and those of stdout and stderr
	server.Stop()
}

// The transcript of this section shows a port without a colon before it, so
// that the harness does not know it for one: it is made the same each time.
func TestTCPServerSocketAddressTranscript(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	var err error
	h.Do(func() { err = os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("50001 50001"), 0) })
	assert.NilError(t, err)
	server := harness.Start(t, h, "tcp_server/socket_address")
	server.Ready()
	client := harness.Start(t, h, "tcp_client/client")
	client.Line(`connected to 127\.0\.0\.1:8080 from \S+`)
	client.Line(`sent 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(`local .*`)
	server.Stop()
	harness.Transcript(t, "tcp_server/socket_address.txt", server, client)
}

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
func TestTCPServerListenBacklog(t *testing.T) {
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
		fds := socketsOf(t, server)
		assert.Equal(t, len(fds), 1)
		_, backlog := backlogOf(t, fds[0])
		assert.Equal(t, backlog, c.want)
		server.Stop()
	}
}

// A backlog of 1 lets two connections complete. The third client's SYN is
// dropped: it is not refused, it goes on trying, and is connected once there is
// room.
func TestTCPServerListenQueue(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "listen", "-backlog", "1")
	listener := socketsOf(t, server)[0]
	queued := func(n int) {
		t.Helper()
		until(t, fmt.Sprintf("%d wait", n), func() bool { queue, _ := backlogOf(t, listener); return queue == n })
	}
	for n := 1; n <= 2; n++ {
		write(t, dialTCP(t, h, addr), []byte("nobody reads this"))
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
	until(t, "a SYN is dropped", func() bool { return listenOverflows(t, h) > 0 })
	queued(2)
	assert.Equal(t, stateOf(t, third), tcpSynSent)

	// In place of the program, which never does that.
	accepted, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	assert.NilError(t, err)
	defer unix.Close(accepted)
	until(t, "the third is connected", func() bool { return stateOf(t, third) == tcpEstablished })
	queued(2)
	server.Stop()
}

// until waits for a state of the kernel's of which nothing tells.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if is() {
			return poll.Success()
		}
		return poll.Continue("waiting until %s", what)
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(time.Millisecond))
}

// States of a connection, as in the kernel's include/net/tcp_states.h.
const (
	tcpEstablished = 1
	tcpSynSent     = 2
	tcpFinWait2    = 5
	tcpCloseWait   = 8
)

func stateOf(t *testing.T, fd int) int {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	assert.NilError(t, err)
	return int(info.State)
}

// listenOverflows is how often a host has dropped a handshake because a
// listener's queue was full: a line of names and a line of values in
// /proc/net/netstat.
func listenOverflows(t *testing.T, on *lab.Host) int {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/netstat") })
	assert.NilError(t, err)
	lines := strings.Split(string(text), "\n")
	i := slices.Index(strings.Fields(lines[0]), "ListenOverflows")
	assert.Assert(t, i > 0, lines[0])
	n, err := strconv.Atoi(strings.Fields(lines[1])[i])
	assert.NilError(t, err)
	return n
}

// While the reply is under way one half of the connection is closed, and the
// kernel says so: the client has sent its FIN and had it acknowledged, the
// server has not sent one.
func TestTCPServerHalfOpenStates(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "half_open")
	conn, data := dialTCP(t, h, addr), noise(32<<20)
	write(t, conn, data)
	assert.NilError(t, conn.CloseWrite())
	server.Line(clientAddr(conn) + " ended after 33554432 bytes")

	client := uint16(conn.LocalAddr().(*net.TCPAddr).Port)
	served := netip.MustParseAddrPort(addr).Port()
	until(t, "one half is closed", func() bool {
		states := tcpStates(t, h)
		return states[[2]uint16{client, served}] == tcpFinWait2 && states[[2]uint16{served, client}] == tcpCloseWait
	})
	got, err := io.ReadAll(conn)
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(got, data))
	server.Line(clientAddr(conn) + " replied 33554432 bytes")
	server.Line(clientAddr(conn) + " closed")
	server.Stop()
}

// tcpStates returns the states of a host's IPv4 connections, by local and remote
// port: /proc/net/tcp, where numbers are hexadecimal.
func tcpStates(t *testing.T, on *lab.Host) map[[2]uint16]int {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/tcp") })
	assert.NilError(t, err)
	states := map[[2]uint16]int{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		var slot, localIP, remoteIP, state int
		var local, remote uint16
		_, err := fmt.Sscanf(line, "%d: %x:%x %x:%x %x", &slot, &localIP, &local, &remoteIP, &remote, &state)
		assert.NilError(t, err)
		states[[2]uint16{local, remote}] = state
	}
	return states
}
