package tcp_server

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

func TestPipeComplete(t *testing.T) {
	t.Parallel()
	testPipesAll(t, "pipe")
}

func TestPipeAppends(t *testing.T) {
	t.Parallel()
	testPipeAppends(t, "pipe")
}

func TestPipeNoFile(t *testing.T) {
	t.Parallel()
	testPipeNoFile(t, "pipe")
}

func TestPipeNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		file := filepath.Join(t.TempDir(), "message.txt")
		assert.NilError(t, os.WriteFile(file, []byte("before "), 0o644))
		s := server("tcp_server/pipe", "--to", file)
		s.Ready()
		for range 2 {
			c, addr := peer.Hello(client)
			s.Line(addr + " piped 5 bytes")
			c.Line("closed")
			c.Exit(0)
		}
		stored, err := os.ReadFile(file)
		assert.NilError(t, err)
		assert.Equal(t, string(stored), "before hellohello") // each appends
		s.Stop()
	})
}
