package tcp_server

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Until then it is like pipe.
func TestUnpipeComplete(t *testing.T) {
	t.Parallel()
	testPipesAll(t, "unpipe", "-after", "1h")
}

func TestUnpipeAppends(t *testing.T) {
	t.Parallel()
	testPipeAppends(t, "unpipe", "-after", "1h")
}

func TestUnpipeNoFile(t *testing.T) {
	t.Parallel()
	testPipeNoFile(t, "unpipe")
}

// The time is each connection's own, from its beginning, and no time is a time.
func TestUnpipeAfter(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, after := range []time.Duration{300 * time.Millisecond, 0} {
		file := filepath.Join(t.TempDir(), "message.txt")
		server := harness.Start(t, h, "tcp_server/unpipe", "-addr", "127.0.0.1:0", "-after", after.String(), "-to", file)
		addr := server.Ready()
		for range 2 {
			begin := time.Now()
			client := peer.DialTCP(t, h, addr)
			server.Line(peer.Of(client) + `unpiped after 0 bytes`)
			assert.Assert(t, time.Since(begin) >= after)
			peer.Write(t, client, "late")
			assert.NilError(t, client.Close())
			server.Line(peer.Of(client) + `closed`)
		}
		server.Stop()
		assert.Equal(t, contents(t, file), "")
	}
}

// A client that goes before that is piped to its end, and then is gone.
func TestUnpipeEndsBefore(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := peer.UnpipeServer.Start(t, h, "-addr", "127.0.0.1:0")
	client := peer.DialTCP(t, h, server.Ready())
	peer.Write(t, client, "hello")
	assert.NilError(t, client.CloseWrite())
	server.Line(peer.Of(client) + `piped 5 bytes`)
	server.Line(peer.Of(client) + `closed`)
	server.Stop()
}

func TestUnpipeNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/unpipe", "--to", filepath.Join(t.TempDir(), "message.txt"), "--after", "1ms")
		s.Ready()
		c, addr := peer.Waiting(client)
		s.Line(addr + " unpiped after 0 bytes")
		c.Stop() // the connection was open still
		s.Line(addr + " closed")
		s.Stop()
	})
}

// What comes after is kept from the file. Where it is kept differs: Go leaves it
// in the kernel; Node reads some, and then never learns that the client is gone.
func TestUnpipeNodeKeepsTheRest(t *testing.T) {
	unpiped := func(t *testing.T, h *lab.Host, start harness.Starter) (s *harness.Program, file string) {
		file = filepath.Join(t.TempDir(), "message.txt")
		s = start("tcp_server/unpipe", "--to", file, "--after", "3s")
		s.Ready()
		conn := peer.DialTCP(t, h, "127.0.0.1:8080")
		conn.Write([]byte("before"))
		s.Line(`.* unpiped after 6 bytes`)
		conn.Write([]byte("after"))
		conn.Close()
		return s, file
	}
	check := func(t *testing.T, file string) {
		stored, err := os.ReadFile(file)
		assert.NilError(t, err)
		assert.Equal(t, string(stored), "before")
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		s, file := unpiped(t, h, goes)
		s.Line(`.* closed`)
		check(t, file)
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		s, file := unpiped(t, h, node)
		// Node goes through its events in turn: once it has served a second client
		// from connect to close, it has long had the first one's FIN.
		other := peer.DialTCP(t, h, "127.0.0.1:8080")
		other.Close()
		s.Line(other.LocalAddr().String() + ` piped 0 bytes`)
		s.Line(other.LocalAddr().String() + ` closed`)
		check(t, file)
		s.Signal(syscall.SIGTERM)
		s.Line("closed")
		s.Exit(0)
	})
}
