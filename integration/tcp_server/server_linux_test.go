package tcp_server

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// io.Copy from a connection to a connection is splice(2): the bytes pass
// through a pipe in the kernel, which takes two descriptors besides the
// connection's own.
func TestServerSplices(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	for range 10 {
		peer.Echoes(t, peer.DialTCP(t, h, addr), "hello")
	}
	open := fmt.Sprint(peer.Descriptors(t, server))
	assert.Equal(t, strings.Count(open, "socket:"), 1+10, open)
	assert.Assert(t, strings.Count(open, "pipe:") >= 20, open) // and those of stdout and stderr
	server.Stop()
}

// An echo, then FIN from both.
func TestServerWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/server")
	conn := peer.DialTCP(t, client, peer.Here)
	fmt.Fprint(conn, "hello")
	_, err := io.ReadFull(conn, make([]byte, 5))
	assert.NilError(t, err)
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	peer.Drawn(t, "server", c.Await("both FINs", peer.Seen(wire.FIN, 2)))
	p.Stop()
}
