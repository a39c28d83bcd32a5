package tcp_client

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// A signal ends every client that is still connecting.
func TestClientStopWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, section := range []string{"client", "write", "close", "unref", "buffer_size", "keepalive"} {
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			client, _, _ := connectingBy(t, lab.NewHost(t, "h"), section)
			stopWaiting(t, client, syscall.SIGTERM)
		})
	}
}

// What Go sets on every connection it dials: keep-alive, and no waiting for
// more data before a small segment is sent.
func TestClientDefaults(t *testing.T) {
	t.Parallel()
	client, _ := dialledBy(t, lab.NewHost(t, "h"), "client")
	client.Line(`sent 5 bytes: "hello"`)
	fd := clientSocket(t, client)
	assertKeepAlive(t, fd, 15, 15, 9)
	assert.Equal(t, tcpOption(t, fd, unix.IPPROTO_TCP, unix.TCP_NODELAY), 1)
	stopWaiting(t, client, syscall.SIGTERM)
}

// Go turns keep-alive on and Nagle's algorithm off for every connection, made
// or accepted. Node leaves both as the kernel has them.
func TestClientNodeDefaults(t *testing.T) {
	want := map[string]int{"Go": 1, "Node": 0}
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/connections")
		s.Ready()
		c, addr := peer.Waiting(client)
		s.Line(addr + " connected, 1 open")
		for _, p := range []*harness.Program{s, c} {
			language := "Go"
			if p.Section == "node" {
				language = "Node"
			}
			for _, o := range []struct{ level, name int }{
				{unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.IPPROTO_TCP, unix.TCP_NODELAY},
			} {
				assert.Equal(t, peer.Option(t, p, false, o.level, o.name), want[language], "%s: %v", language, o)
			}
		}
		c.Signal(unix.SIGTERM)
		c.Line("closed")
		c.Exit(0)
		s.Stop()
	})
}
