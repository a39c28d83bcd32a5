package tcp_client

import (
	"net"
	"regexp"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Of a name's two addresses, IPv6 and IPv4, the server may have either. It is found
// when the other refuses, and when the other says nothing. When both refuse that is
// one line; Node's error has no message then, only a code.
func TestClientByName(t *testing.T) {
	four, six := "10.0.0.1:8080", "[2001:db8::1]:8080" // RFC 3849
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := named(t, h)
		refusedByName(start, "client")
		finds := func(ln *net.TCPListener) {
			t.Helper()
			client := start("tcp_client/client", "--addr", "server:8080")
			remote := peer.AcceptTCP(t, ln)
			assert.Equal(t, connectedFrom(client, ln.Addr()), remote.RemoteAddr().String())
			client.Line(`sent 5 bytes: "hello"`)
			assert.Equal(t, readToFIN(t, remote), "hello")
			remote.Close()
			client.Line("closed")
			client.Exit(0)
		}
		for _, c := range []struct{ has, other string }{{four, six}, {six, four}} {
			ln := peer.ListenTCP(t, server, c.has)
			if c.has == four || !peer.InOurNode(t) { // it tries IPv6 first, and then no other
				finds(ln)
			}
			silent, _ := roomlessListener(t, server, c.other)
			finds(ln)
			silent.Close()
			ln.Close()
		}
	})
}

// localhost is two addresses, and a server on it has one: in Go that of IPv4. A client
// finds it by the name, and not by the other address.
func TestClientLocalhost(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		peer.Names(t, h, "127.0.0.1 localhost", "::1 localhost")
		s := server("tcp_server/server", "--addr", "localhost:8080")
		has, other := s.Ready(), "127.0.0.1:8080"
		if s.Section != "node" {
			assert.Equal(t, has, "127.0.0.1:8080")
			other = "[::1]:8080"
		} else if has == other {
			other = "[::1]:8080"
		}
		c := client("tcp_client/client", "--addr", "localhost:8080")
		c.Line("connected to " + regexp.QuoteMeta(has) + " from .*")
		c.Await("closed")
		c.Exit(0)
		client("tcp_client/client", "--addr", other).ExitSaying(1, "client: .*(connection refused|ECONNREFUSED).*\n")
		s.Stop()
	})
}

// An address on one's own network that no machine has: one line, exit code 1, after
// three seconds and not after the two minutes of a SYN that is dropped.
func TestClientNoRoute(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		lab.Link(t, lab.NewHost(t, "other"), "10.0.0.1/24", h, "10.0.0.2/24")
		begin := time.Now()
		start("tcp_client/client", "--addr", "10.0.0.9:8080").
			ExitSaying(1, `client: (dial tcp 10\.0\.0\.9:8080: connect: no route to host|connect EHOSTUNREACH 10\.0\.0\.9:8080.*)\n`)
		assert.Assert(t, time.Since(begin) > 2*time.Second)
	})
}

// A signal ends a client that is still connecting.
func TestClientStopWhileConnecting(t *testing.T) {
	t.Parallel()
	client, _, _ := connectingBy(t, lab.NewHost(t, "h"), "client")
	stopWaiting(t, client, syscall.SIGTERM)
}

// What Go sets on every connection it dials: keep-alive, and no waiting for
// more data before a small segment is sent.
func TestClientDefaults(t *testing.T) {
	harness.Ours(t, "what a connection has set without being asked is the language's choice")
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
	harness.Ours(t, "what a connection has set without being asked is the language's choice")
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
