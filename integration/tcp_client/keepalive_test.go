package tcp_client

import (
	"net"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// The two programs with nothing but their defaults, as the page shows them.
func TestKeepaliveTranscript(t *testing.T) {
	harness.NotNode(t, "Node before 24.19 sets the first time and no more")
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/keepalive")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	client.Line(`keep-alive on: idle 15s, interval 15s, count 9`)
	server.Line(from + " connected")
	stopWaiting(t, client, syscall.SIGTERM)
	server.Line(from + " closed after 0 bytes")
	server.Stop()
	harness.Transcript(t, "keepalive.txt", server, client)
}

// held starts the program against a listener of the test and waits until it has said
// what there is to say.
func held(t *testing.T, h *lab.Host, start harness.Starter) (*harness.Program, *net.TCPConn) {
	t.Helper()
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	client := start("tcp_client/keepalive")
	remote := peer.AcceptTCP(t, ln)
	ln.Close()
	assert.Equal(t, peer.Connected(client), remote.RemoteAddr().String())
	client.Line(`keep-alive on: idle 15s, interval (15s, count 9|1s, count 10)`)
	return client, remote
}

// It holds the connection, whatever the peer sends, until the peer's end.
func TestKeepaliveHolds(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		data := make([]byte, peer.Overfill(t, h))
		client, remote := held(t, h, start)
		peer.Write(t, remote, data)
		assert.NilError(t, remote.CloseWrite())
		client.Line("closed")
		client.Exit(0)
		assert.Equal(t, readToFIN(t, remote), "")
	})
}

// An end that is an error is what this program is about: it is told like any
// other, and the exit code is 0.
func TestKeepaliveReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := held(t, h, start)
		peer.Reset(t, remote)
		client.Line("closed with error: (connection reset by peer|read ECONNRESET)")
		client.Exit(0)
	})
}

// A signal ends it.
func TestKeepaliveStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, _ := held(t, h, start)
		stopWaiting(t, client, syscall.SIGINT) // and the other one in TestKeepaliveSays
	})
}

// That nobody is there is a failure: on stderr, and the exit code is 1.
func TestKeepaliveFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "keepalive")
	h := lab.NewHost(t, "h")
	harness.Node(t, h)("tcp_client/keepalive").ExitSaying(1, `keepalive: connect ECONNREFUSED 127\.0\.0\.1:8080\n`)
}

// What Go would round up, take for its default or leave as it is, and what Linux does
// not take, is refused; in Node what it would leave as it is.
func TestKeepaliveRefuses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, args := range [][]string{
		{"-idle", "0"}, {"-idle", "-1s"}, {"-idle", "500ms"}, {"-idle", "1500ms"}, {"-idle", "32768s"},
		{"-interval", "0"}, {"-interval", "1500ms"}, {"-interval", "32768s"},
		{"-count", "0"}, {"-count", "-1"}, {"-count", "128"},
	} {
		peer.Refuses(t, h, "tcp_client/keepalive", "want -idle and -interval .*", args...)
	}
	for _, args := range [][]string{{"--idle", "900ms"}, {"--interval", "900ms"}} {
		harness.Node(t, h)("tcp_client/keepalive", args...).ExitSaying(1, "keepalive: want an --idle and an --interval of 1s or more, not .*\n")
	}
}
