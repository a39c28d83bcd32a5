package tcp_server

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

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
	for chunk := make([]byte, 1<<20); err == nil; {
		_, err = conn.Write(chunk)
	}
}

// A client that is killed in the midst of a write closes in good order, as far
// as the server can tell: its kernel sends what it has, and a FIN.
func TestCloseEventKilledClient(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Overfill(t, h) // and so it soon is in the midst
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

// A reset is an error to Go, whatever came before it. Node before 24.16 takes it for
// a good end if it finds some data and the reset at one time; Node 24.16 does not.
func TestCloseEventResetBehindData(t *testing.T) {
	after := func(t *testing.T, h *lab.Host, start harness.Starter, end string) {
		server := start("tcp_server/close_event", "--addr", "127.0.0.1:0")
		client := peer.DialTCP(t, h, server.Ready())
		peer.Until(t, "it is accepted", func() bool { return peer.SocketsAmong(peer.Descriptors(t, server)) >= 2 })
		peer.Write(t, client, "seen")
		peer.Until(t, "it is read", func() bool { return unreadOf(t, h, client.LocalAddr().String()) == 0 })
		peer.Freeze(t, server) // so that it finds both at one time
		peer.Write(t, client, "more")
		peer.Reset(t, client)
		peer.Until(t, "the reset has come", func() bool { return unreadOf(t, h, client.LocalAddr().String()) == 0 })
		server.Signal(syscall.SIGCONT)
		server.Line(peer.Of(client) + end)
		server.Stop()
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		after(t, h, start, "closed with error: connection reset by peer")
	}, func(t *testing.T, h *lab.Host, start harness.Starter) {
		end := "closed"
		if harness.NodeTellsResets(t) {
			end = "closed with error: read ECONNRESET"
		}
		after(t, h, start, end)
	})
}

// apart is a server and a client on one network, and cut takes the client's cable
// away: no end of the connection gets through any more.
func apart(t *testing.T) (client, server *lab.Host, cut func()) {
	t.Helper()
	network := lab.NewSegment(t, "network")
	client, server = lab.NewHost(t, "client"), lab.NewHost(t, "server")
	network.Join(t, client, "10.0.0.2/24")
	network.Join(t, server, "10.0.0.1/24")
	return client, server, func() { client.Unplug(t, "eth0") }
}

// A vanished client sends neither a FIN nor a reset. Go has keep-alive on, which
// ends the waiting: after 15 s of silence, and 9 probes 15 s apart.
func TestCloseEventVanishedClient(t *testing.T) {
	harness.Ours(t, "Go has keep-alive on without being asked")
	t.Parallel()
	client, server, cut := apart(t)
	p := peer.Serving(t, server, "tcp_server/close_event")
	conn := peer.DialTCP(t, client, peer.Here)
	peer.Until(t, "it is accepted", func() bool { return peer.SocketsAmong(peer.Descriptors(t, p)) == 2 })
	for _, o := range []struct {
		what              string
		level, name, want int
	}{
		{"keep-alive is on", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"it begins after 15 s", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
		{"probes are 15 s apart", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{"there are 9 probes", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
	} { // set once it is accepted
		peer.Until(t, o.what, func() bool { return peer.Option(t, p, false, o.level, o.name) == o.want })
	}
	cut()
	for _, fd := range peer.SocketsOf(t, p) { // nobody has to wait for 150 s
		for _, option := range []int{unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT} {
			assert.NilError(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, option, 1))
		}
	}
	p.Line(peer.Of(conn) + `closed with error: connection timed out`)
	p.Stop()
}

// A write to a vanished peer succeeds, and so does the next. The error comes when
// the kernel has sent the bytes again as often as tcp_retries2 says.
func TestCloseEventWriteToVanished(t *testing.T) {
	t.Parallel()
	client, server, cut := apart(t)
	ln := peer.ListenTCP(t, client, "10.0.0.2:8080")
	conn := peer.DialTCP(t, server, ln.Addr().String())
	retries := func() (value string) {
		server.Do(func() {
			text, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_retries2")
			value = strings.TrimSpace(string(text))
		})
		return value
	}
	assert.Equal(t, retries(), "15")
	peer.SetSysctl(t, server, "net/ipv4/tcp_retries2", "2")
	cut()
	peer.Write(t, conn, "into the void")
	peer.Write(t, conn, "and again")
	_, err := conn.Read(make([]byte, 1))
	assert.ErrorIs(t, err, unix.ETIMEDOUT)
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
