package tcp_server

import (
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

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
