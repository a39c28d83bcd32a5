package tcp_client

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// The two programs with nothing but their defaults, as the page shows them.
func TestClientTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(from + " connected")
	server.Line(from + " closed after 5 bytes")
	server.Stop()
	harness.Transcript(t, "client.txt", server, client)
}

// The client's FIN says that it has sent all, and a peer that answers only
// then is still heard.
func TestClientHearsTheReplyAfterItsFIN(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client, remote := dialledBy(t, h, "client", "-message", "all of it")
	client.Line(`sent 9 bytes: "all of it"`)
	assert.Equal(t, readToFIN(t, remote), "all of it") // returns at the FIN
	for _, reply := range []string{"first", "second", "third"} {
		peer.Write(t, remote, reply)
		client.Line(fmt.Sprintf(`received %d bytes: %q`, len(reply), reply))
	}
	remote.Close()
	client.Line("closed")
	client.Exit(0)
}

// Each read is a line, its data quoted and cut to 64 bytes.
func TestClientShowsData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, shown string }{
		{"caf\u00e9\n\xff", `"café\\n\\xff"`},
		{strings.Repeat("x", 64), `"x{64}"`},
		{strings.Repeat("x", 65), `"x{64}"…`},
		{strings.Repeat("x", 100_000), `"x{64}"…`},
	} {
		client, remote := dialledBy(t, lab.NewHost(t, "h"), "client", "-message", c.data)
		client.Line(fmt.Sprintf(`sent %d bytes: %s`, len(c.data), c.shown))
		assert.Equal(t, readToFIN(t, remote), c.data)
		if len(c.data) < 1000 { // arrives in one piece
			peer.Write(t, remote, c.data)
			client.Line(fmt.Sprintf(`received %d bytes: %s`, len(c.data), c.shown))
		}
		remote.Close()
		client.Line("closed")
		client.Exit(0)
	}

	client, remote := dialledBy(t, lab.NewHost(t, "h"), "client", "-message", "")
	client.Line(`sent 0 bytes: ""`)
	assert.Equal(t, readToFIN(t, remote), "")
	remote.Close()
	client.Line("closed")
	client.Exit(0)
}

// A long reply arrives whole and in order.
func TestClientLongReply(t *testing.T) {
	t.Parallel()
	client, remote := dialledBy(t, lab.NewHost(t, "h"), "client")
	client.Line(`sent 5 bytes: "hello"`)
	assert.Equal(t, readToFIN(t, remote), "hello")
	data := peer.Noise(16 << 20)
	peer.Write(t, remote, string(data))
	remote.Close()
	client.Await("closed")
	client.Exit(0)
	for _, line := range client.Lines()[2:] {
		if line == "closed\n" {
			break
		}
		n, err := strconv.Atoi(strings.Fields(line)[1])
		assert.NilError(t, err)
		shown := fmt.Sprintf("%q", data[:min(n, 64)])
		if n > 64 {
			shown += "…"
		}
		assert.Equal(t, line, fmt.Sprintf("received %d bytes: %s\n", n, shown))
		data = data[n:]
	}
	assert.Equal(t, len(data), 0)
}

func TestClientIPv6(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server", "-addr", "[::1]:0")
	addr := server.Ready()
	client := harness.Start(t, h, "tcp_client/client", "-addr", addr)
	from := client.Line(`connected to ` + regexp.QuoteMeta(addr) + ` from (\[::1\]:\d+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(regexp.QuoteMeta(from) + " connected")
	server.Stop()
}

// A peer that says nothing keeps the client waiting until a signal.
func TestClientStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, remote := dialledBy(t, lab.NewHost(t, "h"), "client")
		client.Line(`sent 5 bytes: "hello"`)
		assert.Equal(t, readToFIN(t, remote), "hello")
		stopWaiting(t, client, sig)
	}
}

func TestClientReset(t *testing.T) {
	t.Parallel()
	client, remote := dialledBy(t, lab.NewHost(t, "h"), "client")
	client.Line(`sent 5 bytes: "hello"`)
	assert.Equal(t, readToFIN(t, remote), "hello")
	testReset(t, client, remote)
}

func TestClientFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "client")
}

// Every client connects to an IPv6 address as to an IPv4 one.
func TestClientsIPv6(t *testing.T) {
	t.Parallel()
	for section, last := range map[string]string{
		"client": "closed", "write": "closed", "close": "closed", "unref": "waiting for the peer",
		"buffer_size": "wrote .*", "keepalive": "closed",
	} {
		h := lab.NewHost(t, "h")
		ln := peer.ListenTCP(t, h, "[::1]:0")
		p := harness.Start(t, h, "tcp_client/"+section, "-addr", ln.Addr().String())
		remote := peer.AcceptTCP(t, ln)
		assert.Equal(t, connectedFrom(p, ln.Addr()), remote.RemoteAddr().String())
		assert.NilError(t, remote.CloseWrite())
		_, err := io.Copy(io.Discard, remote)
		assert.NilError(t, err)
		p.Await(last)
		p.Exit(0)
	}
}

// The reply comes when the client has ended its half, and none of it is lost.
func TestClientNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/half_open")
		s.Ready()
		message := strings.Repeat("x", 100000) // more than one read
		c := client("tcp_client/client", "--message", message)
		addr := peer.Connected(c)
		c.Line(`sent 100000 bytes: "x{64}"…`)
		received := 0
		for received < len(message) {
			var n int
			fmt.Sscan(c.Line(`received (\d+) bytes: "x+"…?`)[0], &n)
			received += n
		}
		assert.Equal(t, received, len(message))
		c.Line("closed")
		c.Exit(0)
		s.Await(addr + " closed")
		s.Stop()
	})
}

// With nobody there, both fail at once and with one line.
func TestClientNodeRefused(t *testing.T) {
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		goes("tcp_client/client").ExitSaying(1, `client: dial tcp 127\.0\.0\.1:8080: connect: connection refused\n`)
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		node("tcp_client/client").ExitSaying(1, `client: connect ECONNREFUSED 127\.0\.0\.1:8080\n`)
	})
}

// wc answers at the end of its input, which is the client's FIN: had the client
// closed both ways, it would not hear the answer.
func TestClientSocat(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		socat := harness.Socat(t, h)
		p := socat("-t", "30", "TCP4-LISTEN:8080,bind=127.0.0.1", "EXEC:wc -c")
		p.Await(`.* listening on .*`)
		c, _ := peer.Hello(start)
		c.Line(`received \d+ bytes: " *5\\n"`)
		c.Line("closed")
		c.Exit(0)
		harness.SocatPrinted(t, p)
	})
}
