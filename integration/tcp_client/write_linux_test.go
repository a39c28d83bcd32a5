package tcp_client

import (
	"fmt"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
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

	data := peer.Noise(16 << 20)
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
	client := harness.Start(t, h, "tcp_client/write", "-addr", server.Ready(), "-bytes", "16777216")
	client.Line(`connected to .*`)
	client.Line(`wrote 16777216 bytes in 256 writes`)
	client.Line(`received 16777216 bytes`)
	client.Line("closed")
	client.Exit(0)
	server.Stop()
}

// A write counts when the kernel has taken the bytes, and those are delivered
// even when the program has ended.
func TestWriteCountsWhatTheKernelTook(t *testing.T) {
	t.Parallel()
	h := smallBuffers(t)
	client, remote := dialledBy(t, h, "write", "-bytes", "1000000000000", "-chunk", "1000")
	awaitShutWindow(t, h, peer.TCPPort(remote.RemoteAddr()), peer.TCPPort(remote.LocalAddr()))
	client.Signal(syscall.SIGTERM)
	wrote := client.Line(`wrote (\d+) bytes in \d+ writes`)[0]
	client.Line(`received 0 bytes`)
	client.Line("closed")
	client.Exit(0)
	assert.Equal(t, fmt.Sprint(len(readToFIN(t, remote))), wrote)
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
