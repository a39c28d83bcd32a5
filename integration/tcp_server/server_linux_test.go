package tcp_server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// What follows an urgent byte comes back as well. That byte does not: the kernel
// keeps it for who asks, until another comes. If it waited behind unread bytes it is an
// ordinary one then.
func TestServerUrgent(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/server", "--addr", "127.0.0.1:0")
		conn := peer.DialTCP(t, h, server.Ready())
		server.Line(peer.Of(conn) + "connected")
		peer.Echoes(t, conn, "before")
		urgent(t, conn, '!')
		peer.Echoes(t, conn, "after")

		peer.Freeze(t, server)
		peer.Write(t, conn, "a")
		urgent(t, conn, '!')
		peer.Write(t, conn, "b")
		urgent(t, conn, '?')
		peer.Write(t, conn, "c")
		peer.Until(t, "all has arrived", func() bool { return unreadOf(t, h, clientAddr(conn)) == 5 })
		server.Signal(unix.SIGCONT)
		peer.Same(t, peer.Finish(t, conn), []byte("a!bc"))
		server.Line(peer.Of(conn) + "closed after 15 bytes")
		server.Stop()
	})
}

// From connection to connection io.Copy gets no further than an urgent byte, and ends at
// the client's FIN with no error.
func TestServerSplice(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:0")
	client := peer.DialTCP(t, h, ln.Addr().String())
	conn := peer.AcceptTCP(t, ln)
	type end struct {
		n   int64
		err error
	}
	ended := make(chan end, 1)
	go func() {
		n, err := io.Copy(conn, conn)
		ended <- end{n, err}
	}()
	peer.Echoes(t, client, "before")
	urgent(t, client, '!')
	peer.Write(t, client, "after")
	assert.NilError(t, client.CloseWrite())
	assert.Equal(t, <-ended, end{6, nil})
}

// A client that writes more than all buffers hold before it reads waits: nothing moves
// any more. When it reads, it gets all.
func TestServerWaits(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		size := peer.Overfill(t, h)
		server := start("tcp_server/server", "--addr", "127.0.0.1:0")
		conn := peer.DialTCP(t, h, server.Ready())
		server.Line(peer.Of(conn) + "connected")
		sent := make(chan error, 1)
		go func() {
			_, err := conn.Write(make([]byte, size))
			sent <- errors.Join(err, conn.CloseWrite())
		}()
		awaitFull(t, h, conn.LocalAddr().String())
		n, err := io.Copy(io.Discard, conn)
		assert.NilError(t, errors.Join(err, <-sent))
		assert.Equal(t, n, int64(size))
		server.Line(fmt.Sprintf("%sclosed after %d bytes", peer.Of(conn), size))
		server.Stop()
	})
}

// One descriptor a connection: no pipe, so no splice(2).
func TestServerDescriptors(t *testing.T) {
	harness.Ours(t, "how many descriptors a connection takes is the program's choice")
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	peer.Echoes(t, peer.DialTCP(t, h, addr), "hello")
	before := peer.Descriptors(t, server)
	for range 10 {
		peer.Echoes(t, peer.DialTCP(t, h, addr), "hello")
	}
	after := peer.Descriptors(t, server)
	assert.Equal(t, len(after), len(before)+10, "%v", after)
	assert.Equal(t, peer.SocketsAmong(after), 1+11, "%v", after)
	server.Stop()
}

// IPv6, and link-local addresses with their zone.
func TestServerIPv6(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		if !peer.InOurNode(t) { // a zone within the brackets, below, is more
			server := start("tcp_server/server", "--addr", "[::1]:0")
			conn := peer.DialTCP(t, h, server.Ready())
			server.Line(peer.Of(conn) + "connected")
			peer.Echoes(t, conn, "hello")
			peer.Finish(t, conn)
			server.Line(peer.Of(conn) + "closed after 5 bytes")
			server.Stop()
		}

		client := lab.NewHost(t, "client")
		lab.Link(t, h, "fe80::1/64", client, "fe80::2/64")
		server := start("tcp_server/server", "--addr", "[fe80::1%eth0]:8080")
		assert.Equal(t, server.Ready(), "[fe80::1%eth0]:8080")
		c := harness.Start(t, client, "tcp_client/client", "-addr", "[fe80::1%eth0]:8080")
		from := regexp.QuoteMeta(c.Line(`connected to \[fe80::1%eth0\]:8080 from (\[fe80:[0-9a-f:]+%eth0\]:\d+)`)[0])
		c.Await(`received 5 bytes: "hello"`)
		c.Line("closed")
		c.Exit(0)
		server.Line(from + " connected")
		server.Line(from + " closed after 5 bytes")
		server.Stop()
	})
}

// While nobody reads its output it serves no newcomer: what that one sends stays
// unread.
func TestServerOutputUnread(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	p := peer.StartDeaf(t, h, "tcp_server/server", 1)
	conn := peer.DialTCP(t, h, "127.0.0.1:8080")
	peer.Write(t, conn, "hello")
	p.AwaitLine()
	assert.Equal(t, unreadOf(t, h, conn.LocalAddr().String()), 5)
	p.Kill()
}

// When the reader of its output has gone, the server's next line ends it in Go
// (SIGPIPE), and in Node the next but one ('error' of process.stdout).
func TestServerOutputReaderGone(t *testing.T) {
	run := func(t *testing.T, h *lab.Host, command ...string) *harness.Program {
		out, in, err := os.Pipe()
		assert.NilError(t, err)
		defer in.Close()
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdout = in // the harness's pipe stays open
		p := harness.Command(t, h, cmd)
		line, err := bufio.NewReader(out).ReadString('\n')
		assert.NilError(t, err)
		assert.Equal(t, line, "listening on 127.0.0.1:8080\n")
		assert.NilError(t, out.Close())
		peer.Until(t, "nothing that another test starts holds it any more", func() bool {
			end := []unix.PollFd{{Fd: int32(in.Fd())}}
			_, err := unix.Poll(end, 0)
			return err == nil && end[0].Revents&unix.POLLERR != 0 // nobody reads (poll(2))
		})
		return p
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, _ harness.Starter) {
		p := run(t, h, harness.Binary(t, "tcp_server/server"))
		peer.DialTCP(t, h, "127.0.0.1:8080")
		p.Exit(-1) // by a signal
	}, func(t *testing.T, h *lab.Host, _ harness.Starter) {
		p := run(t, h, "node", harness.File(t, "tcp_server/server/main.js"))
		conn := peer.DialTCP(t, h, "127.0.0.1:8080")
		peer.Echoes(t, conn, "hello")
		peer.Finish(t, conn)
		p.ExitSaying(1, `(?s).*Unhandled 'error' event.*write EPIPE.*`)
	})
}

// The bytes go, the bytes come back, then FIN from both.
func TestServerWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/server")
	conn := peer.DialTCP(t, client, peer.Here)
	fmt.Fprint(conn, "hello")
	_, err := io.ReadFull(conn, make([]byte, 5))
	assert.NilError(t, err)
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	peer.Drawn(t, "server", c.Await("both FINs", peer.Seen(wire.FIN, 2)))
	p.Stop()
}
