package tcp_server

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

func TestCloseEventDescriptors(t *testing.T) {
	t.Parallel()
	peer.CloseEventServer.Exhausted(t)
}

// victim, in the environment, makes the test binary a client that writes to the
// address until it is killed.
const victim = "SOCKETS_VICTIM"

func TestCloseEventVictim(t *testing.T) {
	addr := os.Getenv(victim)
	if addr == "" {
		t.Skip("for TestCloseEventKilledClient")
	}
	conn, err := net.Dial("tcp", addr)
	assert.NilError(t, err)
	fmt.Println("from", conn.LocalAddr())
	for err == nil {
		_, err = conn.Write(make([]byte, 1<<20))
	}
}

// A client that is killed in the midst of a write closes in good order, as far
// as the server can tell: its kernel sends what it has, and a FIN.
func TestCloseEventKilledClient(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/close_event", "-addr", "127.0.0.1:0")
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestCloseEventVictim$", "-test.count=1")
	cmd.Env = append(os.Environ(), victim+"="+server.Ready())
	client := harness.Command(t, h, cmd)
	from := client.Line(`from (\S+)`)[0]
	peer.Freeze(t, server) // nobody reads now: the client will be in a write
	awaitFull(t, h, from)
	client.Signal(syscall.SIGKILL)
	client.Exit(-1)
	server.Signal(syscall.SIGCONT)
	server.Line(from + ` closed`)
	server.Stop()
}

// A reset is one segment, and nothing answers it.
func TestCloseEventWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/close_event")
	program := harness.Start(t, client, "tcp_client/close", "-addr", peer.Here, "-how", "reset")
	program.Await("reset: sent RST")
	program.Exit(0)
	p.Await(`.* closed with error: .*`)
	peer.Drawn(t, "close_event", c.Await("RST", peer.Seen(wire.RST, 1)))
	p.Stop()
}
