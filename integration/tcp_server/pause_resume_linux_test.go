package tcp_server

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
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

// onSocket calls f with a connection's descriptor.
func onSocket(t *testing.T, conn *net.TCPConn, f func(fd int) error) {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	var failed error
	assert.NilError(t, raw.Control(func(fd uintptr) { failed = f(int(fd)) }))
	assert.NilError(t, failed)
}

// While the server is paused the client comes to a stand: the window that is
// announced to it is shut, and its kernel holds what it may not send. Go has read
// nothing by then, and Node until its buffer reached the high-water mark, by which
// it can miss one read. After, every byte arrives.
func TestPauseResumeStall(t *testing.T) {
	harness.Compare(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		assert.Equal(t, stall(t, h, start, 0), 0)
	}, func(t *testing.T, h *lab.Host, start harness.Starter) {
		mark := 16 << 10 // stream.getDefaultHighWaterMark(false)
		if harness.NodeMajor(t) >= 22 {
			mark = 64 << 10
		}
		read := stall(t, h, start, mark)
		assert.Assert(t, read < mark+64<<10, "%d", read)
	})
}

// stall is the test of either. It returns how many bytes the server had read when
// the window was shut, and those were at least so many.
func stall(t *testing.T, h *lab.Host, start harness.Starter, least int) (read int) {
	t.Helper()
	size := int64(peer.Overfill(t, h))
	server := start("tcp_server/pause_resume", "--addr", "127.0.0.1:0", "--pause", "5s")
	begin := time.Now()
	client := peer.DialTCP(t, h, server.Ready())
	server.Line(peer.Of(client) + `paused`)

	var sent atomic.Int64
	done := make(chan error)
	go func() {
		for piece := peer.Noise(1 << 16); sent.Load() < size; {
			n, err := client.Write(piece)
			sent.Add(int64(n))
			if err != nil {
				done <- err
				return
			}
		}
		done <- client.CloseWrite()
	}()
	state := func() (outq int, info *unix.TCPInfo) {
		onSocket(t, client, func(fd int) (err error) {
			if info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				outq, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
			}
			return err
		})
		return outq, info
	}
	outq, info := state()
	peer.Until(t, "the window is shut", func() bool {
		outq, info = state()
		return info.Notsent_bytes > 0 && info.Snd_wnd < info.Snd_mss // not room for one segment
	})
	stuck := sent.Load()
	assert.Assert(t, stuck < size)
	assert.Assert(t, outq >= int(info.Notsent_bytes))
	fds := peer.SocketsOf(t, server)
	connection := slices.IndexFunc(fds, func(fd int) bool { _, err := unix.Getpeername(fd); return err == nil })
	assert.Assert(t, connection >= 0)
	peer.Until(t, "the server has read so much", func() bool {
		theirs, err := unix.GetsockoptTCPInfo(fds[connection], unix.IPPROTO_TCP, unix.TCP_INFO)
		assert.NilError(t, err)
		unread, err := unix.IoctlGetInt(fds[connection], unix.SIOCINQ)
		assert.NilError(t, err)
		read = int(theirs.Bytes_received) - unread
		return read >= least
	})
	for _, fd := range fds {
		peer.LetGo(t, fd)
	}
	t.Logf("%d written, %d not acknowledged, %d not sent, window %d, %d read", stuck, outq, info.Notsent_bytes, info.Snd_wnd, read)

	server.Line(peer.Of(client) + `resumed`)
	assert.Assert(t, time.Since(begin) >= 5*time.Second)
	assert.NilError(t, <-done)
	assert.Equal(t, sent.Load(), size)
	server.Line(peer.Of(client) + fmt.Sprintf(`ended after %d bytes`, size))
	_, err := client.Read(make([]byte, 1))
	assert.Equal(t, err, io.EOF)
	outq, _ = state()
	assert.Equal(t, outq, 0)
	server.Stop()
	return read
}

// Go learns of a reset when it reads again. Node learns of it at once as long as
// its own buffer is not full.
func TestPauseResumeResetMeanwhile(t *testing.T) {
	meanwhile := func(t *testing.T, h *lab.Host, start harness.Starter, complaint string) {
		t.Helper()
		lab.Require(t, "namespaces", lab.Isolated()) // the host has no other connections
		server := start("tcp_server/pause_resume", "--addr", "127.0.0.1:0", "--pause", "1h")
		addr := server.Ready()
		rude := peer.DialTCP(t, h, addr)
		server.Line(peer.Of(rude) + `paused`)
		peer.Reset(t, rude)
		peer.Until(t, "the server's kernel has no connection", func() bool {
			return len(peer.TCPSockets(t, h)) == 1 // which listens
		})
		server.Line(peer.Of(peer.DialTCP(t, h, addr)) + `paused`)
		server.Complaint(complaint)
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, complaint)
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		meanwhile(t, h, start, "")
	}, func(t *testing.T, h *lab.Host, start harness.Starter) {
		meanwhile(t, h, start, "pause_resume: read ECONNRESET\n")
	})
}

// While the reader pauses its window closes, the sender probes it, and goes on
// when it opens.
func TestPauseResumeWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/pause_resume", "-pause", "4s") // time to fill the window and to probe, however busy the machine
	conn := peer.DialTCP(t, client, peer.Here)
	const size = 1 << 20 // more than the window ever grows to unread
	_, err := conn.Write(make([]byte, size))
	assert.NilError(t, err)
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	p.Await(fmt.Sprintf(`.* ended after %d bytes`, size))

	// How much fits, how often it is probed, and whether it closes again are left
	// to the moment.
	var story []wire.Event
	probed, opened := 0, 0
	for _, e := range wire.Uncounted(wire.Merge(c.Await("both FINs", peer.Seen(wire.FIN, 2)))) {
		switch e.Kind {
		case wire.Probe, wire.ACK:
			if e.Kind == wire.Probe {
				probed++
			}
			if probed > 1 || opened > 0 {
				continue
			}
		case wire.Closed, wire.Open:
			if opened > 0 {
				continue
			}
			if e.Kind == wire.Open {
				opened++
			}
		}
		story = append(story, e)
	}
	assert.Assert(t, probed > 0 && opened > 0)
	peer.Drawn(t, "pause_resume", wire.Uncounted(story))
	p.Stop()
}
