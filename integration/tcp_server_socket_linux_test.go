package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// awaitKernel waits until the kernel says so, of which it tells nobody.
func awaitKernel(t *testing.T, what string, is func() bool) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if is() {
			return poll.Success()
		}
		return poll.Continue("%s", what)
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(2*time.Millisecond))
}

// queues returns how many bytes of a client are in the receive queue of the
// server's socket, accepted or not, and how many in the send queue of its own:
// /proc/net/tcp (the kernel's proc_net_tcp.rst).
func queues(t *testing.T, on *lab.Host, client string) (unread, sending int) {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/tcp") })
	assert.NilError(t, err)
	port := int(netip.MustParseAddrPort(client).Port())
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		var slot, ip, local, remote, state, tx, rx int
		_, err := fmt.Sscanf(line, "%d: %X:%X %X:%X %X %X:%X", &slot, &ip, &local, &ip, &remote, &state, &tx, &rx)
		assert.NilError(t, err, line)
		switch port {
		case remote:
			unread = rx
		case local:
			sending = tx
		}
	}
	return unread, sending
}

func unreadOf(t *testing.T, on *lab.Host, client string) int {
	t.Helper()
	unread, _ := queues(t, on, client)
	return unread
}

// awaitFull waits until a client has sent all that the server's kernel takes
// while nobody reads: it has more to send, and nothing moves.
func awaitFull(t *testing.T, on *lab.Host, client string) (unread int) {
	t.Helper()
	same := 0
	awaitKernel(t, "something still moves", func() bool {
		now, sending := queues(t, on, client)
		if same++; now != unread || now == 0 || sending == 0 {
			unread, same = now, 0
		}
		return same == 20
	})
	return unread
}

// written returns how many bytes a program has written with write(2), to its
// output as to files and sockets (proc_pid_io(5)).
func written(t *testing.T, p *harness.Program) (n int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.Pid()))
	assert.NilError(t, err)
	_, counter, _ := strings.Cut(string(text), "wchar: ")
	_, err = fmt.Sscan(counter, &n)
	assert.NilError(t, err)
	return n
}

// testDescriptors is a server with no descriptor free: it neither dies nor
// spins, and whoever waits is served once another has gone.
func (s connServer) testDescriptors(t *testing.T) {
	t.Helper()
	h := lab.NewHost(t, "h")
	p := s.start(t, h, "-addr", "127.0.0.1:0")
	addr := p.Ready()
	s.serves(t, p, dialTCP(t, h, addr)) // what it opens only once, it has
	limit := uint64(0)
	for free := 0; free < 2; limit++ { // it may hold some with high numbers
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", p.Pid(), limit)); err != nil {
			free++
		}
	}
	assert.NilError(t, unix.Prlimit(p.Pid(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil))

	begin, before := time.Now(), written(t, p)
	var clients []*net.TCPConn
	for range 4 {
		clients = append(clients, dialTCP(t, h, addr))
	}
	const complaint = "accept tcp 127.0.0.1:12345: accept4: too many open files" // about as long
	awaitKernel(t, "no complaint", func() bool { return written(t, p)-before >= len(complaint) })
	for _, client := range clients {
		s.serves(t, p, client)
	}
	p.Signal(syscall.SIGTERM)
	p.Await("closed")
	p.ExitSaying(0, fmt.Sprintf(`(%s: accept tcp .*: accept4: too many open files\n){1,%d}`,
		s.section, 1+time.Since(begin)/(500*time.Millisecond)))
}

func TestTCPServerReadDescriptors(t *testing.T) {
	t.Parallel()
	readServer.testDescriptors(t)
}

// stopped starts a section of the chapter that has been stopped, as by Ctrl+Z,
// and resumes later: until then, all that arrives is the kernel's to keep.
func stopped(t *testing.T, on *lab.Host, section string, args ...string) (p *harness.Program, addr string) {
	t.Helper()
	p = harness.Start(t, on, "tcp_server/"+section, args...)
	addr = p.Ready()
	freeze(t, p)
	return p, addr
}

// arrive writes each piece in a write of its own, and waits for each to be in
// the kernel's queue of the server's host.
func arrive(t *testing.T, on *lab.Host, client *net.TCPConn, pieces ...string) {
	t.Helper()
	want := unreadOf(t, on, client.LocalAddr().String())
	for _, piece := range pieces {
		tell(t, client, piece)
		want += len(piece)
		awaitKernel(t, "not all has arrived", func() bool { return unreadOf(t, on, client.LocalAddr().String()) == want })
	}
}

// Two writes, one read: both were there by the time the program read. One write,
// two reads: it is longer than the buffer.
func TestTCPServerReadTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := stopped(t, h, "read", "-buffer", "8")
	two := dialTCP(t, h, addr)
	arrive(t, h, two, "one", "two")
	server.Signal(syscall.SIGCONT)
	server.Line(of(two) + `read 6 bytes: "onetwo"`)
	assert.NilError(t, two.CloseWrite())
	server.Line(of(two) + `ended after 6 bytes`)

	one := harness.Start(t, h, "tcp_client/client", "-message", "read-me-twice")
	from := one.Line(`connected to \S+ from (\S+)`)[0]
	one.Line(`sent 13 bytes: "read-me-twice"`)
	one.Line(`closed`)
	one.Exit(0)
	server.Line(from + ` read 8 bytes: "read-me-"`)
	server.Line(from + ` read 5 bytes: "twice"`)
	server.Line(from + ` ended after 13 bytes`)
	server.Stop()
	harness.Transcript(t, "tcp_server/read.txt", server, one)
}

func TestTCPServerCloseEventDescriptors(t *testing.T) {
	t.Parallel()
	closeEventServer.testDescriptors(t)
}

// victim, in the environment, makes the test binary a client that writes to the
// address until it is killed.
const victim = "SOCKETS_VICTIM"

func TestTCPServerCloseEventVictim(t *testing.T) {
	addr := os.Getenv(victim)
	if addr == "" {
		t.Skip("for TestTCPServerCloseEventKilledClient")
	}
	conn, err := net.Dial("tcp", addr)
	assert.NilError(t, err)
	fmt.Println("from", conn.LocalAddr())
	for err == nil {
		_, err = conn.Write(make([]byte, 1<<20))
	}
}

// A client that is killed in the midst of a write closes in good order, as far
// as the server can tell: its kernel sends what it has, and a FIN.
func TestTCPServerCloseEventKilledClient(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/close_event", "-addr", "127.0.0.1:0")
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestTCPServerCloseEventVictim$", "-test.count=1")
	cmd.Env = append(os.Environ(), victim+"="+server.Ready())
	client := harness.Command(t, h, cmd)
	from := client.Line(`from (\S+)`)[0]
	freeze(t, server) // nobody reads now: the client will be in a write
	awaitFull(t, h, from)
	client.Signal(syscall.SIGKILL)
	client.Exit(-1)
	server.Signal(syscall.SIGCONT)
	server.Line(from + ` closed`)
	server.Stop()
}

func TestTCPServerPipeDescriptors(t *testing.T) {
	t.Parallel()
	pipeServer.testDescriptors(t)
}

// inFolder starts a section of the chapter as a shell in that folder does, or as
// bazel run does: from elsewhere, with the folder in BUILD_WORKING_DIRECTORY.
func inFolder(t *testing.T, on *lab.Host, bazel bool, dir, section string, args ...string) *harness.Program {
	t.Helper()
	p := harness.Start(t, on, "tcp_server/"+section, "-addr", "127.0.0.1:0", "-to", os.DevNull)
	p.Ready()
	binary, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.Pid()))
	assert.NilError(t, err)
	p.Stop()

	cmd := exec.Command(binary, args...)
	if cmd.Dir = dir; bazel {
		cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "BUILD_WORKING_DIRECTORY="+dir)
	}
	p = harness.Command(t, on, cmd)
	p.Section = "tcp_server/" + section
	return p
}

// With nothing but the defaults: the file is in the folder where one has typed
// the command, go run or bazel run.
func TestTCPServerPipeTranscript(t *testing.T) {
	t.Parallel()
	for _, bazel := range []bool{false, true} {
		h := lab.NewHost(t, "h")
		dir := t.TempDir()
		server := inFolder(t, h, bazel, dir, "pipe")
		server.Line(`listening on 127\.0\.0\.1:8080`)
		client := harness.Start(t, h, "tcp_client/client")
		from := client.Line(`connected to \S+ from (\S+)`)[0]
		client.Line(`sent 5 bytes: "hello"`)
		client.Line(`closed`)
		client.Exit(0)
		server.Line(from + ` piped 5 bytes`)
		server.Stop()
		assert.Equal(t, contents(t, filepath.Join(dir, "message.txt")), "hello")
		harness.Transcript(t, "tcp_server/pipe.txt", server, client)
	}
}

// No room in the file: it costs the connection, whose client learns of it by a
// reset if it still sends; it is reported, and the next is served as well.
func testPipeFullDisk(t *testing.T, section string, args ...string) {
	t.Helper()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/"+section, append(args, "-addr", "127.0.0.1:0", "-to", "/dev/full")...)
	addr := server.Ready()
	want := ""
	for range 2 {
		client := dialTCP(t, h, addr)
		var err error
		for err == nil {
			_, err = client.Write(noise(65536))
		}
		assert.Assert(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), "%v", err)
		if server.Line(of(client) + `piped 0 bytes`); section == "unpipe" {
			server.Line(of(client) + `closed`)
		}
		want += fmt.Sprintf(`%s: writeto tcp %s->%s: write /dev/full: no space left on device\n`, section,
			regexp.QuoteMeta(addr), regexp.QuoteMeta(client.LocalAddr().String()))
	}
	server.Signal(syscall.SIGTERM)
	server.Await("closed")
	server.ExitSaying(0, want)
}

func TestTCPServerPipeFullDisk(t *testing.T) {
	t.Parallel()
	testPipeFullDisk(t, "pipe")
}

// bytesRead returns how many bytes have gone through read(2), by its name in
// /proc: a process or thread-self (proc_pid_io(5)).
func bytesRead(t *testing.T, who string) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/" + who + "/io")
	assert.NilError(t, err)
	_, err = fmt.Sscanf(string(text), "rchar: %d", &n)
	assert.NilError(t, err)
	return n
}

// io.Copy splices a connection into a file, so that no byte of it passes through
// the program, but not into one that is open for appending: splice(2) refuses.
func TestTCPServerPipeSplicesNot(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	const size = 8 << 20
	send := func(addr string) *net.TCPConn {
		client := dialTCP(t, h, addr)
		go func() {
			client.Write(noise(size))
			client.CloseWrite()
		}()
		return client
	}

	server := pipeServer.start(t, h, "-addr", "127.0.0.1:0")
	addr := server.Ready()
	before := bytesRead(t, fmt.Sprint(server.Pid()))
	client := send(addr)
	server.Line(of(client) + fmt.Sprintf(`piped %d bytes`, size))
	assert.Assert(t, bytesRead(t, fmt.Sprint(server.Pid()))-before >= size)
	server.Stop()

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ln := listenTCP(t, h, "127.0.0.1:0")
	for flag, spliced := range map[int]bool{0: true, os.O_APPEND: false} {
		file, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), os.O_WRONLY|os.O_CREATE|flag, 0o600)
		assert.NilError(t, err)
		defer file.Close()
		send(ln.Addr().String())
		conn := acceptTCP(t, ln)
		before := bytesRead(t, "thread-self")
		n, err := io.Copy(file, conn)
		assert.NilError(t, err)
		assert.Equal(t, n, int64(size))
		assert.Equal(t, bytesRead(t, "thread-self")-before < size/2, spliced)
	}
}

func TestTCPServerUnpipeDescriptors(t *testing.T) {
	t.Parallel()
	unpipeServer.testDescriptors(t)
}

func TestTCPServerUnpipeFullDisk(t *testing.T) {
	t.Parallel()
	testPipeFullDisk(t, "unpipe", "-after", "1h")
}

// What comes after the unpipe does not reach the file.
func TestTCPServerUnpipeTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	dir := t.TempDir()
	server := inFolder(t, h, true, dir, "unpipe", "-after", "1s")
	addr := server.Ready()
	freeze(t, server) // however busy the machine: this is there before the second begins
	client := dialTCP(t, h, addr)
	arrive(t, h, client, "hello")
	server.Signal(syscall.SIGCONT)
	server.Line(of(client) + `unpiped after 5 bytes`)
	arrive(t, h, client, "and goodbye")
	assert.Equal(t, contents(t, filepath.Join(dir, "message.txt")), "hello")
	assert.NilError(t, client.Close())
	server.Line(of(client) + `closed`)
	server.Stop()
	assert.Equal(t, contents(t, filepath.Join(dir, "message.txt")), "hello")
	harness.Transcript(t, "tcp_server/unpipe.txt", server)
}

// busy returns for how long a program has used a processor
// (clock_getcpuclockid(3): the clock of a process is made of its id).
func busy(t *testing.T, p *harness.Program) time.Duration {
	t.Helper()
	var used unix.Timespec
	assert.NilError(t, unix.ClockGettime(int32(^p.Pid()<<3|2), &used))
	return time.Duration(used.Nano())
}

// unreadBytes returns what is unread in a program's one connection, without reading it.
func unreadBytes(t *testing.T, p *harness.Program) []byte {
	t.Helper()
	for _, fd := range socketsOf(t, p) {
		if _, err := unix.Getpeername(fd); err != nil {
			continue // the listener
		}
		data := make([]byte, 64<<20)
		n, _, err := unix.Recvfrom(fd, data, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		assert.NilError(t, err)
		return data[:n]
	}
	t.Fatal("no connection")
	return nil
}

// A client that sends as fast as it can is cut off in the midst of it: each byte
// is in the file or in the kernel's queue, none in both, none in neither; from
// then on the queue grows until it is full, and the file never does. The server
// sleeps meanwhile. A FIN does not get past the full queue; a reset does.
func TestTCPServerUnpipeMidstream(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	file := filepath.Join(t.TempDir(), "message.txt")
	server := harness.Start(t, h, "tcp_server/unpipe", "-addr", "127.0.0.1:0", "-after", "50ms", "-to", file)
	addr := server.Ready()
	client := dialTCP(t, h, addr)
	data := noise(1 << 20)
	sent := make(chan error)
	go func() {
		for {
			if _, err := client.Write(data); err != nil {
				sent <- err
				return
			}
		}
	}()
	var n int
	_, err := fmt.Sscan(server.Line(of(client) + `unpiped after (\d+) bytes`)[0], &n)
	assert.NilError(t, err)
	piped := contents(t, file)
	assert.Equal(t, len(piped), n)
	unread := awaitFull(t, h, client.LocalAddr().String())
	queued := unreadBytes(t, server)
	assert.Assert(t, len(queued) >= unread) // a probe of the window may carry a little more
	all := append([]byte(piped), queued...)
	for i := 0; i < len(all); i += len(data) {
		piece := all[i:min(i+len(data), len(all))]
		assert.Assert(t, bytes.Equal(piece, data[:len(piece)]), "at %d of %d + %d", i, n, len(queued))
	}

	begin, before := time.Now(), busy(t, server)
	awaitKernel(t, "a while", func() bool { return time.Since(begin) > 200*time.Millisecond })
	assert.Assert(t, busy(t, server)-before < 50*time.Millisecond)

	assert.NilError(t, client.CloseWrite())
	<-sent
	other := dialTCP(t, h, addr)
	server.Line(of(other) + `unpiped after 0 bytes`)
	assert.NilError(t, other.Close())
	server.Line(of(other) + `closed`) // and not a word on the client
	assert.Assert(t, unreadOf(t, h, client.LocalAddr().String()) >= len(queued))
	assert.Equal(t, contents(t, file), piped)
	reset(t, client)
	server.Line(of(client) + `closed`)
	server.Stop()
	assert.Equal(t, contents(t, file), piped)
}

// The server learns that its client has gone without reading what it left.
func TestTCPServerUnpipePeerLeaves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		left  []string
		leave func(*testing.T, *net.TCPConn)
	}{
		{"FIN", nil, func(t *testing.T, c *net.TCPConn) { assert.NilError(t, c.CloseWrite()) }},
		{"FIN after data", []string{"x", "yz"}, func(t *testing.T, c *net.TCPConn) { assert.NilError(t, c.CloseWrite()) }},
		{"reset", nil, reset},
		{"reset after data", []string{"x", "yz"}, reset},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			file := filepath.Join(t.TempDir(), "message.txt")
			server := harness.Start(t, h, "tcp_server/unpipe", "-addr", "127.0.0.1:0", "-after", "0s", "-to", file)
			client := dialTCP(t, h, server.Ready())
			server.Line(of(client) + `unpiped after 0 bytes`)
			arrive(t, h, client, c.left...)
			c.leave(t, client)
			server.Line(of(client) + `closed`)
			server.Stop()
			assert.Equal(t, contents(t, file), "")
		})
	}
}

// A signal ends it with a connection unpiped and data unread.
func TestTCPServerUnpipeStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/unpipe", "-addr", "127.0.0.1:0", "-after", "0s", "-to", os.DevNull)
	client := dialTCP(t, h, server.Ready())
	server.Line(of(client) + `unpiped after 0 bytes`)
	arrive(t, h, client, "unread")
	server.Stop()
	_, err := client.Read(make([]byte, 1))
	assert.Assert(t, errors.Is(err, syscall.ECONNRESET), "%v", err)
}

func TestTCPServerPauseResumeDescriptors(t *testing.T) {
	t.Parallel()
	pauseResumeServer.testDescriptors(t)
}

// onSocket calls f with a connection's descriptor.
func onSocket(t *testing.T, conn *net.TCPConn, f func(fd int) error) {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	var failed error
	assert.NilError(t, raw.Control(func(fd uintptr) { failed = f(int(fd)) }))
	assert.NilError(t, failed)
}

// While the server is paused the client comes to a stand: the server's queue is
// full, the window it announces to the client is shut, and the client's kernel
// holds what it may not send. After, every byte arrives.
func TestTCPServerPauseResumeStall(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/pause_resume", "-addr", "127.0.0.1:0", "-pause", "5s")
	begin := time.Now()
	client := dialTCP(t, h, server.Ready())
	server.Line(of(client) + `paused`)

	const size = 64 << 20
	var sent atomic.Int64
	done := make(chan error)
	go func() {
		for piece := noise(1 << 16); sent.Load() < size; {
			n, err := client.Write(piece)
			sent.Add(int64(n))
			if err != nil {
				done <- err
				return
			}
		}
		done <- client.CloseWrite()
	}()
	state := func() (outq int, info *unix.TCPInfo) {
		onSocket(t, client, func(fd int) (err error) {
			if info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				outq, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
			}
			return err
		})
		return outq, info
	}
	outq, info := state()
	awaitKernel(t, "the window is open", func() bool {
		outq, info = state()
		return info.Notsent_bytes > 0 && info.Snd_wnd < info.Snd_mss // not room for one segment
	})
	stuck := sent.Load()
	assert.Assert(t, stuck < size)
	assert.Assert(t, outq >= int(info.Notsent_bytes))
	t.Logf("%d written, %d not acknowledged, %d not sent, window %d", stuck, outq, info.Notsent_bytes, info.Snd_wnd)

	server.Line(of(client) + `resumed`)
	assert.Assert(t, time.Since(begin) >= 5*time.Second)
	assert.NilError(t, <-done)
	assert.Equal(t, sent.Load(), int64(size))
	server.Line(of(client) + fmt.Sprintf(`ended after %d bytes`, size))
	_, err := client.Read(make([]byte, 1))
	assert.Equal(t, err, io.EOF)
	outq, _ = state()
	assert.Equal(t, outq, 0)
	server.Stop()
}

func TestTCPServerTimeoutDescriptors(t *testing.T) {
	t.Parallel()
	timeoutServer.testDescriptors(t)
}

// A write has all of the time, too, however long the read before it has waited.
// With room for next to nothing on the way, the echo takes until the client reads.
func TestTCPServerTimeoutSlowReader(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second // 1.2 of which the machine may be busy elsewhere
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-addr", "127.0.0.1:0", "-timeout", timeout.String())
	addr := server.Ready()
	narrow := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) { // before it announces a window
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
		return err
	}}
	var conn net.Conn
	var err error
	h.Do(func() { conn, err = narrow.Dial("tcp", addr) })
	assert.NilError(t, err)
	client := ours(t, conn.(*net.TCPConn))
	tell(t, client, "hello")
	_, err = io.ReadFull(client, make([]byte, 5))
	assert.NilError(t, err) // accepted
	for _, fd := range socketsOf(t, server) {
		assert.NilError(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4096))
	}
	stay(t, client, timeout*6/10)
	data := noise(60000)
	_, err = client.Write(data)
	assert.NilError(t, err)
	// Nothing is read for a while. This socket hears of nothing else.
	other := dialTCP(t, h, addr)
	stay(t, other, timeout*6/10)
	got := make([]byte, len(data))
	_, err = io.ReadFull(client, got)
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(got, data))
	server.Line(of(other) + `timed out after 3s`)
	server.Line(of(client) + `timed out after 3s`)
	server.Stop()
}
