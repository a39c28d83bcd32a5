package tcp_server

import (
	"errors"
	"runtime"
	"syscall"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"gotest.tools/v3/assert"
)

// The kernel connects clients that the program never accepts, and takes what
// they send.
func TestListenTranscript(t *testing.T) {
	t.Parallel()
	lab.Require(t, "Linux", runtime.GOOS == "linux")
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/listen", "-backlog", "1")
	server.Line(`listening on 127\.0\.0\.1:8080 with a backlog of 1`)
	client := harness.Start(t, h, "tcp_client/client")
	client.Line(`connected to 127\.0\.0\.1:8080 from \S+`)
	client.Line(`sent 5 bytes: "hello"`)
	client.Stop() // it would wait for ever
	server.Stop()
	harness.Transcript(t, "listen.txt", server, client)
}

// A connection is a client's as soon as the kernel has made it.
func TestListenNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/listen")
		s.Line(`listening on 127\.0\.0\.1:8080 with a backlog of 511`)
		c, _ := peer.Waiting(client)
		c.Stop()
		s.Stop()
	})
}

// Who waits in the queue when the server stops gets RST.
func TestListenStops(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "listen")
	conn := peer.DialTCP(t, h, addr)
	server.Stop()
	_, err := conn.Read(make([]byte, 1))
	assert.Assert(t, errors.Is(err, syscall.ECONNRESET), "%v", err)
}
