package peer

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// Server is a section of tcp_server: what it promises as all servers do.
type Server struct {
	Section   string
	args      []string // with which it soon has served a client that says hello and goes
	to        bool     // it wants a file too
	Relays    bool     // it wants an echo behind it
	Says      string   // what the client says, if not hello
	Served    string   // what it then prints last of that client, if it prints
	Complains string   // of clients that send it rubbish: a pattern
	Echoes    bool
	Waits     bool // on a signal, for its clients to leave
}

// Start starts the server.
func (s Server) Start(t *testing.T, on *lab.Host, args ...string) *harness.Program {
	t.Helper()
	if s.to {
		args = append(args, "-to", filepath.Join(t.TempDir(), "message.txt"))
	}
	if s.Relays {
		args = append(args, "-to", EchoTCP(t, on))
	}
	return harness.Start(t, on, "tcp_server/"+s.Section, append(s.args, args...)...)
}

// Serves checks that the server serves a connected client.
func (s Server) Serves(t *testing.T, p *harness.Program, client *net.TCPConn) {
	t.Helper()
	Write(t, client, cmp.Or(s.Says, "hello"))
	assert.NilError(t, client.CloseWrite())
	got, err := io.ReadAll(client)
	assert.NilError(t, err)
	assert.Equal(t, string(got), map[bool]string{true: "hello"}[s.Echoes])
	if s.Served != "" {
		p.Await(Of(client) + s.Served)
	}
}

// Test is one proof for all that every server promises.
func (s Server) Test(t *testing.T) {
	t.Run("defaults to 127.0.0.1:8080", func(t *testing.T) {
		t.Parallel()
		lab.Require(t, "namespaces", lab.Isolated())
		h := lab.NewHost(t, "h")
		p := s.Start(t, h)
		assert.Equal(t, p.Ready(), "127.0.0.1:8080")
		p.Stop()
	})
	for _, any := range []string{"127.0.0.1:0", "[::1]:0", "localhost:0"} {
		t.Run("many at once on "+any, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			p := s.Start(t, h, "-addr", any)
			addr := p.Ready()
			var clients []*net.TCPConn
			for range 30 {
				clients = append(clients, DialTCP(t, h, addr))
			}
			for i := range clients { // all are open, and the last to come is the first to be served
				s.Serves(t, p, clients[len(clients)-1-i])
			}
			p.Stop()
		})
	}
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if s.Waits {
			break
		}
		t.Run(fmt.Sprintf("%v with clients connected", sig), func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			p := s.Start(t, h, "-addr", "127.0.0.1:0")
			addr := p.Ready()
			silent, talking, served := DialTCP(t, h, addr), DialTCP(t, h, addr), DialTCP(t, h, addr)
			Write(t, talking, "hel")
			s.Serves(t, p, served) // accepted last: so all are
			begin := time.Now()
			p.Signal(sig)
			p.Await("closed")
			p.Exit(0)
			// A second is promised. What takes ten waits for something else.
			assert.Assert(t, time.Since(begin) < 10*time.Second)
			for _, client := range []net.Conn{silent, talking} {
				_, err := io.Copy(io.Discard, client) // FIN or RST: gone
				assert.Assert(t, !os.IsTimeout(err), "%v", err)
			}
		})
	}
}

// Of is the pattern that begins a server's lines on this client.
func Of(client net.Conn) string { return regexp.QuoteMeta(client.LocalAddr().String()) + " " }

// Sections of tcp_server, and what they promise as all servers do.
var (
	ReadServer        = Server{Section: "read", Served: "ended after 5 bytes"}
	CloseEventServer  = Server{Section: "close_event", Served: "closed"}
	PipeServer        = Server{Section: "pipe", to: true, Served: "piped 5 bytes"}
	UnpipeServer      = Server{Section: "unpipe", args: []string{"-after", "1h"}, to: true, Served: "closed"}
	PauseResumeServer = Server{Section: "pause_resume", args: []string{"-pause", "1ms"}, Served: "ended after 5 bytes"}
	TimeoutServer     = Server{Section: "timeout", args: []string{"-timeout", "1m"}, Echoes: true}
)
