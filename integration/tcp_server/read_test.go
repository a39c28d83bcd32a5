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

// A line for each read, its data quoted and cut to 64 bytes, then the sum.
func TestReadShowsData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/read", "-addr", "127.0.0.1:0")
	client := peer.DialTCP(t, h, server.Ready())
	sum := 0
	for data, shown := range map[string]string{
		"hello":                  `"hello"`,
		"a\x00\n\"\\\xff":        `"a\x00\n\"\\\xff"`,
		"你好":                     `"你好"`,
		strings.Repeat("x", 64):  `"` + strings.Repeat("x", 64) + `"`,
		strings.Repeat("y", 65):  `"` + strings.Repeat("y", 64) + `"…`,
		strings.Repeat("z", 999): `"` + strings.Repeat("z", 64) + `"…`,
	} {
		peer.Write(t, client, data)
		server.Line(peer.Of(client) + fmt.Sprintf(`read %d bytes: `, len(data)) + regexp.QuoteMeta(shown))
		sum += len(data)
	}
	assert.NilError(t, client.CloseWrite())
	server.Line(peer.Of(client) + fmt.Sprintf("ended after %d bytes", sum))
	_, err := client.Read(make([]byte, 1)) // the server has closed too
	assert.Equal(t, err, io.EOF)

	server.Stop()
}

// The sum is of all reads, however many.
func TestReadCountsAllBytes(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/read", "-addr", "127.0.0.1:0", "-buffer", "4096")
	addr := server.Ready()
	for _, n := range []int{0, 1, 4096, 1<<20 + 7} {
		client := peer.DialTCP(t, h, addr)
		_, err := client.Write(peer.Noise(n))
		assert.NilError(t, err)
		assert.NilError(t, client.CloseWrite())
		for sum, more := 0, 0; sum < n; sum += more {
			_, err := fmt.Sscan(server.Line(peer.Of(client) + `read (\d+) bytes: .*`)[0], &more)
			assert.NilError(t, err)
			assert.Assert(t, 0 < more && more <= 4096, "%d", more)
		}
		server.Line(peer.Of(client) + fmt.Sprintf("ended after %d bytes", n))
	}
	server.Stop()
}

// A buffer may be as small, and as large, as the command line says.
func TestReadBuffer(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for buffer, pieces := range map[string][]string{"1": {"x", "y"}, "16777216": {"xy"}} {
		server := harness.Start(t, h, "tcp_server/read", "-addr", "127.0.0.1:0", "-buffer", buffer)
		client := peer.DialTCP(t, h, server.Ready())
		peer.Write(t, client, "xy")
		for _, piece := range pieces {
			server.Line(peer.Of(client) + fmt.Sprintf(`read %d bytes: "%s"`, len(piece), piece))
		}
		assert.NilError(t, client.CloseWrite())
		server.Line(peer.Of(client) + "ended after 2 bytes")
		server.Stop()
	}
}

// A reset is no FIN: nothing has ended in good order. It costs that client's
// connection and no other.
func TestReadReset(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/read", "-addr", "127.0.0.1:0")
	addr := server.Ready()
	rude, other := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
	peer.Write(t, rude, "hel")
	server.Line(peer.Of(rude) + `read 3 bytes: "hel"`)
	peer.Reset(t, rude)
	peer.ReadServer.Serves(t, server, other)
	want := fmt.Sprintf(`read: read tcp %s->%s: read: connection reset by peer\n`,
		regexp.QuoteMeta(addr), regexp.QuoteMeta(rude.LocalAddr().String()))
	server.Complaint(want)
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, want)
}

func TestReadNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/read")
		s.Ready()
		c, addr := peer.Hello(client)
		s.Line(addr + ` read 5 bytes: "hello"`)
		s.Line(addr + " ended after 5 bytes")
		c.Line("closed")
		c.Exit(0)
		s.Stop()
	})
}

// In Go the program says how much one read may bring. Node brings its own
// buffer, and hands over what a program of 1024 bytes would need three reads for.
func TestReadNodeBuffer(t *testing.T) {
	message := strings.Repeat("x", 3000)
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		s := goes("tcp_server/read")
		s.Ready()
		conn := peer.DialTCP(t, h, "127.0.0.1:8080")
		conn.Write([]byte(message))
		conn.CloseWrite()
		s.Line(`.* read 1024 bytes: "x{64}"…`)
		s.Line(`.* read 1024 bytes: "x{64}"…`)
		s.Line(`.* read 952 bytes: "x{64}"…`)
		s.Line(`.* ended after 3000 bytes`)
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		s := node("tcp_server/read")
		s.Ready()
		conn := peer.DialTCP(t, h, "127.0.0.1:8080")
		conn.Write([]byte(message))
		conn.CloseWrite()
		s.Line(`.* read 3000 bytes: "x{64}"…`)
		s.Line(`.* ended after 3000 bytes`)
		s.Stop()
	})
}
