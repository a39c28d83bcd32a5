package peer

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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

// SocketsAmong returns how many of a program's descriptors are sockets.
func SocketsAmong(descriptors []string) (n int) {
	for _, target := range descriptors {
		if strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// TCPSocket is a line of /proc/net/tcp (proc(5), the kernel's proc_net_tcp.rst).
type TCPSocket struct {
	Local, Remote, State, Timer int
	Sending, Unread             int // bytes in its queues
}

// TCPSockets returns a host's IPv4 sockets, their addresses cut to the ports.
func TCPSockets(t *testing.T, on *lab.Host) (sockets []TCPSocket) {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/tcp") })
	assert.NilError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		var s TCPSocket
		var slot, ip int
		_, err := fmt.Sscanf(line, "%d: %X:%X %X:%X %X %X:%X %X:",
			&slot, &ip, &s.Local, &ip, &s.Remote, &s.State, &s.Sending, &s.Unread, &s.Timer)
		assert.NilError(t, err, line)
		sockets = append(sockets, s)
	}
	return sockets
}

// TCPPort returns the port of a TCP address.
func TCPPort(addr net.Addr) int { return addr.(*net.TCPAddr).Port }

// Counter returns one of the kernel's counters of a host, as in "Icmp",
// "InDestUnreachs": /proc/net/snmp and netstat, names on one line and numbers on
// the next.
func Counter(t *testing.T, on *lab.Host, group, name string) int {
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

// Descriptors returns what a program has open, as in "socket:[123]".
func Descriptors(t *testing.T, p *harness.Program) (open []string) {
	t.Helper()
	for _, pid := range p.Pids() {
		dir := fmt.Sprintf("/proc/%d/fd/", pid)
		entries, err := os.ReadDir(dir)
		assert.NilError(t, err)
		for _, entry := range entries {
			if target, err := os.Readlink(dir + entry.Name()); err == nil {
				open = append(open, target)
			}
		}
	}
	return open
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

// SocketsOf returns duplicates of a program's sockets, in the order of its
// descriptors, so that a test can ask the kernel about them (getsockopt(2),
// ioctl(2)) rather than believe the program. They are closed when the test
// ends, but while they are open the program's own close has no effect on the
// wire: let them go sooner where that matters (see LetGo).
func SocketsOf(t *testing.T, p *harness.Program) (fds []int) {
	t.Helper()
	seen := map[string]bool{} // a foreign program's processes may share one
	for _, pid := range p.Pids() {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		entries, err := os.ReadDir(dir)
		assert.NilError(t, err)
		pidfd, err := unix.PidfdOpen(pid, 0)
		assert.NilError(t, err)
		defer unix.Close(pidfd)
		for _, entry := range entries {
			target, err := os.Readlink(dir + "/" + entry.Name())
			if err != nil || !strings.HasPrefix(target, "socket:") || seen[target] {
				continue
			}
			seen[target] = true
			theirs, err := strconv.Atoi(entry.Name())
			assert.NilError(t, err)
			fd, err := unix.PidfdGetfd(pidfd, theirs, 0)
			assert.NilError(t, err)
			t.Cleanup(func() { unix.Close(fd) })
			fds = append(fds, fd)
		}
	}
	return fds
}

// LetGo closes a duplicate of a socket. Its number stays taken until the test's
// clean-up closes it: by then it might be that of another test's.
func LetGo(t *testing.T, fd int) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	assert.NilError(t, err)
	defer null.Close()
	assert.NilError(t, unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC))
}

// Freeze stops a program until SIGCONT, and returns once none of its threads
// runs any more: a signal is sent before it has an effect.
func Freeze(t *testing.T, p *harness.Program) {
	t.Helper()
	p.Signal(unix.SIGSTOP)
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		var stats []string
		for _, pid := range p.Pids() {
			threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
			stats = append(stats, threads...)
		}
		if len(stats) == 0 {
			return poll.Error(fmt.Errorf("%s has no threads", p.Section))
		}
		for _, name := range stats {
			stat, err := os.ReadFile(name)
			if err != nil {
				return poll.Error(err)
			}
			_, state, _ := strings.Cut(string(stat), ") ") // proc(5)
			if !strings.HasPrefix(state, "T") {
				return poll.Continue("%s: %s", name, stat)
			}
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(time.Millisecond))
}

// Option asks the kernel for an option of a program's socket, the only one for
// which there is such an option and which is, or is not, listening.
func Option(t *testing.T, p *harness.Program, listening bool, level, name int) int {
	t.Helper()
	var got []int
	for _, fd := range SocketsOf(t, p) {
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

// OneProcessor starts sections so that Go, when it goes on after having been held up,
// comes to its timers before its sockets: with more processors it may be the other way.
func OneProcessor(t *testing.T, h *lab.Host) harness.Starter {
	return func(section string, args ...string) *harness.Program {
		cmd := exec.Command(harness.Binary(t, section), args...)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		return harness.Command(t, h, cmd)
	}
}

// HeldUp runs a test of what our programs do that go on after they were stopped, Go's as
// OneProcessor starts them.
func HeldUp(t *testing.T, test func(t *testing.T, h *lab.Host, start harness.Starter)) {
	t.Helper()
	harness.Ours(t, "how a program waits, and from when on, is its own affair")
	harness.Compare(t, func(t *testing.T, h *lab.Host, _ harness.Starter) { test(t, h, OneProcessor(t, h)) }, test)
}

// Polls tells whether a thread of a program waits for its sockets with a timeout, of
// no more than that (proc_pid_syscall(5), epoll_wait(2)).
func Polls(t *testing.T, p *harness.Program, most time.Duration) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", p.Pid()))
	assert.NilError(t, err)
	return slices.ContainsFunc(threads, func(thread string) bool {
		text, _ := os.ReadFile(thread) // it may have ended
		var call, epoll, events, n, ms uint64
		fmt.Sscanf(string(text), "%d %v %v %v %v", &call, &epoll, &events, &n, &ms)
		return call == unix.SYS_EPOLL_PWAIT && 0 < ms && ms <= uint64(most.Milliseconds())
	})
}
