package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

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
	process *os.Process
}

// kill is the second signal, and more if need be: a program may not have got round
// to leaving them to the system.
func (p deaf) kill() {
	p.t.Helper()
	until(p.t, "a signal kills it", func() bool { return p.process.Signal(syscall.SIGTERM) != nil })
	p.Exit(-1)
}

// testDeaf runs a test of every section that ends on a signal, deaf from its
// first line on, or from the last that it prints unasked.
func testDeaf(t *testing.T, fromFirst bool, test func(t *testing.T, p deaf)) {
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

			out, in, err := os.Pipe()
			assert.NilError(t, err)
			defer out.Close()
			defer in.Close()
			// The harness would go on reading.
			cmd := exec.Command("/bin/sh", append([]string{"-c", `exec "$0" "$@" >&3 3>&-`, harness.Binary(t, c.section)}, c.args...)...)
			cmd.ExtraFiles = []*os.File{in}
			p := deaf{harness.Command(t, h, cmd), t, cmd.Process}
			if fromFirst {
				c.lines = 1
			}
			for r := bufio.NewReaderSize(out, 16); c.lines > 0; c.lines-- {
				_, err := r.ReadString('\n')
				assert.NilError(t, err)
			}
			fill(t, in)
			test(t, p)
		})
	}
}

// The first signal asks a program to end, the second kills it, whatever it is at.
func TestSecondSignalKills(t *testing.T) {
	testDeaf(t, true, func(t *testing.T, p deaf) {
		p.Signal(syscall.SIGTERM)
		p.kill()
	})
}

// Who says that it is closed has closed its sockets.
func TestSignalClosesSockets(t *testing.T) {
	testDeaf(t, false, func(t *testing.T, p deaf) {
		open := func() int { return strings.Count(fmt.Sprint(descriptors(t, p.Program)), "socket:") }
		assert.Equal(t, open(), 1)
		p.Signal(syscall.SIGTERM)
		until(t, "its socket is closed", func() bool { return open() == 0 })
		p.kill()
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
