package tcp_server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

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

func testExhausted(t *testing.T, section, reply, left string, args ...string) {
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
		conns[i] = peer.DialTCP(t, h, addr)
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
	assert.Assert(t, len(peer.Descriptors(t, server)) >= 64) // more if some were inherited

	for _, conn := range conns {
		peer.Write(t, conn, "hello")
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

// States of a connection, as in the kernel's include/net/tcp_states.h.
const (
	tcpEstablished = 1
	tcpSynSent     = 2
	tcpFinWait2    = 5
	tcpCloseWait   = 8
)

// queues returns how many bytes of a client are in the receive queue of the
// server's socket, accepted or not, and how many in the send queue of its own.
func queues(t *testing.T, on *lab.Host, client string) (unread, sending int) {
	t.Helper()
	port := int(netip.MustParseAddrPort(client).Port())
	for _, s := range peer.TCPSockets(t, on) {
		switch port {
		case s.Remote:
			unread = s.Unread
		case s.Local:
			sending = s.Sending
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
	peer.Until(t, "nothing moves", func() bool {
		now, sending := queues(t, on, client)
		if same++; now != unread || now == 0 || sending == 0 {
			unread, same = now, 0
		}
		return same == 20
	})
	return unread
}

// arrive writes each piece in a write of its own, and waits for each to be in
// the kernel's queue of the server's host.
func arrive(t *testing.T, on *lab.Host, client *net.TCPConn, pieces ...string) {
	t.Helper()
	want := unreadOf(t, on, client.LocalAddr().String())
	for _, piece := range pieces {
		peer.Write(t, client, piece)
		want += len(piece)
		peer.Until(t, "all has arrived", func() bool { return unreadOf(t, on, client.LocalAddr().String()) == want })
	}
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

// No room in the file: it costs the connection, whose client learns of it by a
// reset if it still sends; it is reported, and the next is served as well.
func testPipeFullDisk(t *testing.T, section string, args ...string) {
	t.Helper()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/"+section, append(args, "-addr", "127.0.0.1:0", "-to", "/dev/full")...)
	addr := server.Ready()
	want := ""
	for range 2 {
		client := peer.DialTCP(t, h, addr)
		var err error
		for err == nil {
			_, err = client.Write(peer.Noise(65536))
		}
		assert.Assert(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), "%v", err)
		if server.Line(peer.Of(client) + `piped 0 bytes`); section == "unpipe" {
			server.Line(peer.Of(client) + `closed`)
		}
		want += fmt.Sprintf(`%s: writeto tcp %s->%s: write /dev/full: no space left on device\n`, section,
			regexp.QuoteMeta(addr), regexp.QuoteMeta(client.LocalAddr().String()))
	}
	server.Signal(syscall.SIGTERM)
	server.Await("closed")
	server.ExitSaying(0, want)
}

// party is one of several connections of the client's.
func party(name string, conn net.Conn) wire.Party {
	return wire.Party{Name: name, Addr: conn.LocalAddr().String()}
}
