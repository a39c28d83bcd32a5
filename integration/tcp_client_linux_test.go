package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// procTCPSocket is a line of /proc/net/tcp (proc(5), the kernel's proc_net_tcp.rst).
type procTCPSocket struct {
	local, remote, state, timer int
	sending, unread             int // bytes in its queues
}

// procTCP returns a host's IPv4 sockets, their addresses cut to the ports.
func procTCP(t *testing.T, on *lab.Host) (sockets []procTCPSocket) {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/tcp") })
	assert.NilError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		var s procTCPSocket
		var slot, ip int
		_, err := fmt.Sscanf(line, "%d: %X:%X %X:%X %X %X:%X %X:",
			&slot, &ip, &s.local, &ip, &s.remote, &s.state, &s.sending, &s.unread, &s.timer)
		assert.NilError(t, err, line)
		sockets = append(sockets, s)
	}
	return sockets
}

// awaitProcTCP waits until the kernel has a socket like that on the host.
func awaitProcTCP(t *testing.T, on *lab.Host, what string, like func(procTCPSocket) bool) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		all := procTCP(t, on)
		for _, s := range all {
			if like(s) {
				return poll.Success()
			}
		}
		return poll.Continue("no socket is %s: %+v", what, all)
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(5*time.Millisecond))
}

func tcpPort(addr net.Addr) int { return addr.(*net.TCPAddr).Port }

// roomlessListener listens and has no room for another connection: with a backlog
// of 0 one may wait to be accepted, and one does (listen(2)). The kernel drops
// the SYN of the next, so that who dials keeps trying until unblock.
func roomlessListener(t *testing.T, on *lab.Host, addr string) (ln *net.TCPListener, unblock func()) {
	t.Helper()
	ln = listenTCP(t, on, addr)
	raw, err := ln.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) }))
	assert.NilError(t, err)
	first := dialTCP(t, on, ln.Addr().String())
	return ln, func() {
		t.Helper()
		assert.Equal(t, acceptTCP(t, ln).RemoteAddr().String(), first.LocalAddr().String())
	}
}

// connectingBy starts a section against a full listener and waits until it is in
// connect(2): its SYN has been sent and not answered.
func connectingBy(t *testing.T, on *lab.Host, section string, args ...string) (p *harness.Program, ln *net.TCPListener, unblock func()) {
	t.Helper()
	return connectingTo(t, on, on, "127.0.0.1:0", section, args...)
}

// connectingTo is connectingBy with the listener on another host.
func connectingTo(t *testing.T, on, peer *lab.Host, addr, section string, args ...string) (p *harness.Program, ln *net.TCPListener, unblock func()) {
	t.Helper()
	lab.Require(t, "namespaces", lab.Isolated())
	ln, unblock = roomlessListener(t, peer, addr)
	p = harness.Start(t, on, "tcp_client/"+section, append(args, "-addr", ln.Addr().String())...)
	awaitProcTCP(t, on, "connecting", func(s procTCPSocket) bool {
		return s.remote == tcpPort(ln.Addr()) && s.state == unix.BPF_TCP_SYN_SENT
	})
	return p, ln, unblock
}

// A signal ends every client that is still connecting.
func TestTCPClientStopWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, section := range []string{"client", "write", "close", "unref", "buffer_size", "keepalive"} {
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			client, _, _ := connectingBy(t, lab.NewHost(t, "h"), section)
			stopWaiting(t, client, syscall.SIGTERM)
		})
	}
}

// tcpOption asks the kernel for an option of a socket.
func tcpOption(t *testing.T, fd, level, option int) int {
	t.Helper()
	value, err := unix.GetsockoptInt(fd, level, option)
	assert.NilError(t, err)
	return value
}

// clientSocket returns a duplicate of a client's socket (see socketsOf).
func clientSocket(t *testing.T, p *harness.Program) int {
	t.Helper()
	fds := socketsOf(t, p)
	assert.Equal(t, len(fds), 1)
	return fds[0]
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

// What Go sets on every connection it dials: keep-alive, and no waiting for
// more data before a small segment is sent.
func TestTCPClientClientDefaults(t *testing.T) {
	t.Parallel()
	client, _ := dialledBy(t, lab.NewHost(t, "h"), "client")
	client.Line(`sent 5 bytes: "hello"`)
	fd := clientSocket(t, client)
	assertKeepAlive(t, fd, 15, 15, 9)
	assert.Equal(t, tcpOption(t, fd, unix.IPPROTO_TCP, unix.TCP_NODELAY), 1)
	stopWaiting(t, client, syscall.SIGTERM)
}

// awaitShutWindow waits until the kernel says of the end of a connection with
// these ports that it has something to send and the other end has no room for
// it: the timer that runs, 4, is that of the zero window probe.
func awaitShutWindow(t *testing.T, on *lab.Host, local, remote int) {
	t.Helper()
	awaitProcTCP(t, on, "probing a shut window", func(s procTCPSocket) bool {
		return s.local == local && s.remote == remote && s.sending > 0 && s.timer == 4
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

// Why the client reads while it writes: a plain socket that only writes to the
// echo server stalls, and stalls the server. Each end has more to send and no
// room for what it is sent. Reading sets both free.
func TestTCPClientWriteDeadlockOfAWriterThatDoesNotRead(t *testing.T) {
	t.Parallel()
	h := smallBuffers(t)
	server := harness.Start(t, h, "tcp_server/server", "-addr", "127.0.0.1:0")
	conn := dialTCP(t, h, server.Ready())
	here, there := tcpPort(conn.LocalAddr()), tcpPort(conn.RemoteAddr())

	data := countingBytes(16 << 20)
	done := make(chan error)
	go func() {
		_, err := conn.Write(data)
		conn.CloseWrite()
		done <- err
	}()
	for range 2 { // each is still stuck when the other is
		awaitShutWindow(t, h, here, there)
		awaitShutWindow(t, h, there, here)
	}
	select {
	case err := <-done:
		t.Fatalf("the write ended: %v", err)
	default:
	}

	assert.Assert(t, readToFIN(t, conn) == string(data), "not what was written")
	assert.NilError(t, <-done)
	server.Stop()
}

// The client gets many times what all the buffers hold through that server.
func TestTCPClientWriteReadsWhileItWrites(t *testing.T) {
	t.Parallel()
	h := smallBuffers(t)
	server := harness.Start(t, h, "tcp_server/server", "-addr", "127.0.0.1:0")
	client := harness.Start(t, h, "tcp_client/write", "-addr", server.Ready(), "-bytes", "16777216")
	client.Line(`connected to .*`)
	client.Line(`wrote 16777216 bytes in 256 writes`)
	client.Line(`received 16777216 bytes`)
	client.Line("closed")
	client.Exit(0)
	server.Stop()
}

// A write counts when the kernel has taken the bytes, and those are delivered
// even when the program has ended.
func TestTCPClientWriteCountsWhatTheKernelTook(t *testing.T) {
	t.Parallel()
	h := smallBuffers(t)
	client, peer := dialledBy(t, h, "write", "-bytes", "1000000000000", "-chunk", "1000")
	awaitShutWindow(t, h, tcpPort(peer.RemoteAddr()), tcpPort(peer.LocalAddr()))
	client.Signal(syscall.SIGTERM)
	wrote := client.Line(`wrote (\d+) bytes in \d+ writes`)[0]
	client.Line(`received 0 bytes`)
	client.Line("closed")
	client.Exit(0)
	assert.Equal(t, fmt.Sprint(len(readToFIN(t, peer))), wrote)
}

// connectedWithData starts a section whose connection has data from its peer
// waiting to be read before the program knows that it is connected: it is
// stopped while it connects, and goes on when the data is there.
func connectedWithData(t *testing.T, on *lab.Host, data, section string, args ...string) (*harness.Program, *net.TCPConn) {
	t.Helper()
	p, ln, unblock := connectingBy(t, on, section, args...)
	freeze(t, p)
	unblock()
	peer := acceptTCP(t, ln) // the SYN is sent again after a second
	sendText(t, peer, data)
	awaitProcTCP(t, on, "given data to read", func(s procTCPSocket) bool {
		return s.local == tcpPort(peer.RemoteAddr()) && s.unread == len(data)
	})
	p.Signal(syscall.SIGCONT)
	connectedFrom(p, ln.Addr())
	return p, peer
}

// Closing with unread data resets: the peer is told that its data was lost.
func TestTCPClientCloseDestroyWithUnreadData(t *testing.T) {
	t.Parallel()
	client, peer := connectedWithData(t, lab.NewHost(t, "h"), "unread", "close", "-how", "destroy")
	client.Line("destroyed")
	client.Exit(0)
	_, err := peer.Read(make([]byte, 1))
	assert.ErrorIs(t, err, syscall.ECONNRESET)
}

// With -how end the same data is read, and nothing is reset.
func TestTCPClientCloseEndWithUnreadData(t *testing.T) {
	t.Parallel()
	client, peer := connectedWithData(t, lab.NewHost(t, "h"), "unread", "close", "-how", "end")
	client.Line("ended: sent FIN, still reading")
	client.Line(`received 6 bytes: "unread"`)
	assert.Equal(t, readToFIN(t, peer), "")
	peer.Close()
	client.Line("closed")
	client.Exit(0)
}

// The program ends with the connection open. A duplicate of its socket, made
// before it was connected, outlives it: as long as that is there, the peer has
// heard of no end and is sent more; the FIN goes out with the last descriptor.
func TestTCPClientUnrefEndsWithTheConnectionOpen(t *testing.T) {
	t.Parallel()
	client, ln, unblock := connectingBy(t, lab.NewHost(t, "h"), "unref", "-ref=false")
	fd := clientSocket(t, client)
	unblock()
	peer := acceptTCP(t, ln) // the SYN is sent again after a second
	connectedFrom(client, ln.Addr())
	client.Line("not waiting")
	client.Exit(0)

	_, err := unix.Write(fd, []byte("after its end"))
	assert.NilError(t, err)
	buf := make([]byte, 100)
	n, err := peer.Read(buf)
	assert.NilError(t, err)
	assert.Equal(t, string(buf[:n]), "after its end")
	letGo(t, fd)
	assert.Equal(t, readToFIN(t, peer), "")
}

// bufferSizes reads the three lines of buffer_size.
func bufferSizes(t *testing.T, p *harness.Program) (sendBuffer, queued, wrote int) {
	t.Helper()
	for _, line := range []struct {
		pattern string
		value   *int
	}{
		{`send buffer (\d+) bytes`, &sendBuffer},
		{`queued (\d+) bytes, the peer has not acknowledged them`, &queued},
		{`wrote (\d+) bytes before blocking`, &wrote},
	} {
		n, err := strconv.Atoi(p.Line(line.pattern)[0])
		assert.NilError(t, err)
		*line.value = n
	}
	return sendBuffer, queued, wrote
}

// queue asks the kernel how much a plain socket of the test has in a queue.
func queue(t *testing.T, conn *net.TCPConn, which uint) int {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	var n uint32
	assert.NilError(t, raw.Control(func(fd uintptr) { n, err = unix.IoctlGetUint32(int(fd), which) }))
	assert.NilError(t, err)
	return int(n)
}

// The program against a peer that never reads, as the page shows it. The
// numbers are the kernel's and differ from one to the next; once it is checked
// that they fit together, the text has those of the machine it was written on.
func TestTCPClientBufferSizeTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := listenTCP(t, h, "127.0.0.1:8080")
	begin := time.Now()
	client := harness.Start(t, h, "tcp_client/buffer_size")
	from := connectedFrom(client, ln.Addr())
	peer := acceptTCP(t, ln)
	sendBuffer, queued, wrote := bufferSizes(t, client)
	client.Exit(0)
	assert.Assert(t, time.Since(begin) >= time.Second, "a peer that is slow would look the same")
	assert.Equal(t, queue(t, peer, unix.SIOCINQ), wrote-queued)
	assert.Assert(t, queued <= sendBuffer && wrote < 64<<20, "%d %d %d", sendBuffer, queued, wrote)

	text := "$ bazel run //tcp_client:buffer_size\n" + strings.Join(client.Lines(), "")
	golden.Assert(t, strings.NewReplacer(
		from+"\n", "127.0.0.1:50001\n",
		fmt.Sprintf("send buffer %d ", sendBuffer), "send buffer 4194304 ",
		fmt.Sprintf("queued %d ", queued), "queued 4163072 ",
		fmt.Sprintf("wrote %d ", wrote), "wrote 4291584 ",
	).Replace(text), "tcp_client/buffer_size.txt")
}

// The numbers are the kernel's: those of its socket, and what is not queued
// with it is waiting at the peer. What was taken arrives, though the program
// has ended.
func TestTCPClientBufferSizeIsTheKernels(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]func(*testing.T) *lab.Host{
		"as it is":      func(t *testing.T) *lab.Host { return lab.NewHost(t, "h") },
		"small buffers": smallBuffers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			client, ln, unblock := connectingBy(t, h, "buffer_size")
			fd := clientSocket(t, client) // outlives the program
			unblock()
			peer := acceptTCP(t, ln) // the SYN is sent again after a second
			connectedFrom(client, ln.Addr())
			sendBuffer, queued, wrote := bufferSizes(t, client)
			client.Exit(0)

			assert.Equal(t, tcpOption(t, fd, unix.SOL_SOCKET, unix.SO_SNDBUF), sendBuffer)
			outq, err := unix.IoctlGetUint32(fd, unix.SIOCOUTQ)
			assert.NilError(t, err)
			assert.Equal(t, int(outq), queued)
			assert.Equal(t, queue(t, peer, unix.SIOCINQ), wrote-queued)
			assert.Assert(t, wrote > queued && queued > 0)
			awaitShutWindow(t, h, tcpPort(peer.RemoteAddr()), tcpPort(peer.LocalAddr()))
			_, err = unix.Write(fd, []byte("x"))
			assert.ErrorIs(t, err, unix.EAGAIN) // it still takes no more

			letGo(t, fd)
			assert.Equal(t, len(readToFIN(t, peer)), wrote)
		})
	}
}

// What was sent counts as queued until it is acknowledged: from a peer that is
// cut off before the first byte, nothing ever is.
func TestTCPClientBufferSizeCutOffPeer(t *testing.T) {
	t.Parallel()
	segment := lab.NewSegment(t, "segment")
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	segment.Join(t, a, "10.0.0.1/24")
	segment.Join(t, b, "10.0.0.2/24")
	client, ln, unblock := connectingTo(t, a, b, "10.0.0.2:8080", "buffer_size")
	freeze(t, client)
	unblock()
	acceptTCP(t, ln) // the SYN is sent again after a second
	b.Unplug(t, "eth0")
	client.Signal(syscall.SIGCONT)
	connectedFrom(client, ln.Addr())
	_, queued, wrote := bufferSizes(t, client)
	client.Exit(0)
	assert.Assert(t, wrote > 0)
	assert.Equal(t, queued, wrote)
}

// A peer that is slow is not one that does not read: each time the window is
// shut it makes some room, for longer than the program's patience altogether.
func TestTCPClientBufferSizeSlowPeer(t *testing.T) {
	t.Parallel()
	h := smallBuffers(t)
	client, peer := dialledBy(t, h, "buffer_size", "-bytes", "1000000000000")
	buf := make([]byte, 32768)
	read := 0
	for begin := time.Now(); time.Since(begin) < 1500*time.Millisecond; {
		awaitShutWindow(t, h, tcpPort(peer.RemoteAddr()), tcpPort(peer.LocalAddr()))
		n, err := io.ReadFull(peer, buf)
		assert.NilError(t, err)
		read += n
	}
	_, queued, wrote := bufferSizes(t, client)
	client.Exit(0)
	assert.Assert(t, wrote > read)
	assert.Equal(t, queue(t, peer, unix.SIOCINQ), wrote-queued-read)
	assert.Equal(t, len(readToFIN(t, peer)), wrote-read)
}

// What the program says is what the kernel has, at the limits too.
func TestTCPClientKeepaliveIsTheKernels(t *testing.T) {
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

// counter returns one of the kernel's counters of a host, as in "Icmp",
// "InDestUnreachs": /proc/net/snmp and netstat, names on one line and numbers on
// the next.
func counter(t *testing.T, on *lab.Host, group, name string) int {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() {
		for _, file := range []string{"snmp", "netstat"} {
			var more []byte
			if err == nil {
				more, err = os.ReadFile("/proc/thread-self/net/" + file)
			}
			text = append(text, more...)
		}
	})
	assert.NilError(t, err)
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		names := strings.Fields(line)
		if column := slices.Index(names, name); column > 0 && names[0] == group+":" {
			n, err := strconv.Atoi(strings.Fields(lines[i+1])[column])
			assert.NilError(t, err)
			return n
		}
	}
	t.Fatalf("the kernel counts no %s %s", group, name)
	return 0
}

// vanishes starts the program with the shortest times there are, cuts its peer
// off, and checks that it says so after idle + count × interval.
func vanishes(t *testing.T, client, peer *lab.Host, addr string, cut func()) {
	t.Helper()
	ln := listenTCP(t, peer, addr)
	begin := time.Now()
	p := harness.Start(t, client, "tcp_client/keepalive", "-addr", addr, "-idle", "1s", "-interval", "1s", "-count", "2")
	acceptTCP(t, ln)
	connectedFrom(p, ln.Addr())
	p.Line(`keep-alive on: idle 1s, interval 1s, count 2`)
	cut()
	p.Line("closed with error: connection timed out")
	p.Exit(0)
	assert.Assert(t, time.Since(begin) >= 3*time.Second)
	assert.Assert(t, counter(t, client, "TcpExt", "TCPKeepAlive") >= 2)
}

// A peer that is cut off sends nothing, not even an end. The probes tell.
func TestTCPClientKeepaliveVanishedPeer(t *testing.T) {
	t.Parallel()
	segment := lab.NewSegment(t, "segment")
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	segment.Join(t, a, "10.0.0.1/24")
	segment.Join(t, b, "10.0.0.2/24")
	vanishes(t, a, b, "10.0.0.2:8080", func() { b.Unplug(t, "eth0") })
}

// The client's own cable: its kernel has no route left, and tells it no sooner.
func TestTCPClientKeepaliveOwnCable(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	vanishes(t, a, b, "10.0.0.2:8080", func() { a.Unplug(t, "eth0") })
}

// A router on the way that says "unreachable" is not believed: a probe repeats
// a sequence number that is acknowledged already, and the kernel ignores ICMP
// about those (RFC 5927, 4.1).
func TestTCPClientKeepaliveUnreachablePeer(t *testing.T) {
	t.Parallel()
	left, router, right := routed(t)
	vanishes(t, left, right, "10.0.2.2:8080", func() { router.Unplug(t, "eth1") })
	assert.Assert(t, counter(t, left, "Icmp", "InDestUnreachs") >= 1)
	assert.Assert(t, counter(t, left, "TcpExt", "OutOfWindowIcmps") >= 1)
}

// A peer whose program is silent is there all the same: its kernel answers the
// probes, and the connection outlasts idle + count × interval.
func TestTCPClientKeepaliveSilentPeer(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	client, peer := dialledBy(t, h, "keepalive", "-idle", "1s", "-interval", "1s", "-count", "1")
	client.Line(`keep-alive on: idle 1s, interval 1s, count 1`)
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if n := counter(t, h, "TcpExt", "TCPKeepAlive"); n < 3 {
			return poll.Continue("%d probes", n)
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(20*time.Millisecond))
	peer.Close()
	client.Line("closed")
	client.Exit(0)
}

// Go has keep-alive on for every connection, accepted ones too, and makes a
// second and a half two.
func TestTCPClientKeepaliveInGo(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := listenTCP(t, h, "127.0.0.1:0")
	dialed := dialTCP(t, h, ln.Addr().String())
	check := func(conn *net.TCPConn, idle, interval, count int) {
		t.Helper()
		raw, err := conn.SyscallConn()
		assert.NilError(t, err)
		assert.NilError(t, raw.Control(func(fd uintptr) { assertKeepAlive(t, int(fd), idle, interval, count) }))
	}
	check(dialed, 15, 15, 9)
	check(acceptTCP(t, ln), 15, 15, 9)
	assert.NilError(t, dialed.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Idle: 1500 * time.Millisecond, Interval: time.Millisecond, Count: 3,
	}))
	check(dialed, 2, 1, 3)
}

// A signal comes between connecting and the first step. Whatever the client says
// of a step, it has taken: the peer gets a FIN and nothing else.
func TestTCPClientSignalFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		section string
		args    []string
		last    string
	}{
		{"tcp_client/client", nil, "closed"},
		{"tcp_client/close", []string{"-how", "end"}, "closed"},
		{"tcp_client/close", []string{"-how", "destroy"}, "destroyed"},
		{"tcp_client/close", []string{"-how", "reset"}, "closed"},
	} {
		t.Run(strings.Join(append([]string{c.section}, c.args...), " "), func(t *testing.T) {
			t.Parallel()
			lab.Require(t, "namespaces", lab.Isolated())
			h := lab.NewHost(t, "h")
			ln := listenTCP(t, h, "127.0.0.1:8080")
			p := startDeaf(t, h, c.section, 0, c.args...)
			p.awaitLine()
			p.Signal(syscall.SIGTERM)
			until(t, "its socket is closed", func() bool { return p.sockets() == 0 })
			got, err := io.ReadAll(acceptTCP(t, ln))
			assert.NilError(t, err)
			assert.Equal(t, string(got), "")
			lines := p.hear()
			assert.Equal(t, len(lines), 2, "%q", lines)
			assert.Assert(t, strings.HasPrefix(lines[0], "connected to "), "%q", lines)
			assert.Equal(t, lines[1], c.last)
		})
	}
}

// A signal between its questions to the kernel is no failure of the system's.
func TestTCPClientBufferSizeSignal(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	listenTCP(t, h, "127.0.0.1:8080")
	p := startDeaf(t, h, "tcp_client/buffer_size", 1)
	p.awaitLine()
	p.Signal(syscall.SIGTERM)
	until(t, "its socket is closed", func() bool { return p.sockets() == 0 })
	lines := p.hear()
	assert.Assert(t, strings.HasPrefix(lines[0], "send buffer "), "%q", lines)
	assert.Assert(t, strings.HasSuffix(lines[len(lines)-1], " before blocking"), "%q", lines)
}
