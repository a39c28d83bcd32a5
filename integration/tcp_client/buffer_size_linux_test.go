package tcp_client

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// queue asks the kernel how much a plain socket of the test has in a queue.
func queue(t *testing.T, conn *net.TCPConn, which uint) int {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	var n uint32
	assert.NilError(t, raw.Control(func(fd uintptr) { n, err = unix.IoctlGetUint32(int(fd), which) }))
	assert.NilError(t, err)
	return int(n)
}

// The program against a peer that never reads, as the page shows it. The
// numbers are the kernel's and differ from one to the next; once it is checked
// that they fit together, the text has those of the machine it was written on.
func TestBufferSizeTranscript(t *testing.T) {
	harness.NotNode(t, "Node's write does not wait")
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	begin := time.Now()
	client := harness.Start(t, h, "tcp_client/buffer_size")
	from := connectedFrom(client, ln.Addr())
	remote := peer.AcceptTCP(t, ln)
	sendBuffer, queued, wrote := bufferSizes(t, client)
	client.Exit(0)
	assert.Assert(t, time.Since(begin) >= 1200*time.Millisecond, "a peer that is slow would look the same")
	assert.Equal(t, queue(t, remote, unix.SIOCINQ), wrote-queued)
	assert.Assert(t, queued <= sendBuffer && wrote < 64<<20, "%d %d %d", sendBuffer, queued, wrote)

	text := "$ ./bazelw run //tcp_client:buffer_size\n" + strings.Join(client.Lines(), "")
	golden.Assert(t, strings.NewReplacer(
		from+"\n", "127.0.0.1:50001\n",
		fmt.Sprintf("send buffer %d ", sendBuffer), "send buffer 4194304 ",
		fmt.Sprintf("queued %d ", queued), "queued 4163072 ",
		fmt.Sprintf("wrote %d ", wrote), "wrote 4291584 ",
	).Replace(text), "buffer_size.txt")
}

// The numbers are the kernel's: those of its socket, and what is not queued
// with it is waiting at the peer. What was taken arrives, though the program
// has ended.
func TestBufferSizeIsTheKernels(t *testing.T) {
	harness.NotNode(t, "Node's write does not wait")
	t.Parallel()
	for name, host := range map[string]func(*testing.T) *lab.Host{
		"as it is":      func(t *testing.T) *lab.Host { return lab.NewHost(t, "h") },
		"small buffers": smallBuffers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			client, ln, unblock := connectingBy(t, h, "buffer_size")
			fd := clientSocket(t, client) // outlives the program
			unblock()
			remote := peer.AcceptTCP(t, ln) // the SYN is sent again after a second
			connectedFrom(client, ln.Addr())
			sendBuffer, queued, wrote := bufferSizes(t, client)
			client.Exit(0)

			assert.Equal(t, tcpOption(t, fd, unix.SOL_SOCKET, unix.SO_SNDBUF), sendBuffer)
			var err error
			var least, first, most int
			h.Do(func() {
				var text []byte
				if text, err = os.ReadFile("/proc/sys/net/ipv4/tcp_wmem"); err == nil {
					_, err = fmt.Sscan(string(text), &least, &first, &most)
				}
			})
			assert.NilError(t, err)
			assert.Assert(t, sendBuffer <= most && (sendBuffer > first || first == most), "%d of %d to %d", sendBuffer, first, most)
			outq, err := unix.IoctlGetUint32(fd, unix.SIOCOUTQ)
			assert.NilError(t, err)
			assert.Equal(t, int(outq), queued)
			assert.Equal(t, queue(t, remote, unix.SIOCINQ), wrote-queued)
			assert.Assert(t, wrote > queued && queued > 0)
			awaitShutWindow(t, h, peer.TCPPort(remote.RemoteAddr()), peer.TCPPort(remote.LocalAddr()))
			_, err = unix.Write(fd, []byte("x"))
			assert.ErrorIs(t, err, unix.EAGAIN) // it still takes no more

			peer.LetGo(t, fd)
			assert.Equal(t, len(readToFIN(t, remote)), wrote)
		})
	}
}

// A program can have less under way: SetWriteBuffer ends the growth, at about twice its number,
// and TCP_NOTSENT_LOWAT leaves little that has not been sent.
func TestBufferSizeLess(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:0")
	full := func(set func(conn *net.TCPConn) error) (queued, unsent int) {
		conn := peer.DialTCP(t, h, ln.Addr().String())
		peer.AcceptTCP(t, ln) // and never reads
		assert.NilError(t, set(conn))
		raw, err := conn.SyscallConn()
		assert.NilError(t, err)
		peer.Until(t, "the window is shut, and the kernel takes no more", func() bool {
			shut := slices.ContainsFunc(peer.TCPSockets(t, h), func(s peer.TCPSocket) bool {
				return s.Local == peer.TCPPort(conn.LocalAddr()) && s.Sending > 0 && s.Timer == 4
			})
			more := 0
			assert.NilError(t, raw.Control(func(fd uintptr) {
				var n int
				for err = nil; err == nil; more += max(n, 0) {
					n, err = unix.Write(int(fd), make([]byte, 4096))
				}
			}))
			assert.ErrorIs(t, err, unix.EAGAIN)
			return shut && more == 0
		})
		return queue(t, conn, unix.SIOCOUTQ), queue(t, conn, unix.SIOCOUTQNSD)
	}
	usual, _ := full(func(*net.TCPConn) error { return nil })
	queued, _ := full(func(conn *net.TCPConn) error { return conn.SetWriteBuffer(32768) })
	assert.Assert(t, usual > 1<<19 && 0 < queued && queued <= 65536+65536, "%d, %d", usual, queued) // a segment may go beyond it
	_, unsent := full(func(conn *net.TCPConn) (err error) {
		raw, _ := conn.SyscallConn()
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 16384) })
		return err
	})
	assert.Assert(t, unsent <= 16384+65536, "%d", unsent) // and a segment as large as lo takes
}

// Beyond net.core.wmem_max SetWriteBuffer has no effect, and no error.
func TestBufferSizeMost(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	var most int
	h.Do(func() {
		text, _ := os.ReadFile("/proc/sys/net/core/wmem_max")
		fmt.Sscan(string(text), &most)
	})
	lab.Require(t, "wmem_max", most > 0)
	conn := peer.DialTCP(t, h, peer.ListenTCP(t, h, "127.0.0.1:0").Addr().String())
	for _, n := range []int{most, most + 1<<20} {
		assert.NilError(t, conn.SetWriteBuffer(n))
		control(t, conn, func(fd int) { assert.Equal(t, tcpOption(t, fd, unix.SOL_SOCKET, unix.SO_SNDBUF), 2*most) })
	}
}

// Node's highWaterMark is the mark of its own queue.
func TestBufferSizeNodeMark(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	p := harness.NodeScript(t, h, `
const server = require('node:net').createServer({ highWaterMark: 1000 }, (socket) => {
  socket.cork() // else the kernel has it at once
  console.log(socket.write(Buffer.alloc(999)), socket.write(Buffer.alloc(1)))
  socket.destroy()
  server.close(() => console.log('closed'))
}).listen(8080, '127.0.0.1', () => console.log('listening'))
`)
	p.Line("listening")
	peer.DialTCP(t, h, "127.0.0.1:8080")
	p.Line("true false")
	p.Line("closed")
	p.Exit(0)
}

// What was sent counts as queued until it is acknowledged: from a peer that is
// cut off before the first byte, nothing ever is.
func TestBufferSizeCutOffPeer(t *testing.T) {
	harness.NotNode(t, "Node's write does not wait")
	t.Parallel()
	segment := lab.NewSegment(t, "segment")
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	segment.Join(t, a, "10.0.0.1/24")
	segment.Join(t, b, "10.0.0.2/24")
	client, ln, unblock := connectingTo(t, a, b, "10.0.0.2:8080", "buffer_size")
	peer.Freeze(t, client)
	unblock()
	peer.AcceptTCP(t, ln) // the SYN is sent again after a second
	b.Unplug(t, "eth0")
	client.Signal(syscall.SIGCONT)
	connectedFrom(client, ln.Addr())
	_, queued, wrote := bufferSizes(t, client)
	client.Exit(0)
	assert.Assert(t, wrote > 0)
	assert.Equal(t, queued, wrote)
}

// A peer that is slow is not one that does not read: each time the window is
// shut it makes some room, for longer than the program's patience altogether.
func TestBufferSizeSlowPeer(t *testing.T) {
	harness.NotNode(t, "Node's write does not wait")
	t.Parallel()
	h := smallBuffers(t)
	client, remote := dialledBy(t, h, "buffer_size", "-bytes", "1000000000000")
	buf := make([]byte, 32768)
	read := 0
	for begin := time.Now(); time.Since(begin) < 2*time.Second; {
		awaitShutWindow(t, h, peer.TCPPort(remote.RemoteAddr()), peer.TCPPort(remote.LocalAddr()))
		n, err := io.ReadFull(remote, buf)
		assert.NilError(t, err)
		read += n
	}
	_, queued, wrote := bufferSizes(t, client)
	client.Exit(0)
	assert.Assert(t, wrote > read)
	assert.Equal(t, queue(t, remote, unix.SIOCINQ), wrote-queued-read)
	assert.Equal(t, len(readToFIN(t, remote)), wrote-read)
}

// A signal between its questions to the kernel is no failure of the system's.
func TestBufferSizeSignal(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	peer.ListenTCP(t, h, "127.0.0.1:8080")
	p := peer.StartDeaf(t, h, "tcp_client/buffer_size", 1)
	p.AwaitLine()
	p.Signal(syscall.SIGTERM)
	peer.Until(t, "its socket is closed", func() bool { return p.Sockets() == 0 })
	lines := p.Hear()
	assert.Assert(t, strings.HasPrefix(lines[0], "send buffer "), "%q", lines)
	assert.Equal(t, lines[len(lines)-1], "closed", "%q", lines)
}

// What was taken is not delivered for certain once the program has ended: Linux
// drops a connection that nobody owns and whose peer does not read, when the pause
// between two probes has reached its greatest, two minutes unless tcp_rto_max_ms
// (Linux 6.15) says less. The peer then gets what its own kernel has, and a reset.
func TestBufferSizeOrphan(t *testing.T) {
	harness.NotNode(t, "Node's write does not wait")
	t.Parallel()
	h := smallBuffers(t)
	const greatest = "net/ipv4/tcp_rto_max_ms"
	_, err := os.Stat("/proc/sys/" + greatest)
	lab.Require(t, "tcp_rto_max_ms", err == nil)
	peer.SetSysctl(t, h, greatest, "1000")
	client, remote := dialledBy(t, h, "buffer_size")
	_, queued, wrote := bufferSizes(t, client)
	client.Exit(0)
	awaitGone(t, h, peer.TCPPort(remote.RemoteAddr()))
	data, err := io.ReadAll(remote)
	assert.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Equal(t, len(data), wrote-queued)
}
