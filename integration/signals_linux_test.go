package integration

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

// deaf is a section whose output nobody reads any more. It can say nothing, not
// even that it is closed, and so does not end.
type deaf struct {
	*harness.Program
	t       *testing.T
	section string
	process *os.Process
	out, in *os.File // its output's ends
}

// startDeaf starts a section and stops reading after so many lines. None that it
// still has to print can come before that if it waits for something first, or if
// lines is 0.
func startDeaf(t *testing.T, on *lab.Host, section string, lines int, args ...string) deaf {
	t.Helper()
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
	// The harness would go on reading.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `exec "$0" "$@" >&3 3>&-`, harness.Binary(t, section)}, args...)...)
	cmd.ExtraFiles = []*os.File{in}
	p := deaf{harness.Command(t, on, cmd), t, section, cmd.Process, out, in}
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

// awaitLine waits until the program has a line to say and cannot.
func (p deaf) awaitLine() {
	p.t.Helper()
	write := fmt.Sprintf("%d 0x1 ", unix.SYS_WRITE) // to stdout (proc_pid_syscall(5))
	until(p.t, "it prints", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", p.Pid()))
		assert.NilError(p.t, err)
		return slices.ContainsFunc(threads, func(thread string) bool {
			call, _ := os.ReadFile(thread) // it may have ended
			return strings.HasPrefix(string(call), write)
		})
	})
}

// sockets returns how many are open.
func (p deaf) sockets() int {
	p.t.Helper()
	return socketsAmong(descriptors(p.t, p.Program))
}

// hear reads again, and returns what the program says until its end, which has to
// be in good order.
func (p deaf) hear() (lines []string) {
	p.t.Helper()
	assert.NilError(p.t, p.in.Close())
	text, err := io.ReadAll(p.out)
	assert.NilError(p.t, err)
	p.Exit(0)
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", "")), "\n")
}

// hearClosed is hear for a program whose last word has to be "closed".
func (p deaf) hearClosed() {
	p.t.Helper()
	lines := p.hear()
	assert.Equal(p.t, lines[len(lines)-1], "closed", "%q", lines)
}

// kill is the second signal, and more if need be: a program may not have got round
// to leaving them to the system.
func (p deaf) kill() {
	p.t.Helper()
	until(p.t, "a signal kills it", func() bool { return p.process.Signal(syscall.SIGTERM) != nil })
	p.Exit(-1)
}

// testDeaf runs a test of every section that waits for a signal, deaf from the
// start, when it still has all its work before it, or after the last line that it
// prints unasked.
func testDeaf(t *testing.T, fromStart bool, test func(t *testing.T, p deaf)) {
	t.Parallel()
	const silent = "127.0.0.1:9" // accepts nothing, says nothing
	table := []struct {
		section string
		lines   int
		args    []string
	}{
		{"tcp_server/server", 1, nil},
		{"tcp_server/listen", 1, nil},
		{"tcp_server/address", 4, nil},
		{"tcp_server/connections", 1, nil},
		{"tcp_server/close", 1, nil},
		{"tcp_server/half_open", 1, nil},
		{"tcp_server/socket_address", 1, nil},
		{"tcp_server/read", 1, nil},
		{"tcp_server/close_event", 1, nil},
		{"tcp_server/pipe", 1, []string{"-to", os.DevNull}},
		{"tcp_server/unpipe", 1, []string{"-to", os.DevNull}},
		{"tcp_server/pause_resume", 1, nil},
		{"tcp_server/timeout", 1, nil},
		{"tcp_client/client", 2, []string{"-addr", silent}},
		{"tcp_client/write", 1, []string{"-addr", silent}},
		{"tcp_client/close", 2, []string{"-addr", silent}},
		{"tcp_client/unref", 2, []string{"-addr", silent}},
		{"tcp_client/buffer_size", 1, []string{"-addr", silent}},
		{"tcp_client/keepalive", 2, []string{"-addr", silent}},
		{"udp_server/server", 1, nil},
		{"udp_server/bind", 1, nil},
		{"udp_server/address", 4, nil},
		{"udp_client/client", 2, []string{"-addr", silent, "-timeout", "1h"}},
		{"udp_client/send", 1, []string{"-addr", silent}},
		{"broadcast/server", 2, []string{"-interval", "1h"}},
		{"broadcast/client", 1, nil},
		{"multicast/server", 2, []string{"-interval", "1h"}},
		{"multicast/client", 2, nil},
		{"multicast/membership", 2, []string{"-leave-after", "1h"}},
		{"multicast/source", 2, nil},
	}
	var sections []string
	for _, c := range table {
		sections = append(sections, c.section)
	}
	complete(t, "", sections, "multicast/loopback", "multicast/scopes", "multicast/ttl") // which end by themselves
	for _, c := range table {
		t.Run(c.section, func(t *testing.T) {
			t.Parallel()
			lab.Require(t, "namespaces", lab.Isolated())
			h := lab.NewHost(t, "h")
			listenTCP(t, h, silent)
			listenUDP(t, h, "udp", silent)

			if fromStart {
				c.lines = 0
			}
			p := startDeaf(t, h, c.section, c.lines, c.args...)
			test(t, p)
		})
	}
}

// The first signal asks a program to end, the second kills it, whatever it is at.
func TestSecondSignalKills(t *testing.T) {
	testDeaf(t, true, func(t *testing.T, p deaf) {
		p.awaitLine()
		p.Signal(syscall.SIGTERM)
		p.kill()
	})
}

// Who says that it is closed has closed its sockets.
func TestSignalClosesSockets(t *testing.T) {
	testDeaf(t, false, func(t *testing.T, p deaf) {
		assert.Equal(t, p.sockets(), 1)
		p.Signal(syscall.SIGTERM)
		until(t, "its socket is closed", func() bool { return p.sockets() == 0 })
		p.hearClosed()
	})
}

// A program that a signal meets between two steps goes on to the next, with its
// socket closed under it: no failure of that is its own, and none is told.
func TestSignalIsNoFailure(t *testing.T) {
	// These close when they get to it: once all is said they wait for the signal.
	later := []string{"tcp_server/listen", "tcp_server/address", "udp_server/bind", "udp_server/address", "broadcast/server", "multicast/server"}
	testDeaf(t, true, func(t *testing.T, p deaf) {
		p.awaitLine()
		p.Signal(syscall.SIGTERM)
		if !slices.Contains(later, p.section) {
			until(t, "its socket is closed", func() bool { return p.sockets() == 0 })
		}
		p.hearClosed()
	})
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
