package tcp_server

import (
	"runtime"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// The kernel connects clients that the program never accepts, and takes what
// they send.
func TestListenTranscript(t *testing.T) {
	harness.NotNode(t, "Node accepts by itself")
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
