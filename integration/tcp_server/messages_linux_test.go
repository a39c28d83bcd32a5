package tcp_server

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// inPieces writes each piece when the program has read the one before.
func inPieces(t *testing.T, on *lab.Host, client *net.TCPConn, pieces ...string) {
	t.Helper()
	for _, piece := range pieces {
		peer.Write(t, client, piece)
		peer.Until(t, "it is read", func() bool {
			unread, sending := queues(t, on, client.LocalAddr().String())
			return unread == 0 && sending == 0
		})
	}
}

// One write is two messages; seven writes, which cut each character in three, are one.
func TestMessagesTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/messages")
	server.Ready()
	two := harness.Start(t, h, "tcp_client/client", "-message", "one\ntwo\n")
	from := peer.Connected(two)
	two.Line(`sent 8 bytes: "one\\ntwo\\n"`)
	two.Line("closed")
	two.Exit(0)
	server.Line(from + ` message 1: "one"`)
	server.Line(from + ` message 2: "two"`)
	server.Line(from + ` closed after 2 messages`)

	one := harness.Start(t, h, "tcp_client/no_delay", "-message", "你好\n")
	from = peer.Connected(one)
	one.Line("wrote 7 bytes in 7 writes")
	one.Line("sent 7 segments, 0 bytes wait for an ACK")
	server.Line(from + ` message 1: "你好"`)
	one.Stop()
	server.Line(from + ` closed after 1 messages`)
	server.Stop()
	harness.Transcript(t, "messages.txt", server, two, one)
}

// Wherever the stream is cut, even within a character or a length, the messages are the
// same.
func TestMessagesCut(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for framing, streams := range streams {
			server, addr := messages(start, framing)
			for _, s := range streams {
				client := peer.DialTCP(t, h, addr)
				inPieces(t, h, client, strings.Split(s.text, "")...) // by character
				assert.Equal(t, len(peer.Finish(t, client)), 0)
				prints(server, client, s.messages...)

				client = peer.DialTCP(t, h, addr)
				for i := range len(s.text) { // by byte
					inPieces(t, h, client, s.text[i:i+1])
				}
				assert.Equal(t, len(peer.Finish(t, client)), 0)
				prints(server, client, s.messages...)
			}
			server.Stop()
		}
	})
}

// A message is printed when it is whole, though there is no FIN and another has begun.
func TestMessagesAtOnce(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, framing := range ending(t) {
			pieces := map[string][]string{
				"line": {"on", "e\ntw", "o\n"}, "length": {framed("one")[:5], framed("one")[5:] + framed("two")[:2], framed("two")[2:]},
			}[framing]
			server, addr := messages(start, framing)
			client := peer.DialTCP(t, h, addr)
			inPieces(t, h, client, pieces[0])
			assert.Equal(t, len(server.Lines()), 1)
			peer.Write(t, client, pieces[1])
			server.Line(peer.Of(client) + `message 1: "one"`)
			peer.Write(t, client, pieces[2])
			server.Line(peer.Of(client) + `message 2: "two"`)
			server.Stop()
		}
	})
}

// A length of 4 GiB is only said: the server waits, and allocates nothing for it.
func TestMessagesLengthIsOnlySaid(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, addr := messages(start, "length")
		address := func() (kB int) {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", server.Pid()))
			assert.NilError(t, err)
			_, after, _ := strings.Cut(string(status), "VmSize:")
			_, err = fmt.Sscan(after, &kB)
			assert.NilError(t, err)
			return kB
		}
		before := address()
		client := peer.DialTCP(t, h, addr)
		inPieces(t, h, client, "\xff\xff\xff\xff", "x")
		grown := address() - before
		assert.Assert(t, grown < 1<<20, "%d kB", grown)
		assert.Equal(t, len(peer.Finish(t, client)), 0)
		prints(server, client)
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, `messages: message 1 of \S+: unexpected EOF\n`)
	})
}

// Three segments, two lines: no segment is a line.
func TestMessagesWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/messages")
	conn := peer.DialTCP(t, client, peer.Here)
	for i, piece := range []string{"hel", "lo\nwor", "ld\n"} {
		peer.Write(t, conn, piece)
		c.Await("a segment", peer.Seen(wire.Data, i+1))
	}
	assert.Equal(t, len(peer.Finish(t, conn)), 0)
	prints(p, conn, "hello", "world")
	peer.Drawn(t, "messages", c.Await("both FINs", peer.Seen(wire.FIN, 2)))
	p.Stop()
}

// accepted is a connection between two sockets of the test's.
func accepted(t *testing.T, h *lab.Host) (client, server *net.TCPConn) {
	t.Helper()
	ln := peer.ListenTCP(t, h, "127.0.0.1:0")
	client = peer.DialTCP(t, h, ln.Addr().String())
	return client, peer.AcceptTCP(t, ln)
}

// A Scanner for each message, or a Reader, loses what the one before has read ahead.
func TestMessagesReadAhead(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for name, first := range map[string]func(server net.Conn) string{
		"Scanner": func(server net.Conn) string {
			s := bufio.NewScanner(server)
			s.Scan()
			return s.Text() + "\n"
		},
		"Reader": func(server net.Conn) string {
			line, _ := bufio.NewReader(server).ReadString('\n')
			return line
		},
	} {
		client, server := accepted(t, h)
		arrive(t, h, client, "one\ntwo\n")
		assert.NilError(t, client.CloseWrite())
		assert.Equal(t, first(server), "one\n", name)
		rest, err := io.ReadAll(server)
		assert.NilError(t, err)
		assert.Equal(t, string(rest), "", name)
	}
}

// What a FIN or a reset has cut off is a line to bufio.ScanLines, and is returned by
// ReadString together with the error.
func TestMessagesScanLines(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for name, end := range map[string]func(*net.TCPConn){
		"FIN":   func(client *net.TCPConn) { client.CloseWrite() },
		"reset": func(client *net.TCPConn) { peer.Reset(t, client) },
	} {
		client, server := accepted(t, h)
		peer.Write(t, client, "one\ntw")
		s := bufio.NewScanner(server)
		assert.Assert(t, s.Scan())
		end(client)
		assert.Assert(t, s.Scan(), name)
		assert.Equal(t, s.Text(), "tw", name)
		assert.Assert(t, !s.Scan())
		assert.Equal(t, s.Err() == nil, name == "FIN", "%v", s.Err())

		client, server = accepted(t, h)
		peer.Write(t, client, "one\ntw")
		r := bufio.NewReader(server)
		line, err := r.ReadString('\n')
		assert.NilError(t, err)
		assert.Equal(t, line, "one\n")
		end(client)
		line, err = r.ReadString('\n')
		assert.Assert(t, err != nil && (err == io.EOF) == (name == "FIN"), "%v", err)
		assert.Equal(t, line, "tw", name)
	}
}

// A Scanner's own limit is 64 KiB, ReadString has none, nor has Node's readline, which
// drops "\r", too, and also makes a line of what the FIN has cut off.
func TestMessagesLimitsOfLibraries(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	const long = 2 << 20
	client, server := accepted(t, h)
	go io.WriteString(client, strings.Repeat("x", long)+"\n")
	line, err := bufio.NewReader(server).ReadString('\n')
	assert.NilError(t, err)
	assert.Equal(t, len(line), long+1)

	for n, fits := range map[int]bool{64<<10 - 1: true, 64 << 10: false} {
		client, server = accepted(t, h)
		go io.WriteString(client, strings.Repeat("x", n)+"\n")
		s := bufio.NewScanner(server)
		assert.Equal(t, s.Scan(), fits, "%d bytes", n)
		assert.Equal(t, s.Err() == bufio.ErrTooLong, !fits, "%v", s.Err())
	}

	p := harness.NodeScript(t, h, `
		const server = require('net').createServer((socket) => {
			const lines = require('readline').createInterface({ input: socket })
			lines.on('line', (line) => console.log('a line of', line.length))
			lines.on('close', () => server.close())
		}).listen(8080, '127.0.0.1', () => console.log('listening'))`)
	p.Line("listening")
	client = peer.DialTCP(t, h, "127.0.0.1:8080")
	peer.Write(t, client, strings.Repeat("x", long)+"\r\none\rtw")
	assert.Equal(t, len(peer.Finish(t, client)), 0)
	p.Line(fmt.Sprintf("a line of %d", long))
	p.Line("a line of 3") // a \r is an end by itself
	p.Line("a line of 2")
	p.Exit(0)
}

// In Node text of each chunk by itself breaks a character that is cut: U+FFFD for either
// part. After setEncoding it is whole.
func TestMessagesNodeText(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	p := harness.NodeScript(t, h, `
		let encoding
		const server = require('net').createServer((socket) => {
			if (encoding) {
				socket.setEncoding(encoding)
				server.close()
			}
			encoding = 'utf8' // of the second
			socket.on('data', (data) => console.log(typeof data, JSON.stringify(data.toString())))
		}).listen(0, '127.0.0.1', () => console.log('listening on 127.0.0.1:' + server.address().port))`)
	addr := p.Ready()
	for _, c := range [][]string{{"object \"a\ufffd\"", "object \"\ufffdb\""}, {`string "a"`, `string "你b"`}} {
		client := peer.DialTCP(t, h, addr)
		peer.Write(t, client, "a\xe4\xbd")
		p.Line(c[0])
		peer.Write(t, client, "\xa0b")
		p.Line(c[1])
		assert.Equal(t, len(peer.Finish(t, client)), 0)
	}
	p.Exit(0)
}

// In Node write's encoding is how a text becomes bytes. In Go that is done before Write.
// A text's length is not that of its bytes in UTF-8.
func TestMessagesNodeEncodings(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	p := harness.NodeScript(t, h, `
		const socket = require('net').connect(8080, '127.0.0.1')
		for (const encoding of ['utf8', 'latin1', 'utf16le']) socket.write('é', encoding)
		socket.write('e4bda0', 'hex')
		socket.end('5aW9', 'base64')
		console.log('é'.length, '你好'.length, Buffer.byteLength('你好'))`)
	conn := peer.AcceptTCP(t, ln)
	got, err := io.ReadAll(conn)
	assert.NilError(t, err)
	conn.Close()
	hexed, err := hex.DecodeString("e4bda0")
	assert.NilError(t, err)
	based, err := base64.StdEncoding.DecodeString("5aW9")
	assert.NilError(t, err)
	assert.Equal(t, string(got), "é"+"\xe9"+"\xe9\x00"+string(hexed)+string(based))
	assert.Equal(t, string(hexed)+string(based), "你好")
	assert.Equal(t, len("你好"), 6)
	p.Line("1 2 6")
	p.Exit(0)
}
