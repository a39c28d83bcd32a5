package integration

import (
	"fmt"
	"os"
	"path/filepath"
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

// socketsOf returns duplicates of a program's sockets, in the order of its
// descriptors, so that a test can ask the kernel about them (getsockopt(2),
// ioctl(2)) rather than believe the program. They are closed when the test
// ends, but while they are open the program's own close has no effect on the
// wire: let them go sooner where that matters (see letGo).
func socketsOf(t *testing.T, p *harness.Program) (fds []int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", p.Pid())
	entries, err := os.ReadDir(dir)
	assert.NilError(t, err)
	pidfd, err := unix.PidfdOpen(p.Pid(), 0)
	assert.NilError(t, err)
	defer unix.Close(pidfd)
	for _, entry := range entries {
		target, err := os.Readlink(dir + "/" + entry.Name())
		if err != nil || !strings.HasPrefix(target, "socket:") {
			continue
		}
		theirs, err := strconv.Atoi(entry.Name())
		assert.NilError(t, err)
		fd, err := unix.PidfdGetfd(pidfd, theirs, 0)
		assert.NilError(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		fds = append(fds, fd)
	}
	return fds
}

// letGo closes a duplicate of a socket. Its number stays taken until the test's
// clean-up closes it: by then it might be that of another test's.
func letGo(t *testing.T, fd int) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	assert.NilError(t, err)
	defer null.Close()
	assert.NilError(t, unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC))
}

// freeze stops a program until SIGCONT, and returns once none of its threads
// runs any more: a signal is sent before it has an effect.
func freeze(t *testing.T, p *harness.Program) {
	t.Helper()
	p.Signal(unix.SIGSTOP)
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid()))
		if err != nil || len(stats) == 0 {
			return poll.Error(fmt.Errorf("%s has no threads: %v", p.Section, err))
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

// What the server says of its socket is what the kernel has.
func TestMulticastServerOptions(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "multicast/server", "-ttl", "7", "-loopback=false", "-interval", "1h")
	sending(server, notesGroup, "lo", 7, "off")
	server.Line(`sent .*`)
	fds := socketsOf(t, server)
	assert.Equal(t, len(fds), 1)
	for option, want := range map[int]int{unix.IP_MULTICAST_TTL: 7, unix.IP_MULTICAST_LOOP: 0} {
		got, err := unix.GetsockoptInt(fds[0], unix.IPPROTO_IP, option)
		assert.NilError(t, err)
		assert.Equal(t, got, want)
	}
	server.Stop()
}
