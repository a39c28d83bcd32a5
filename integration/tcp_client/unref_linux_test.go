package tcp_client

import (
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// FIN goes out with the last descriptor: the program ends with its connection
// open, and while a duplicate of the socket, made before it was connected,
// outlives it, the peer reads no end and is sent more.
func TestUnrefEndsWithTheConnectionOpen(t *testing.T) {
	t.Parallel()
	client, ln, unblock := connectingBy(t, lab.NewHost(t, "h"), "unref", "-ref=false")
	fd := clientSocket(t, client)
	unblock()
	remote := peer.AcceptTCP(t, ln) // the SYN is sent again after a second
	connectedFrom(client, ln.Addr())
	client.Line("not waiting")
	client.Exit(0)

	_, err := unix.Write(fd, []byte("after its end"))
	assert.NilError(t, err)
	buf := make([]byte, 100)
	n, err := remote.Read(buf)
	assert.NilError(t, err)
	assert.Equal(t, string(buf[:n]), "after its end")
	peer.LetGo(t, fd)
	assert.Equal(t, readToFIN(t, remote), "")
}
