package tcp_server

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// The next server can listen while old clients are served. That takes
// SO_REUSEADDR: without it the port is in use.
func TestCloseFreesThePort(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		old := start("tcp_server/close", "--addr", "127.0.0.1:0")
		addr := old.Ready()
		stays := peer.DialTCP(t, h, addr)
		peer.Echoes(t, stays, "before")
		old.Signal(syscall.SIGTERM)
		old.Line("no longer listening, 1 open")

		var fd int
		var err error
		h.Do(func() { fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) })
		assert.NilError(t, err)
		port := int(netip.MustParseAddrPort(addr).Port())
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port})
		assert.NilError(t, unix.Close(fd))
		assert.ErrorIs(t, err, unix.EADDRINUSE)

		next := start("tcp_server/close", "--addr", addr)
		assert.Equal(t, next.Ready(), addr)
		comes := peer.DialTCP(t, h, addr)
		peer.Echoes(t, comes, "after")
		peer.Echoes(t, stays, "after")
		peer.Finish(t, stays)
		old.Line("closed")
		old.Exit(0)
		peer.Finish(t, comes)
		next.Stop()
	})
}

// Who waits in the kernel's queue is reset: connected, and never accepted, here
// because no descriptor is free.
func TestCloseQueueIsReset(t *testing.T) {
	harness.NotNode(t, "Node does not tell that no descriptor is free")
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "close")
	peer.Echoes(t, peer.DialTCP(t, h, addr), "before")
	assert.NilError(t, unix.Prlimit(server.Pid(), unix.RLIMIT_NOFILE, &unix.Rlimit{}, nil))
	queued := peer.DialTCP(t, h, addr)
	const full = `(close: accept tcp .*: too many open files\n)+`
	server.Complaint(full)
	server.Signal(syscall.SIGTERM)
	server.Line("no longer listening, 1 open")
	_, err := queued.Read(make([]byte, 1))
	assert.ErrorIs(t, err, syscall.ECONNRESET)
	server.Signal(syscall.SIGTERM) // the other one stays
	server.ExitSaying(-1, full)
}

// An urgent byte ends nothing: what comes after it is echoed as well. The byte
// itself is not, the kernel keeps it apart.
func TestCloseUrgentByte(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/close", "--addr", "127.0.0.1:0")
		conn := peer.DialTCP(t, h, server.Ready())
		peer.Echoes(t, conn, "before")
		urgent(t, conn, '!')
		peer.Write(t, conn, "after")
		assert.Equal(t, string(peer.Finish(t, conn)), "after")
		server.Stop()
	})
}

// Who comes after close is refused, and who is connected is served.
func TestCloseWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/close")
	old := peer.DialTCP(t, client, peer.Here)
	c.Await("the handshake", peer.Seen(wire.ACK, 1))
	fmt.Fprint(old, "before")
	_, err := io.ReadFull(old, make([]byte, 6))
	assert.NilError(t, err)
	p.Signal(syscall.SIGTERM)
	p.Await(`no longer listening, 1 open`)
	client.Do(func() { _, err = net.Dial("tcp", peer.Here) })
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	fmt.Fprint(old, "after")
	_, err = io.ReadFull(old, make([]byte, 5))
	assert.NilError(t, err)
	old.CloseWrite()
	io.Copy(io.Discard, old)
	p.Await("closed")
	p.Exit(0)
	peer.Drawn(t, "close", c.Await("both FINs", peer.Seen(wire.FIN, 2)),
		wire.Party{Name: "newcomer", Addr: "10.0.0.2"}, party("client", old))
}
