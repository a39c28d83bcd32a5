package tcp_server

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// A line for each read, its data quoted and cut to 64, then the sum; and the
// server has closed too.
func TestReadShowsData(t *testing.T) {
	x, y := strings.Repeat("x", 64), strings.Repeat("y", 64)
	test := func(odd string) func(*testing.T, *lab.Host, harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			server := start("tcp_server/read", "--addr", "127.0.0.1:0")
			client := peer.DialTCP(t, h, server.Ready())
			sum := 0
			for data, shown := range map[string]string{
				"hello":                  `"hello"`,
				"你好\n\"\\":               `"你好\n\"\\"`,
				"\x00\xff":               odd,
				x:                        `"` + x + `"`,
				y + "y":                  `"` + y + `"`,
				x + strings.Repeat(y, 9): `"` + x + `"`,
			} {
				peer.Write(t, client, data)
				server.Line(peer.Of(client) + fmt.Sprintf(`read %d bytes: `, len(data)) + regexp.QuoteMeta(shown))
				sum += len(data)
			}
			assert.NilError(t, client.CloseWrite())
			server.Line(peer.Of(client) + fmt.Sprintf("ended after %d bytes", sum))
			_, err := client.Read(make([]byte, 1))
			assert.Equal(t, err, io.EOF)
			server.Stop()
		}
	}
	harness.Compare(t, test(`"\x00\xff"`), test(`"\u0000`+"\ufffd"+`"`))
}

// The sum is of all bytes, however many reads it took.
func TestReadCountsAllBytes(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/read", "--addr", "127.0.0.1:0", "--buffer", "4096")
		addr := server.Ready()
		for _, n := range []int{0, 1, 4096, 1<<20 + 7} {
			client := peer.DialTCP(t, h, addr)
			peer.Write(t, client, peer.Noise(n))
			assert.NilError(t, client.CloseWrite())
			for sum, more := 0, 0; sum < n; sum += more {
				_, err := fmt.Sscan(server.Line(peer.Of(client) + `read (\d+) bytes: .*`)[0], &more)
				assert.NilError(t, err)
				assert.Assert(t, 0 < more && more <= 4096, "%d", more)
			}
			server.Line(peer.Of(client) + fmt.Sprintf("ended after %d bytes", n))
		}
		server.Stop()
	})
}

// A buffer may be of 1 byte, which cuts a character in three, and of 16 MiB.
func TestReadBuffer(t *testing.T) {
	test := func(cut ...string) func(*testing.T, *lab.Host, harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			for buffer, pieces := range map[string][]string{"1": cut, "16777216": {"你"}} {
				server := start("tcp_server/read", "--addr", "127.0.0.1:0", "--buffer", buffer)
				client := peer.DialTCP(t, h, server.Ready())
				peer.Write(t, client, "你")
				for _, piece := range pieces {
					server.Line(peer.Of(client) + fmt.Sprintf(`read %d bytes: "%s"`, 3/len(pieces), regexp.QuoteMeta(piece)))
				}
				assert.NilError(t, client.CloseWrite())
				server.Line(peer.Of(client) + "ended after 3 bytes")
				server.Stop()
			}
		}
	}
	harness.Compare(t, test(`\xe4`, `\xbd`, `\xa0`), test("\ufffd", "\ufffd", "\ufffd"))
}

// More than 16 MiB is refused, with a line that says what is wanted.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, size := range []string{"0", "16777217", "18446744073709551615"} {
		peer.Refuses(t, h, "tcp_server/read", `want .*-buffer 1 to 16777216 .*`+size+`.*`, "-buffer", size)
	}
	for _, size := range []string{"0", "1.5", "x"} { // with which Node would read nothing, or for ever
		harness.Node(t, h)("tcp_server/read", "--buffer", size).ExitSaying(1, `read: want a --buffer of 1 or more, not `+size+`\n`)
	}
}

// A reset is no end. It costs that client's connection and no other.
func TestReadReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/read", "--addr", "127.0.0.1:0")
		addr := server.Ready()
		rude, other := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
		peer.Write(t, rude, "hel")
		server.Line(peer.Of(rude) + `read 3 bytes: "hel"`)
		peer.Reset(t, rude)
		const want = `read: .*(connection reset by peer|ECONNRESET)\n`
		server.Complaint(want)
		peer.Write(t, other, "hello")
		server.Line(peer.Of(other) + `read 5 bytes: "hello"`) // and no line that rude has ended
		peer.Silent(t, other)
		server.Line(peer.Of(other) + `ended after 5 bytes`)
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, want)
	})
}

// With onread a socket of Node's that connects reads into one buffer, as much at a
// time as that holds, and emits 'end' and no 'data'.
func TestReadNodeOnread(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	p := harness.NodeScript(t, h, `
		const buffer = Buffer.alloc(4)
		const callback = (n, buf) => console.log(n, buf === buffer, buf.toString('latin1', 0, n))
		require('node:net').connect({ port: 8080, host: '127.0.0.1', onread: { buffer, callback } })
			.on('data', () => console.log('data')).on('end', () => console.log('end'))`)
	conn := peer.AcceptTCP(t, ln)
	peer.Write(t, conn, "onetwothree")
	assert.NilError(t, conn.CloseWrite())
	got := ""
	for len(got) < len("onetwothree") {
		m := p.Line(`([1-4]) true (\w+)`)
		assert.Equal(t, m[0], fmt.Sprint(len(m[1])))
		got += m[1]
	}
	assert.Equal(t, got, "onetwothree")
	p.Line("end")
	p.Exit(0)
}
