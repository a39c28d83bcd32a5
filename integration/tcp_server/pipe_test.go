package tcp_server

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Megabytes from eight connections at once, each complete and in order, before
// the server's FIN.
func TestPipeComplete(t *testing.T) {
	testPipesAll(t, "pipe")
}

// It appends, also after what others have written.
func TestPipeAppends(t *testing.T) {
	testPipeAppends(t, "pipe")
}

// A file that cannot be opened: exit code 1, and no port is touched.
func TestPipeNoFile(t *testing.T) {
	t.Parallel()
	testPipeNoFile(t, "pipe")
}

// A signal before the client's FIN ends the connection with a reset: not all that
// the client has to send is stored.
func TestPipeStopped(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, server := stored(t, h, start)
		server.Stop()
		_, err := client.Read(make([]byte, 1))
		assert.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

// stored starts pipe, and returns when it has stored the first that a client has
// to say.
func stored(t *testing.T, h *lab.Host, start harness.Starter) (client *net.TCPConn, server *harness.Program) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "message.txt")
	server = start("tcp_server/pipe", "--addr", "127.0.0.1:0", "--to", file)
	client = peer.DialTCP(t, h, server.Ready())
	peer.Write(t, client, "hello")
	peer.Until(t, "it is stored", func() bool { return contents(t, file) == "hello" })
	return client, server
}
