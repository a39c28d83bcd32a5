package tcp_server

import (
	"bytes"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

func TestTimeoutDescriptors(t *testing.T) {
	t.Parallel()
	peer.TimeoutServer.Exhausted(t)
}

// A write has all of the time, too, however long the read before it has waited.
// With room for next to nothing on the way, the echo takes until the client reads.
func TestTimeoutSlowReader(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second // 1.2 of which the machine may be busy elsewhere
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-addr", "127.0.0.1:0", "-timeout", timeout.String())
	addr := server.Ready()
	narrow := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) { // before it announces a window
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
		return err
	}}
	var conn net.Conn
	var err error
	h.Do(func() { conn, err = narrow.Dial("tcp", addr) })
	assert.NilError(t, err)
	client := peer.Ours(t, conn.(*net.TCPConn))
	peer.Write(t, client, "hello")
	_, err = io.ReadFull(client, make([]byte, 5))
	assert.NilError(t, err) // accepted
	for _, fd := range peer.SocketsOf(t, server) {
		assert.NilError(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4096))
	}
	stay(t, client, timeout*6/10)
	data := peer.Noise(60000)
	_, err = client.Write(data)
	assert.NilError(t, err)
	// Nothing is read for a while. This socket hears of nothing else.
	other := peer.DialTCP(t, h, addr)
	stay(t, other, timeout*6/10)
	got := make([]byte, len(data))
	_, err = io.ReadFull(client, got)
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(got, data))
	server.Line(peer.Of(other) + `timed out after 3s`)
	server.Line(peer.Of(client) + `timed out after 3s`)
	server.Stop()
}

// After the silence FIN comes from the server.
func TestTimeoutWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/timeout", "-timeout", "200ms")
	conn := peer.DialTCP(t, client, peer.Here)
	io.Copy(io.Discard, conn)
	conn.Close()
	p.Await(`.* timed out after 200ms`)
	peer.Drawn(t, "timeout", c.Await("both FINs", peer.Seen(wire.FIN, 2)))
	p.Stop()
}
