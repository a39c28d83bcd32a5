package tcp_server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// contents returns what is in a file.
func contents(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	assert.NilError(t, err)
	info, err := os.Stat(file)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode()&0o111, os.FileMode(0), "what came may be executed")
	return string(data)
}

// lastOfPipe is what pipe and unpipe print last of a client that has gone.
func lastOfPipe(section string) string {
	return map[string]string{"pipe": `piped \d+ bytes`, "unpipe": `closed`}[section]
}

// Every byte of several megabytes from several connections at once is in the
// file, after what was there before, and those of one connection are in order.
// They can be told apart: the upper half of a byte is the connection's number.
// A client that gets the server's FIN finds all of its own there already.
func testPipesAll(t *testing.T, section string, args ...string) {
	t.Helper()
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		file := filepath.Join(t.TempDir(), "message.txt")
		assert.NilError(t, os.WriteFile(file, []byte("before"), 0o600))
		server := start("tcp_server/"+section, append(args, "--addr", "127.0.0.1:0", "--to", file)...)
		addr := server.Ready()

		const connections, each = 8, 512 << 10
		data := make([][]byte, connections)
		errs := make(chan error)
		for i := range connections {
			data[i] = peer.Noise(each + i)
			for j := range data[i] {
				data[i][j] = byte(i)<<4 | data[i][j]&15
			}
			client := peer.DialTCP(t, h, addr)
			go func() {
				_, err := client.Write(data[i])
				err = errors.Join(err, client.CloseWrite())
				_, end := io.Copy(io.Discard, client)
				errs <- errors.Join(err, end)
			}()
		}
		for range connections {
			assert.NilError(t, <-errs)
		}
		got, ok := strings.CutPrefix(contents(t, file), "before")
		assert.Assert(t, ok)
		apart := make([][]byte, connections)
		for _, b := range []byte(got) {
			i := (b >> 4) % connections // of a foreign byte another's data will differ
			apart[i] = append(apart[i], b)
		}
		for i := range apart {
			assert.Assert(t, bytes.Equal(apart[i], data[i]), "connection %d: %d bytes", i, len(apart[i]))
		}

		for range connections {
			server.Await(`\S+:\d+ ` + lastOfPipe(section))
		}
		var sizes []string
		for _, line := range server.Lines() {
			if m := regexp.MustCompile(`^\S+ piped (\d+) bytes\n$`).FindStringSubmatch(line); m != nil {
				sizes = append(sizes, m[1])
			}
		}
		assert.Equal(t, len(sizes), connections)
		slices.Sort(sizes)
		for i, size := range sizes {
			assert.Equal(t, size, fmt.Sprint(each+i))
		}
		server.Stop()
	})
}

// Each write goes to the end, even if others have written to the file or
// emptied it meanwhile.
func testPipeAppends(t *testing.T, section string, args ...string) {
	t.Helper()
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		file := filepath.Join(t.TempDir(), "message.txt")
		assert.NilError(t, os.WriteFile(file, []byte("before\n"), 0o600))
		server := start("tcp_server/"+section, append(args, "--addr", "127.0.0.1:0", "--to", file)...)
		addr := server.Ready()
		say := func(text string) {
			client := peer.DialTCP(t, h, addr)
			peer.Write(t, client, text)
			assert.NilError(t, client.CloseWrite())
			if server.Line(peer.Of(client) + fmt.Sprintf(`piped %d bytes`, len(text))); section == "unpipe" {
				server.Line(peer.Of(client) + `closed`)
			}
		}
		say("one\n")
		assert.Equal(t, contents(t, file), "before\none\n")
		assert.NilError(t, os.WriteFile(file, []byte("another program\n"), 0o600)) // as does > message.txt
		say("two\n")
		assert.Equal(t, contents(t, file), "another program\ntwo\n")
		server.Stop()
	})
}

// A file that cannot be opened is found before the port is touched.
func testPipeNoFile(t *testing.T, section string) {
	t.Helper()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:0")
	dir := t.TempDir()
	for file, cause := range map[string]string{
		dir:                               "is a directory",
		filepath.Join(dir, "no", "where"): "no such file or directory",
		"":                                "no such file or directory",
	} {
		peer.Refuses(t, h, "tcp_server/"+section, regexp.QuoteMeta(fmt.Sprintf("open %s: %s", file, cause)),
			"-addr", ln.Addr().String(), "-to", file)
	}
}

// tcpServer starts a section of the chapter on a free port.
func tcpServer(t *testing.T, on *lab.Host, section string, args ...string) (server *harness.Program, addr string) {
	t.Helper()
	server = harness.Start(t, on, "tcp_server/"+section, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	return server, server.Line(`listening on (\S+:\d+)(?: with a backlog of \d+)?`)[0]
}

func clientAddr(conn net.Conn) string { return conn.LocalAddr().String() }
