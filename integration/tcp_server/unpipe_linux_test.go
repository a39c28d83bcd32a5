package tcp_server

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Before the cut it is as in pipe: a full disk is a reset.
func TestUnpipeFullDisk(t *testing.T) { testPipeFullDisk(t, "unpipe", "--after", "1000s") }

// A disk on which a part finds room: that part is counted, and a reset.
func TestUnpipeDiskFillsUp(t *testing.T) { testPipeDiskFillsUp(t, "unpipe", "--after", "1000s") }

// What comes after the unpipe does not reach the file.
func TestUnpipeTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	dir := t.TempDir()
	server := inFolder(t, h, true, dir, "unpipe", "-after", "1s")
	addr := server.Ready()
	peer.Freeze(t, server) // however busy the machine: this is there before the second begins
	client := peer.DialTCP(t, h, addr)
	arrive(t, h, client, "hello")
	server.Signal(syscall.SIGCONT)
	server.Line(peer.Of(client) + `unpiped after 5 bytes`)
	arrive(t, h, client, "and goodbye")
	assert.Equal(t, contents(t, filepath.Join(dir, "message.txt")), "hello")
	assert.NilError(t, client.Close())
	server.Line(peer.Of(client) + `closed`)
	server.Stop()
	assert.Equal(t, contents(t, filepath.Join(dir, "message.txt")), "hello")
	harness.Transcript(t, "unpipe.txt", server)
}

// busy returns for how long a program has used a processor
// (clock_getcpuclockid(3): the clock of a process is made of its id).
func busy(t *testing.T, p *harness.Program) time.Duration {
	t.Helper()
	var used unix.Timespec
	assert.NilError(t, unix.ClockGettime(int32(^p.Pid()<<3|2), &used))
	return time.Duration(used.Nano())
}

// unreadBytes returns what is unread in a program's one connection, that many bytes at
// most, without reading it.
func unreadBytes(t *testing.T, p *harness.Program, most int) []byte {
	t.Helper()
	for _, fd := range peer.SocketsOf(t, p) {
		if _, err := unix.Getpeername(fd); err != nil {
			continue // the listener
		}
		data := make([]byte, most)
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
// sleeps meanwhile. A FIN behind more data does not get past the full queue; a reset does.
func TestUnpipeMidstream(t *testing.T) {
	harness.NotNode(t, "Node reads ahead")
	t.Parallel()
	h := lab.NewHost(t, "h")
	size := peer.Overfill(t, h)
	file := filepath.Join(t.TempDir(), "message.txt")
	server := harness.Start(t, h, "tcp_server/unpipe", "-addr", "127.0.0.1:0", "-after", "50ms", "-to", file)
	addr := server.Ready()
	client := peer.DialTCP(t, h, addr)
	data := peer.Noise(1 << 20)
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
	_, err := fmt.Sscan(server.Line(peer.Of(client) + `unpiped after (\d+) bytes`)[0], &n)
	assert.NilError(t, err)
	piped := contents(t, file)
	assert.Equal(t, len(piped), n)
	unread := awaitFull(t, h, client.LocalAddr().String())
	queued := unreadBytes(t, server, size)
	assert.Assert(t, len(queued) >= unread) // a probe of the window may carry a little more
	all := append([]byte(piped), queued...)
	for i := 0; i < len(all); i += len(data) {
		piece := all[i:min(i+len(data), len(all))]
		assert.Assert(t, bytes.Equal(piece, data[:len(piece)]), "at %d of %d + %d", i, n, len(queued))
	}

	begin, before := time.Now(), busy(t, server)
	peer.Until(t, "a while has passed", func() bool { return time.Since(begin) > 200*time.Millisecond })
	assert.Assert(t, busy(t, server)-before < 50*time.Millisecond)

	assert.NilError(t, client.CloseWrite())
	<-sent
	other := peer.DialTCP(t, h, addr)
	server.Line(peer.Of(other) + `unpiped after 0 bytes`)
	assert.NilError(t, other.Close())
	server.Line(peer.Of(other) + `closed`) // and not a word on the client
	assert.Assert(t, unreadOf(t, h, client.LocalAddr().String()) >= len(queued))
	assert.Equal(t, contents(t, file), piped)
	peer.Reset(t, client)
	server.Line(peer.Of(client) + `closed`)
	server.Stop()
	assert.Equal(t, contents(t, file), piped)
}

// The server learns that its client has gone without reading what it left.
func TestUnpipePeerLeaves(t *testing.T) {
	harness.NotNode(t, "Node sees an end only when it has read all that comes before")
	t.Parallel()
	for _, c := range []struct {
		name  string
		left  []string
		leave func(*testing.T, *net.TCPConn)
		told  error // what the client reads then, if it can read
	}{
		{"FIN", nil, func(t *testing.T, c *net.TCPConn) { assert.NilError(t, c.CloseWrite()) }, io.EOF},
		{"FIN after data", []string{"x", "yz"}, func(t *testing.T, c *net.TCPConn) { assert.NilError(t, c.CloseWrite()) }, syscall.ECONNRESET},
		{"reset", nil, peer.Reset, nil},
		{"reset after data", []string{"x", "yz"}, peer.Reset, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			file := filepath.Join(t.TempDir(), "message.txt")
			server := harness.Start(t, h, "tcp_server/unpipe", "-addr", "127.0.0.1:0", "-after", "0s", "-to", file)
			client := peer.DialTCP(t, h, server.Ready())
			server.Line(peer.Of(client) + `unpiped after 0 bytes`)
			arrive(t, h, client, c.left...)
			c.leave(t, client)
			server.Line(peer.Of(client) + `closed`)
			if c.told != nil {
				_, err := client.Read(make([]byte, 1))
				assert.ErrorIs(t, err, c.told)
			}
			server.Stop()
			assert.Equal(t, contents(t, file), "")
		})
	}
}

// Node reads on, until its high-water mark is reached: 16000 bytes are below it,
// and one read of 64 KiB more is above, whether the mark is 16 KiB or 64.
func TestUnpipeNodeReadsAhead(t *testing.T) {
	harness.OnlyNode(t)
	t.Parallel()
	h := lab.NewHost(t, "h")
	file := filepath.Join(t.TempDir(), "message.txt")
	server := harness.Node(t, h)("tcp_server/unpipe", "--addr", "127.0.0.1:0", "--after", "0s", "--to", file)
	client := peer.DialTCP(t, h, server.Ready())
	server.Line(peer.Of(client) + `unpiped after 0 bytes`)
	fd := -1
	for _, one := range peer.SocketsOf(t, server) {
		if _, err := unix.Getpeername(one); err == nil {
			fd = one
		}
	}
	taken := func() int { // by Node, of what its kernel has received
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		assert.NilError(t, err)
		unread, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		assert.NilError(t, err)
		return int(info.Bytes_received) - unread
	}
	peer.Write(t, client, peer.Noise(16000))
	peer.Until(t, "it has read them", func() bool { return taken() == 16000 })

	peer.Freeze(t, server) // so that the next read finds more than it takes
	peer.Pour(t, client)
	awaitFull(t, h, client.LocalAddr().String())
	server.Signal(syscall.SIGCONT)
	peer.Until(t, "it has read 64 KiB more", func() bool { return taken() == 16000+65536 })
	awaitFull(t, h, client.LocalAddr().String())
	assert.Equal(t, taken(), 81536)
	assert.Equal(t, contents(t, file), "")
	server.Stop()
}
