package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

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
	begin, before := time.Now(), processorTime(t, server)
	for range 4 {
		server.Await(full)
	}
	// Each took a pause of half a second; the first may have been read late.
	took, used := time.Since(begin), processorTime(t, server)-before
	assert.Assert(t, took > time.Second, "five failures within %v", took)
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
