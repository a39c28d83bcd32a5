package peer

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// Deaf is a section whose output nobody reads any more. It can say nothing, not
// even that it is closed, and so does not end.
type Deaf struct {
	*harness.Program
	t       *testing.T
	Section string
	process *os.Process
	out, in *os.File // its output's ends
}

// StartDeaf starts a section and stops reading after so many lines. None that it
// still has to print can come before that if it waits for something first, or if
// lines is 0.
func StartDeaf(t *testing.T, on *lab.Host, section string, lines int, args ...string) Deaf {
	t.Helper()
	cmd := exec.Command(harness.Binary(t, section), args...) // which may take long, to build it
	out, in, err := os.Pipe()
	assert.NilError(t, err)
	t.Cleanup(func() {
		out.Close()
		in.Close()
	})
	out.SetReadDeadline(time.Now().Add(harness.Patience()))
	if lines == 0 {
		fill(t, in)
	}
	cmd.Stdout = in // the harness would go on reading
	p := Deaf{harness.Command(t, on, cmd), t, section, cmd.Process, out, in}
	if lines == 0 {
		return p
	}
	for r := bufio.NewReaderSize(out, 16); lines > 0; lines-- {
		_, err := r.ReadString('\n')
		assert.NilError(t, err)
	}
	fill(t, in)
	return p
}

// AwaitLine waits until the program has a line to say and cannot.
func (p Deaf) AwaitLine() {
	p.t.Helper()
	write := fmt.Sprintf("%d 0x1 ", unix.SYS_WRITE) // to stdout (proc_pid_syscall(5))
	Until(p.t, "it prints", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", p.Pid()))
		assert.NilError(p.t, err)
		return slices.ContainsFunc(threads, func(thread string) bool {
			call, _ := os.ReadFile(thread) // it may have ended
			return strings.HasPrefix(string(call), write)
		})
	})
}

// Sockets returns how many are open.
func (p Deaf) Sockets() int {
	p.t.Helper()
	return SocketsAmong(Descriptors(p.t, p.Program))
}

// Hear reads again, and returns what the program says until its end, which has to
// be in good order.
func (p Deaf) Hear() (lines []string) {
	p.t.Helper()
	assert.NilError(p.t, p.in.Close())
	text, err := io.ReadAll(p.out)
	assert.NilError(p.t, err)
	p.Exit(0)
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", "")), "\n")
}

// HearClosed is Hear for a program whose last word has to be "closed".
func (p Deaf) HearClosed() {
	p.t.Helper()
	lines := p.Hear()
	assert.Equal(p.t, lines[len(lines)-1], "closed", "%q", lines)
}

// Kill is the second signal, and more if need be: a program may not have got round
// to leaving them to the system.
func (p Deaf) Kill() {
	p.t.Helper()
	Until(p.t, "a signal kills it", func() bool { return p.process.Signal(syscall.SIGTERM) != nil })
	p.Exit(-1)
}

// fill writes to a pipe until not a byte more goes in.
func fill(t *testing.T, in *os.File) {
	t.Helper()
	// Opened again, it does not block here, and still does for others.
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", in.Fd()), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	assert.NilError(t, err)
	defer unix.Close(fd)
	// A page takes a slot of its own; bytes also go where a slot has room (pipe(7)).
	for _, n := range []int{os.Getpagesize(), 1} {
		for err = nil; err == nil; {
			_, err = unix.Write(fd, make([]byte, n))
		}
		assert.ErrorIs(t, err, unix.EAGAIN)
	}
}
