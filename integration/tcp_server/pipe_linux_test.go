package tcp_server

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

func TestPipeDescriptors(t *testing.T) {
	t.Parallel()
	peer.PipeServer.Exhausted(t)
}

// With nothing but the defaults: the file is in the folder where one has typed
// the command, go run or bazel run.
func TestPipeTranscript(t *testing.T) {
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
		harness.Transcript(t, "pipe.txt", server, client)
	}
}

func TestPipeFullDisk(t *testing.T) {
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
func TestPipeSplicesNot(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	const size = 8 << 20
	send := func(addr string) *net.TCPConn {
		client := peer.DialTCP(t, h, addr)
		go func() {
			client.Write(peer.Noise(size))
			client.CloseWrite()
		}()
		return client
	}

	server := peer.PipeServer.Start(t, h, "-addr", "127.0.0.1:0")
	addr := server.Ready()
	before := bytesRead(t, fmt.Sprint(server.Pid()))
	client := send(addr)
	server.Line(peer.Of(client) + fmt.Sprintf(`piped %d bytes`, size))
	assert.Assert(t, bytesRead(t, fmt.Sprint(server.Pid()))-before >= size)
	server.Stop()

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ln := peer.ListenTCP(t, h, "127.0.0.1:0")
	for flag, spliced := range map[int]bool{0: true, os.O_APPEND: false} {
		file, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), os.O_WRONLY|os.O_CREATE|flag, 0o600)
		assert.NilError(t, err)
		defer file.Close()
		send(ln.Addr().String())
		conn := peer.AcceptTCP(t, ln)
		before := bytesRead(t, "thread-self")
		n, err := io.Copy(file, conn)
		assert.NilError(t, err)
		assert.Equal(t, n, int64(size))
		assert.Equal(t, bytesRead(t, "thread-self")-before < size/2, spliced)
	}
}
