package tcp_client

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// Why the client reads while it writes: a plain socket that only writes to the
// echo server stalls, and stalls the server. Each end has more to send and no
// room for what it is sent. Reading sets both free.
func TestWriteDeadlockOfAWriterThatDoesNotRead(t *testing.T) {
	t.Parallel()
	h := smallBuffers(t)
	server := harness.Start(t, h, "tcp_server/server", "-addr", "127.0.0.1:0")
	conn := peer.DialTCP(t, h, server.Ready())
	here, there := peer.TCPPort(conn.LocalAddr()), peer.TCPPort(conn.RemoteAddr())

	data := peer.Noise(2 << 20)
	done := make(chan error)
	go func() {
		_, err := conn.Write(data)
		conn.CloseWrite()
		done <- err
	}()
	for range 2 { // each is still stuck when the other is
		awaitShutWindow(t, h, here, there)
		awaitShutWindow(t, h, there, here)
	}
	select {
	case err := <-done:
		t.Fatalf("the write ended: %v", err)
	default:
	}

	assert.Assert(t, readToFIN(t, conn) == string(data), "not what was written")
	assert.NilError(t, <-done)
	server.Stop()
}

// The client gets many times what all the buffers hold through that server.
func TestWriteReadsWhileItWrites(t *testing.T) {
	t.Parallel()
	h := smallBuffers(t)
	server := harness.Start(t, h, "tcp_server/server", "-addr", "127.0.0.1:0")
	client := harness.Start(t, h, "tcp_client/write", "-addr", server.Ready(), "-bytes", "2097152")
	client.Line(`connected to .*`)
	client.Line(`wrote 2097152 bytes in 32 writes`)
	client.Line(`received 2097152 bytes`)
	client.Line("closed")
	client.Exit(0)
	server.Stop()
}

// A write counts what the kernel has taken, and a peer that only reads gets all of that
// though the program has ended.
func TestWriteCountsWhatTheKernelTook(t *testing.T) {
	harness.NotNode(t, "Node counts what it has queued")
	t.Parallel()
	h := smallBuffers(t)
	client, remote := dialledBy(t, h, "write", "-bytes", "1000000000000", "-chunk", "1000")
	wrote := endWithShutWindow(t, h, client, remote)
	assert.Equal(t, len(readToFIN(t, remote)), wrote)
}

// endWithShutWindow ends the client while the peer has no room for what it has
// written, and returns how much that was.
func endWithShutWindow(t *testing.T, h *lab.Host, client *harness.Program, remote *net.TCPConn) (wrote int) {
	t.Helper()
	awaitShutWindow(t, h, peer.TCPPort(remote.RemoteAddr()), peer.TCPPort(remote.LocalAddr()))
	client.Signal(syscall.SIGTERM)
	fmt.Sscan(client.Line(`wrote (\d+) bytes in \d+ writes`)[0], &wrote)
	client.Line(`received 0 bytes`)
	client.Line("closed")
	client.Exit(0)
	return wrote
}

// To a peer that does not read the kernel offers the rest with growing pauses. When
// the pause is tcp_rto_max_ms, two minutes unless set, it gives the connection up:
// the peer gets what had reached its machine, and then an error.
func TestWriteLostWithThePeerNotReading(t *testing.T) {
	harness.NotNode(t, "Node counts what it has queued")
	t.Parallel()
	h := smallBuffers(t)
	const longest = "net/ipv4/tcp_rto_max_ms"
	text, err := os.ReadFile("/proc/sys/" + longest)
	lab.Require(t, "tcp_rto_max_ms", err == nil) // Linux 6.15
	assert.Equal(t, strings.TrimSpace(string(text)), "120000")
	peer.SetSysctl(t, h, longest, "1000")
	client, remote := dialledBy(t, h, "write", "-bytes", "1000000000000", "-chunk", "1000")
	wrote := endWithShutWindow(t, h, client, remote)
	losesTheRest(t, h, remote, wrote)
}

// losesTheRest has the peer read when the client's kernel has given up, and no sooner, as
// that makes room for more: it gets what had reached it, and then an error.
func losesTheRest(t *testing.T, h *lab.Host, remote *net.TCPConn, wrote int) {
	t.Helper()
	awaitGone(t, h, peer.TCPPort(remote.RemoteAddr()))
	got, err := io.ReadAll(remote)
	assert.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Assert(t, 0 < len(got) && len(got) < wrote, "%d of %d bytes", len(got), wrote)
}

// When the program has ended, whatever the peer sends is answered with RST, and what had
// not been sent by then is lost, though the peer reads.
func TestWriteLostWithThePeerSpeaking(t *testing.T) {
	harness.NotNode(t, "Node counts what it has queued")
	t.Parallel()
	h := smallBuffers(t)
	client, remote := dialledBy(t, h, "write", "-bytes", "1000000000000", "-chunk", "1000")
	wrote := endWithShutWindow(t, h, client, remote)
	peer.Write(t, remote, "x")
	losesTheRest(t, h, remote, wrote)
}

// nodeQueue has Node write until its write says false, to a peer that does not
// read, and then call a method of the socket's. It returns how much is queued, how
// much bytesWritten says, and how much the peer then gets; and of how much a
// callback says, without an error, that it is written.
func nodeQueue(t *testing.T, method string) (queued, bytesWritten, got, calledBack int) {
	t.Helper()
	h := smallBuffers(t)
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	node := harness.Node(t, h)("testdata/queue.js", method)
	remote := peer.AcceptTCP(t, ln)
	var mark, most int
	fmt.Sscan(node.Line(`mark (\d+)`)[0], &mark)
	if harness.NodeMajor(t) < 22 {
		assert.Equal(t, mark, 16<<10)
	} else {
		assert.Equal(t, mark, 64<<10)
	}
	fmt.Sscan(node.Line(`write returned true, (\d+) bytes queued`)[0], &most)
	said := node.Line(`write returned false, (\d+) bytes queued, bytesWritten (\d+)`)
	fmt.Sscan(said[0], &queued)
	fmt.Sscan(said[1], &bytesWritten)
	assert.Assert(t, 0 < most && most < mark && mark <= queued, "true with %d bytes, false with %d, the mark is %d", most, queued, mark)
	got = len(readToFIN(t, remote))
	remote.Close()
	fmt.Sscan(node.Line(`called back without an error: (\d+) bytes`)[0], &calledBack)
	node.Exit(0)
	return queued, bytesWritten, got, calledBack
}

// In Node write returns true with bytes queued, and false from the high-water mark
// on. bytesWritten counts what is queued, too: all of it arrives in the end.
func TestWriteNodeQueues(t *testing.T) {
	t.Parallel()
	queued, bytesWritten, got, calledBack := nodeQueue(t, "destroySoon")
	assert.Assert(t, queued < bytesWritten)
	assert.Equal(t, got, bytesWritten)
	assert.Equal(t, calledBack, bytesWritten)
}

// A write of 4000 bytes is three segments: the link takes 1500 bytes at a time,
// 52 of them headers.
func TestWriteWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/read")
	program := harness.Start(t, client, "tcp_client/write", "-addr", peer.Here, "-bytes", "8000", "-chunk", "4000")
	program.Await("closed")
	program.Exit(0)
	peer.Drawn(t, "write", c.Await("both FINs", peer.Seen(wire.FIN, 2)))
	p.Stop()
}
