package peer

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/lab"
)

// Exhausted is a test of the server with no descriptor free: it neither dies nor
// spins, and whoever waits is served once another has gone.
func (s Server) Exhausted(t *testing.T) {
	t.Helper()
	h := lab.NewHost(t, "h")
	p := s.Start(t, h, "-addr", "127.0.0.1:0")
	addr := p.Ready()
	s.Serves(t, p, DialTCP(t, h, addr)) // what it opens only once, it has
	limit := uint64(0)
	for free := 0; free < 2; limit++ { // it may hold some with high numbers
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", p.Pid(), limit)); err != nil {
			free++
		}
	}
	assert.NilError(t, unix.Prlimit(p.Pid(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil))

	begin, before := time.Now(), written(t, p)
	var clients []*net.TCPConn
	for range 4 {
		clients = append(clients, DialTCP(t, h, addr))
	}
	const complaint = "accept tcp 127.0.0.1:12345: accept4: too many open files" // about as long
	Until(t, "it complains", func() bool { return written(t, p)-before >= len(complaint) })
	for _, client := range clients {
		s.Serves(t, p, client)
	}
	p.Signal(syscall.SIGTERM)
	p.Await("closed")
	p.ExitSaying(0, fmt.Sprintf(`(%s: accept tcp .*: accept4: too many open files\n){1,%d}`,
		s.Section, 1+time.Since(begin)/(500*time.Millisecond)))
}
