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
	testPipesAll(t, "unpipe", "--after", "1000s")
}

// It appends, also after what others have written.
func TestUnpipeAppends(t *testing.T) {
	testPipeAppends(t, "unpipe", "--after", "1000s")
}

// A file that cannot be opened: exit code 1, and no port is touched.
func TestUnpipeNoFile(t *testing.T) {
	t.Parallel()
	testPipeNoFile(t, "unpipe")
}

// The time is each connection's own, from its beginning, and no time is a time.
func TestUnpipeAfter(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		file := filepath.Join(t.TempDir(), "message.txt")
		times := []time.Duration{300 * time.Millisecond, 0}
		if peer.InOurNode(t) {
			times = times[:1] // in TestUnpipeStop it is 0
		}
		for _, after := range times {
			server := start("tcp_server/unpipe", "--addr", "127.0.0.1:0", "--after", "0m"+after.String(), "--to", file) // two units, as in 1m30s
			addr := server.Ready()
			for range 2 {
				begin := time.Now()
				client := peer.DialTCP(t, h, addr)
				server.Line(peer.Of(client) + `unpiped after 0 bytes`)
				assert.Assert(t, time.Since(begin) >= after-2*time.Millisecond) // Node counts in whole ones
				assert.NilError(t, client.Close())                              // it was open still
				server.Line(peer.Of(client) + `closed`)
			}
			server.Stop()
		}
		assert.Equal(t, contents(t, file), "")
	})
}

// A client that goes sooner is piped to its end, and then is gone.
func TestUnpipeEndsBefore(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		// More than setTimeout takes.
		server := start("tcp_server/unpipe", "--addr", "127.0.0.1:0", "--after", "720h", "--to", filepath.Join(t.TempDir(), "message.txt"))
		client := peer.DialTCP(t, h, server.Ready())
		peer.Write(t, client, "hello")
		peer.Silent(t, client)
		server.Line(peer.Of(client) + `piped 5 bytes`)
		server.Line(peer.Of(client) + `closed`)
		server.Stop()
	})
}

// A signal ends it with data that arrived since, and the client gets a reset.
func TestUnpipeStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/unpipe", "--addr", "127.0.0.1:0", "--after", "0s", "--to", os.DevNull)
		client := peer.DialTCP(t, h, server.Ready())
		server.Line(peer.Of(client) + `unpiped after 0 bytes`)
		peer.Write(t, client, "unread")
		server.Stop()
		_, err := client.Read(make([]byte, 1))
		assert.ErrorIs(t, err, syscall.ECONNRESET)
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
