package tcp_server

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

func TestPauseResumeDescriptors(t *testing.T) {
	t.Parallel()
	peer.PauseResumeServer.Exhausted(t)
}

// onSocket calls f with a connection's descriptor.
func onSocket(t *testing.T, conn *net.TCPConn, f func(fd int) error) {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	var failed error
	assert.NilError(t, raw.Control(func(fd uintptr) { failed = f(int(fd)) }))
	assert.NilError(t, failed)
}

// While the server is paused the client comes to a stand: the server's queue is
// full, the window it announces to the client is shut, and the client's kernel
// holds what it may not send. After, every byte arrives.
func TestPauseResumeStall(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/pause_resume", "-addr", "127.0.0.1:0", "-pause", "5s")
	begin := time.Now()
	client := peer.DialTCP(t, h, server.Ready())
	server.Line(peer.Of(client) + `paused`)

	const size = 64 << 20
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
	t.Logf("%d written, %d not acknowledged, %d not sent, window %d", stuck, outq, info.Notsent_bytes, info.Snd_wnd)

	server.Line(peer.Of(client) + `resumed`)
	assert.Assert(t, time.Since(begin) >= 5*time.Second)
	assert.NilError(t, <-done)
	assert.Equal(t, sent.Load(), int64(size))
	server.Line(peer.Of(client) + fmt.Sprintf(`ended after %d bytes`, size))
	_, err := client.Read(make([]byte, 1))
	assert.Equal(t, err, io.EOF)
	outq, _ = state()
	assert.Equal(t, outq, 0)
	server.Stop()
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
