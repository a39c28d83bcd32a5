package tcp_server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// stream is what a client sends, and the messages in that.
type stream struct {
	text     string
	messages []string
}

var streams = map[string][]stream{ // by framing
	"line": {
		{"one\ntwo\n", []string{"one", "two"}},
		{"\n\na\r\n\r\n\rb\n", []string{"", "", "a", "", "\rb"}},
		{"你好\n", []string{"你好"}},
	},
	"length": {
		{framed("one") + framed("two"), []string{"one", "two"}},
		{framed("") + framed("a\nb\n") + framed(""), []string{"", "a\nb\n", ""}},
	},
	"character": {
		{"aé你🧦\n", []string{"a", "é", "你", "🧦", "\n"}},
		{"", nil},
	},
}

// ending are the framings whose messages have an end. In Node both get from a connection
// to its messages by the same function, so that one is enough to show what that does
// itself: TestMessagesCut shows that it finds the messages of both.
func ending(t *testing.T) []string {
	if peer.InOurNode(t) {
		return []string{"length"}
	}
	return []string{"line", "length"}
}

// framed puts a message's length in front of it.
func framed(message string) string {
	return string([]byte{0, 0, byte(len(message) >> 8), byte(len(message))}) + message
}

// messages starts the server on a free port.
func messages(start harness.Starter, framing string) (server *harness.Program, addr string) {
	server = start("tcp_server/messages", "--addr", "127.0.0.1:0", "--framing", framing)
	return server, server.Ready()
}

// prints demands the server's lines on a client that has sent such messages and gone.
func prints(server *harness.Program, client net.Conn, messages ...string) {
	for i, message := range messages {
		server.Line(peer.Of(client) + regexp.QuoteMeta(fmt.Sprintf("message %d: %q", i+1, message)))
	}
	server.Line(peer.Of(client) + fmt.Sprintf("closed after %d messages", len(messages)))
}

// Several messages may come in one segment, and each is printed, its text cut to 64
// characters.
func TestMessagesJoined(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		long := map[string]stream{
			"line":   {strings.Repeat("é", 65) + "\nz\n", []string{strings.Repeat("é", 64), "z"}},
			"length": {framed(strings.Repeat("x", 300)) + framed("z"), []string{strings.Repeat("x", 64), "z"}},
		}
		for framing, streams := range streams {
			server, addr := messages(start, framing)
			for _, s := range append(slices.Clone(streams), long[framing]) {
				client := peer.DialTCP(t, h, addr)
				peer.Write(t, client, s.text)
				assert.Equal(t, len(peer.Finish(t, client)), 0)
				prints(server, client, s.messages...)
			}
			server.Stop()
		}
	})
}

// What the FIN has cut off is no message, and is an error; the messages before it
// count.
func TestMessagesUnfinished(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for framing, ends := range map[string][]string{
			"line":   {"t", "two", "two\r"},
			"length": {"\x00", "\x00\x00\x00", "\x00\x00\x00\x03", "\x00\x00\x00\x03tw", "\xff\xff\xff\xffalmost nothing"},
		} {
			server, addr := messages(start, framing)
			one := map[string]string{"line": "one\n", "length": framed("one")}[framing]
			complaints := ""
			for _, end := range ends {
				for stream, messages := range map[string][]string{end: nil, one + end: {"one"}} {
					client := peer.DialTCP(t, h, addr)
					peer.Write(t, client, stream)
					assert.Equal(t, len(peer.Finish(t, client)), 0)
					prints(server, client, messages...)
					complaints += fmt.Sprintf("messages: message %d of %v: unexpected EOF\n", len(messages)+1, client.LocalAddr())
				}
			}
			server.Signal(syscall.SIGTERM)
			server.Line("closed")
			server.ExitSaying(0, regexp.QuoteMeta(complaints))
		}
	})
}

// A message takes 1024 bytes at most, with its end or its length. Who sends more is cut
// off, and nobody else.
func TestMessagesLimit(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for framing, message := range map[string]func(n int) string{
			"line":   func(n int) string { return strings.Repeat("x", n-1) + "\n" },
			"length": func(n int) string { return framed(strings.Repeat("x", n-4)) },
		} {
			server, addr := messages(start, framing)
			other := peer.DialTCP(t, h, addr)
			shown := strings.Repeat("x", 64)
			complaints := ""
			for _, stream := range []string{
				message(1025),                          // all of it is there
				message(1025)[:1024],                   // it can no longer end in time
				message(1024) + message(1025) + "more", // after one that may
			} {
				client := peer.DialTCP(t, h, addr)
				peer.Write(t, client, stream)
				var before []string
				if strings.HasPrefix(stream, message(1024)) {
					before = []string{shown}
				}
				_, err := client.Read(make([]byte, 1)) // FIN, or RST if there was more
				assert.Assert(t, err != nil && !os.IsTimeout(err), "%v", err)
				prints(server, client, before...)
				complaints += fmt.Sprintf(`messages: message %d of %v: (bufio\.Scanner: token too long|more than 1024 bytes)\n`,
					len(before)+1, client.LocalAddr())
			}
			peer.Write(t, other, message(1024)+message(1024))
			assert.Equal(t, len(peer.Finish(t, other)), 0)
			prints(server, other, shown, shown)
			server.Signal(syscall.SIGTERM)
			server.Line("closed")
			server.ExitSaying(0, complaints)
		}
	})
}

// A client that never ends its message is cut off while it sends.
func TestMessagesEndless(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, framing := range ending(t) {
			server, addr := messages(start, framing)
			client := peer.DialTCP(t, h, addr)
			for chunk := []byte(strings.Repeat("\x7f", 65536)); ; {
				if _, err := client.Write(chunk); err != nil {
					assert.Assert(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), "%v", err)
					break
				}
			}
			prints(server, client)
			server.Signal(syscall.SIGTERM)
			server.Line("closed")
			server.ExitSaying(0, `messages: message 1 of \S+: (bufio\.Scanner: token too long|more than 1024 bytes)\n`)
		}
	})
}

// The stream as a whole has no limit.
func TestMessagesMany(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		long := strings.Repeat("x", 1020)
		for _, framing := range append(ending(t), "character") {
			stream := map[string]string{
				"line":      strings.Repeat(long+"\n", 200),
				"length":    strings.Repeat(framed(long), 200),
				"character": strings.Repeat("你", 5000), // each is a line of output
			}[framing]
			n := map[string]int{"line": 200, "length": 200, "character": 5000}[framing]
			server, addr := messages(start, framing)
			client := peer.DialTCP(t, h, addr)
			peer.Write(t, client, stream)
			assert.Equal(t, len(peer.Finish(t, client)), 0)
			server.Await(peer.Of(client) + fmt.Sprintf("closed after %d messages", n))
			server.Stop()
		}
	})
}

// A reset is an error too: what it has cut off is no message, and nobody else's loss.
func TestMessagesReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, framing := range ending(t) {
			server, addr := messages(start, framing)
			rude, other := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
			peer.Write(t, rude, map[string]string{"line": "one\ntw", "length": framed("one") + framed("two")[:6]}[framing])
			server.Line(peer.Of(rude) + `message 1: "one"`)
			peer.Reset(t, rude)
			server.Line(peer.Of(rude) + "closed after 1 messages")
			assert.Equal(t, len(peer.Finish(t, other)), 0)
			prints(server, other)
			server.Signal(syscall.SIGTERM)
			server.Line("closed")
			server.ExitSaying(0, `messages: message 2 of `+regexp.QuoteMeta(clientAddr(rude))+`: .*(connection reset by peer|ECONNRESET)\n`)
		}
	})
}

// Bytes that are no UTF-8: in a Go string they stay what they are, Node makes U+FFFD of
// them. As characters both print U+FFFD, Go for each byte, Node for each character that
// has begun and is not whole, as the FIN leaves one.
func TestMessagesBroken(t *testing.T) {
	test := func(lines string, characters map[string][]string) func(*testing.T, *lab.Host, harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			server, addr := messages(start, "line")
			client := peer.DialTCP(t, h, addr)
			peer.Write(t, client, "a\xff\xe4\xbdb\n")
			assert.Equal(t, len(peer.Finish(t, client)), 0)
			server.Line(peer.Of(client) + `message 1: "` + lines + `"`)
			server.Line(peer.Of(client) + "closed after 1 messages")
			server.Stop()

			server, addr = messages(start, "character")
			for stream, characters := range characters {
				client := peer.DialTCP(t, h, addr)
				peer.Write(t, client, stream)
				assert.Equal(t, len(peer.Finish(t, client)), 0)
				prints(server, client, characters...)
			}
			server.Stop()
		}
	}
	const bad = "\ufffd"
	harness.Compare(t, test(`a\\xff\\xe4\\xbdb`, map[string][]string{
		"\xff\x80": {bad, bad}, "\xe4\xbdx": {bad, bad, "x"}, "你\xf0\x9f\x98": {"你", bad, bad, bad}, "\ufffd": {bad},
	}), test("a"+bad+bad+"b", map[string][]string{
		"\xff\x80": {bad, bad}, "\xe4\xbdx": {bad, "x"}, "你\xf0\x9f\x98": {"你", bad}, "\ufffd": {bad},
	}))
}

// Another word for the framing is refused.
func TestMessagesRefuses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, framing := range []string{"", "lines", "LINE"} {
		peer.Refuses(t, h, "tcp_server/messages", `want .*-framing line, length or character .*`, "-framing", framing)
	}
	harness.Node(t, h)("tcp_server/messages", "--framing", "lines").
		ExitSaying(1, `messages: want a --framing line, length or character, not lines\n`)
}
