package tcp_client

import (
	"encoding/hex"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

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

// The client's FIN says that it has sent all. A reply that is sent only then is
// received.
func TestClientReceivesTheReplyAfterItsFIN(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "client", "--message", "all of it")
		client.Line(`sent 9 bytes: "all of it"`)
		assert.Equal(t, readToFIN(t, remote), "all of it") // returns at the FIN
		for _, reply := range []string{"first", "second", "third"} {
			peer.Write(t, remote, reply)
			client.Line(fmt.Sprintf(`received %d bytes: %q`, len(reply), reply))
		}
		remote.Close()
		client.Line("closed")
		client.Exit(0)
	})
}

// Each read is a line, its data quoted and cut to 64 characters.
func TestClientShowsData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ data, shown string }{
		{"", `""`},
		{"x", `"x"`},
		{"caf\u00e9\n", `"café\\n"`},
		{"\xff", `"\\xff"`},
		{strings.Repeat("x", 64), `"x{64}"`},
		{strings.Repeat("x", 65), `"x{64}"`},
		{strings.Repeat("\u00e9", 65), `"é{64}"`},
		{strings.Repeat("x", 100_000), `"x{64}"`},
	} {
		if harness.Judged() && (!utf8.ValidString(c.data) || c.shown == `"é{64}"`) {
			continue // each language has its own way to show what is no text, and to count characters
		}
		client, remote := dialledBy(t, h, "client", "-message", c.data)
		client.Line(fmt.Sprintf(`sent %d bytes: %s`, len(c.data), c.shown))
		assert.Equal(t, readToFIN(t, remote), c.data)
		if len(c.data) > 0 && len(c.data) < 1000 { // arrives in one piece
			peer.Write(t, remote, c.data)
			client.Line(fmt.Sprintf(`received %d bytes: %s`, len(c.data), c.shown))
		}
		remote.Close()
		client.Line("closed")
		client.Exit(0)
	}
}

// A long reply, 4 MiB, arrives whole and in order.
func TestClientLongReply(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "client")
		client.Line(`sent 5 bytes: "hello"`)
		assert.Equal(t, readToFIN(t, remote), "hello")
		const oneRead = "one read taken for the whole answer: it returns what is there, and the answer ends with FIN"
		harness.Hint(t, oneRead)
		data := hex.EncodeToString(peer.Noise(2 << 20))
		peer.Write(t, remote, data)
		remote.Close()
		client.Await("closed")
		client.Exit(0)
		harness.Hint(t, "data printed whole: 64 characters of it at most")
		for _, line := range client.Lines()[2:] {
			if line == "closed\n" {
				break
			}
			var n int
			_, err := fmt.Sscanf(line, "received %d bytes: ", &n)
			assert.Assert(t, err == nil && n <= len(data), "want the line: received N bytes: … of the %d that are left, and it printed %.200s", len(data), line)
			want := fmt.Sprintf("received %d bytes: %q\n", n, data[:min(n, 64)])
			assert.Assert(t, line == want, "want the line: %s, and it printed %.200s", strings.TrimSpace(want), line)
			data = data[n:]
		}
		harness.Hint(t, oneRead)
		assert.Equal(t, len(data), 0)
	})
}

// A peer that says nothing keeps the client waiting until a signal.
func TestClientStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "client")
		client.Line(`sent 5 bytes: "hello"`)
		assert.Equal(t, readToFIN(t, remote), "hello")
		stopWaiting(t, client, syscall.SIGINT)
	})
}

// A reset is an error: one line, and exit code 1.
func TestClientReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "client")
		client.Line(`sent 5 bytes: "hello"`)
		assert.Equal(t, readToFIN(t, remote), "hello")
		testReset(t, client, remote)
	})
}

// With nobody there, and with a name that means nothing (RFC 2606 keeps .invalid
// free), there is one line, and exit code 1.
func TestClientFailures(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		start("tcp_client/client", "--addr", "127.0.0.1:1").
			ExitSaying(1, `client: (dial tcp 127\.0\.0\.1:1: connect: connection refused|connect ECONNREFUSED 127\.0\.0\.1:1)\n`)
		start("tcp_client/client", "--addr", "host.invalid:1").ExitSaying(1, `client: [^\n]*host\.invalid[^\n]*\n`)
	})
}

// IPv6 works as IPv4 does.
func TestClientIPv6(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		overIPv6(t, h, start, "client", "closed")
	})
}

// wc answers at the end of its input, which is the client's FIN: had the client
// closed both ways, it would not get the answer.
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
