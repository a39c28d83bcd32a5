package tcp_server

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

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

// A full disk: a reset, however little was sent.
func TestPipeFullDisk(t *testing.T) { testPipeFullDisk(t, "pipe") }

// A disk on which a part finds room: that part is counted, and a reset.
func TestPipeDiskFillsUp(t *testing.T) { testPipeDiskFillsUp(t, "pipe") }

// With a full disk the answer to 5 bytes is a reset.
func TestPipeFullDiskWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/pipe", "-to", "/dev/full")
	conn := peer.DialTCP(t, client, peer.Here)
	peer.Write(t, conn, "hello")
	_, err := conn.Read(make([]byte, 1))
	assert.ErrorIs(t, err, unix.ECONNRESET)
	peer.Drawn(t, "pipe_full_disk", c.Await("RST", peer.Seen(wire.RST, 1)))
	p.Signal(unix.SIGTERM)
	p.Await("closed")
	p.ExitSaying(0, `pipe: .*no space left on device\n`)
}

// Who is killed can do nothing any more: the reset has been arranged before.
func TestPipeKilled(t *testing.T) {
	harness.NotNode(t, "Node has no SO_LINGER")
	t.Parallel()
	h := lab.NewHost(t, "h")
	client, server := stored(t, h, harness.Go(t, h))
	server.Signal(unix.SIGKILL)
	server.Exit(-1)
	_, err := client.Read(make([]byte, 1))
	assert.ErrorIs(t, err, unix.ECONNRESET)
}

// An urgent byte is not the end. It is no part of the stream itself; what comes
// before and after it is.
func TestPipeUrgent(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		file := filepath.Join(t.TempDir(), "message.txt")
		server := start("tcp_server/pipe", "--addr", "127.0.0.1:0", "--to", file)
		client := peer.DialTCP(t, h, server.Ready())
		peer.Write(t, client, "before")
		urgent(t, client, '!')
		peer.Write(t, client, "after")
		assert.NilError(t, client.CloseWrite())
		server.Line(peer.Of(client) + `piped 11 bytes`)
		assert.Equal(t, contents(t, file), "beforeafter")
		server.Stop()
	})
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
// the program, and gets no further than an urgent byte: it waits there until the FIN.
// Into a file that is open for appending it does not: splice(2) refuses.
func TestPipeSplicesNot(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	const size = 2 << 20
	send := func(addr string) *net.TCPConn {
		client := peer.DialTCP(t, h, addr)
		go func() {
			client.Write(make([]byte, size))
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
	for _, c := range []struct {
		flag    int
		spliced bool
		urgent  string // what is copied of before, an urgent byte, and after
	}{{0, true, "before"}, {os.O_APPEND, false, "beforeafter"}} {
		open := func() *os.File {
			file, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), os.O_WRONLY|os.O_CREATE|c.flag, 0o600)
			assert.NilError(t, err)
			t.Cleanup(func() { file.Close() })
			return file
		}
		send(ln.Addr().String())
		conn := peer.AcceptTCP(t, ln)
		before := bytesRead(t, "thread-self")
		n, err := io.Copy(open(), conn)
		assert.NilError(t, err)
		assert.Equal(t, n, int64(size))
		assert.Equal(t, bytesRead(t, "thread-self")-before < size/2, c.spliced)

		client := peer.DialTCP(t, h, ln.Addr().String())
		peer.Write(t, client, "before")
		urgent(t, client, '!')
		peer.Write(t, client, "after")
		file, conn := open(), peer.AcceptTCP(t, ln)
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(file, conn)
			ended <- err
		}()
		peer.Until(t, "as much is copied as can be", func() bool { return contents(t, file.Name()) == c.urgent })
		assert.Equal(t, len(ended), 0, "Copy has not waited for the FIN")
		assert.NilError(t, client.CloseWrite())
		assert.NilError(t, <-ended)
		assert.Equal(t, contents(t, file.Name()), c.urgent)
	}
}
