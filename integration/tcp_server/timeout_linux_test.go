package tcp_server

import (
	"bytes"
	"io"
	"net"
	"slices"
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

// narrow is a client whose kernel has room for next to nothing unread, and to
// which the server's can send that many bytes ahead.
func narrow(t *testing.T, h *lab.Host, server *harness.Program, addr string, ahead int) *net.TCPConn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) { // before it announces a window
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
		return err
	}}
	var conn net.Conn
	var err error
	h.Do(func() { conn, err = dialer.Dial("tcp", addr) })
	assert.NilError(t, err)
	client := peer.Ours(t, conn.(*net.TCPConn))
	peer.Echoes(t, client, "hello") // accepted
	for _, fd := range peer.SocketsOf(t, server) {
		// Node has others, of which the kernel knows no such size.
		if _, err := unix.Getpeername(fd); err == nil {
			assert.NilError(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, ahead))
		}
		peer.LetGo(t, fd)
	}
	return client
}

// pace is what a slow reader reads, ten times a second.
const pace = 1000

// A slow reader stays, though the whole takes more than twice the timeout: what it
// makes room for is activity. A write has all of the time, too, however long the
// read before it has waited.
func TestTimeoutSlowReader(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		const timeout = 3 * time.Second // longer than a busy machine lets a client wait
		server := start("tcp_server/timeout", "--addr", "127.0.0.1:0", "--timeout", timeout.String())
		client := narrow(t, h, server, server.Ready(), 4096)
		stay(t, client, timeout*6/10)
		data := peer.Noise(70 * pace)
		peer.Write(t, client, data)
		got := make([]byte, 0, len(data))
		wait := timeout * 6 / 10
		for begin := time.Now(); len(got) < len(data); wait = time.Second / 10 {
			<-time.After(wait)
			n, err := client.Read(got[len(got):min(len(got)+pace, len(data))])
			assert.NilError(t, err, "after %v and %d bytes", time.Since(begin), len(got))
			got = got[:len(got)+n]
		}
		assert.Assert(t, bytes.Equal(got, data))
		server.Line(peer.Of(client) + `timed out after ` + timeout.String())
		server.Stop()
	})
}

// slowly has the server fill all that there is between it and the client, and
// then reads a piece each time until the connection ends, or for that long.
func slowly(t *testing.T, client *net.TCPConn, piece int, each, long time.Duration) (read int, err error) {
	t.Helper()
	go func() { // little at a time: memory for all of it may take a busy machine a second
		chunk, err := make([]byte, 65536), error(nil)
		for err == nil {
			_, err = client.Write(chunk)
		}
	}()
	buf := make([]byte, piece)
	for begin := time.Now(); time.Since(begin) < long; read++ {
		<-time.After(each)
		if _, err := io.ReadFull(client, buf); err != nil {
			return read, err
		}
	}
	return read, nil
}

// Who reads a byte now and then looks idle: its kernel does not announce so
// little room.
func TestTimeoutDrops(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/timeout", "--addr", "127.0.0.1:0", "--timeout", "1s")
		client := narrow(t, h, server, server.Ready(), 4096)
		read := make(chan int)
		go func() {
			n, _ := slowly(t, client, 1, 20*time.Millisecond, harness.Patience())
			read <- n
		}()
		server.Line(peer.Of(client) + `timed out after 1s`)
		server.Stop()
		client.Close()
		assert.Assert(t, <-read > 1) // some 50, and fewer where the machine is busy
	})
}

// With much sent ahead Go keeps a slow reader, and Node does not: each Write of Go's
// looks for itself whether there is room by now. Node waits to be told that it can
// write again, for which a third of the send buffer has to be free.
func TestTimeoutNodeWaitsForRoom(t *testing.T) {
	const ahead = 200 << 10 // the least that net.core.wmem_max is by default, about
	harness.Compare(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/timeout", "--addr", "127.0.0.1:0", "--timeout", "2s")
		client := narrow(t, h, server, server.Ready(), ahead)
		_, err := slowly(t, client, pace, time.Second/10, 7*time.Second)
		assert.NilError(t, err)
		peer.Reset(t, client)
		const want = "timeout: .*connection reset by peer\n"
		server.Complaint(want)
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, want)
	}, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/timeout", "--addr", "127.0.0.1:0", "--timeout", "2s")
		client := narrow(t, h, server, server.Ready(), ahead)
		go slowly(t, client, pace, time.Second/10, harness.Patience())
		server.Line(peer.Of(client) + `timed out after 2s`)
		server.Stop()
	})
}

// A server that was stopped past its deadlines looks once more before it judges: who has
// sent something in time gets all of the time again, and who has left has not timed out.
func TestTimeoutStopped(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		timeout := harness.Patience() / 15 // longer than it takes all clients to come, also with the race detector
		server := start("tcp_server/timeout", "--addr", "127.0.0.1:0", "--timeout", timeout.String())
		addr := server.Ready()
		var clients []*net.TCPConn
		for range 20 { // the system may wake some for their data and some for their deadline
			clients = append(clients, peer.DialTCP(t, h, addr))
			peer.Write(t, clients[len(clients)-1], "hello")
		}
		for _, client := range clients { // accepted
			_, err := io.ReadFull(client, make([]byte, len("hello")))
			assert.NilError(t, err)
		}
		peer.Freeze(t, server)
		for i, client := range clients {
			switch i {
			case 0, 1, 2, 3: // some leave, by FIN
				assert.NilError(t, client.CloseWrite())
			case 4, 5, 6, 7: // or RST
				peer.Reset(t, client)
			default:
				peer.Write(t, client, "in time")
			}
		}
		left, clients := clients[:4], clients[8:]
		stay(t, clients[0], timeout*3/2)
		resumed := time.Now()
		server.Signal(syscall.SIGCONT)
		for _, client := range left {
			_, err := client.Read(make([]byte, 1))
			assert.Equal(t, err, io.EOF)
		}
		for _, client := range clients {
			got := make([]byte, len("in time"))
			_, err := io.ReadFull(client, got)
			assert.NilError(t, err)
		}
		var late []string
		for range clients {
			late = append(late, server.Await(`(\S+) timed out after ` + timeout.String())[0])
			assert.Assert(t, time.Since(resumed) >= timeout-time.Millisecond, "want all of the time again, not %v", time.Since(resumed))
		}
		for _, client := range clients {
			assert.Assert(t, slices.Contains(late, clientAddr(client)), "%v of %v", client.LocalAddr(), late)
		}
		const want = `(timeout: .*(connection reset by peer|ECONNRESET)\n){4}`
		server.Complaint(want)
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, want)
	})
}

// A server that was stopped past its deadline looks once more whether it can write, too:
// who has made room in time for all of the echo gets all of the time again.
func TestTimeoutStoppedRoom(t *testing.T) {
	peer.HeldUp(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		timeout := harness.Patience() / 15
		server := start("tcp_server/timeout", "--addr", "127.0.0.1:0", "--timeout", timeout.String())
		client := narrow(t, h, server, server.Ready(), 4096)
		data := peer.Noise(16 << 10) // more than the kernels keep, by less than they keep
		begin := time.Now()
		peer.Write(t, client, data)
		// At its end the first time counts a part of a write: only the second is of nothing.
		peer.Until(t, "its first time is over", func() bool { return time.Since(begin) > timeout*13/10 })
		peer.Freeze(t, server)
		peer.Until(t, "its second time is over", func() bool { return time.Since(begin) > timeout*23/10 })
		got := make([]byte, 0, len(data))
		peer.Until(t, "the kernels keep nothing any more", func() bool {
			client.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			n, _ := client.Read(got[len(got):cap(got)])
			got = got[:len(got)+n]
			return !slices.ContainsFunc(peer.TCPSockets(t, h), func(s peer.TCPSocket) bool {
				port := peer.TCPPort(client.LocalAddr())
				return s.Local == port && s.Unread > 0 || s.Remote == port && s.Sending > 0
			})
		})
		assert.Assert(t, len(got) < len(data), "want something left to write, and all %d bytes came", len(data))
		client.SetReadDeadline(time.Now().Add(harness.Patience()))
		resumed := time.Now()
		server.Signal(syscall.SIGCONT)
		n, err := io.ReadFull(client, got[len(got):cap(got)])
		assert.NilError(t, err)
		peer.Same(t, got[:len(got)+n], data)
		server.Line(peer.Of(client) + `timed out after ` + timeout.String())
		assert.Assert(t, time.Since(resumed) >= timeout-time.Millisecond, "want all of the time again, not %v", time.Since(resumed))
		server.Stop()
	})
}

// Keep-alive probes are no activity.
func TestTimeoutKeepAlive(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated()) // the kernel counts a host's probes together
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-addr", "127.0.0.1:0", "-timeout", "3500ms")
	client := peer.DialTCP(t, h, server.Ready())
	assert.NilError(t, client.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second}))
	server.Line(peer.Of(client) + `timed out after (3\.5s|3500ms)`)
	assert.Assert(t, peer.Counter(t, h, "TcpExt", "TCPKeepAlive") > 1)
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
