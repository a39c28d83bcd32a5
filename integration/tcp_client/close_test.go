package tcp_client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Each way once against the echo server, as the page shows it.
func TestCloseTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	var programs []*harness.Program
	for _, c := range []struct {
		how   string
		lines []string
	}{
		{"end", []string{"ended: sent FIN, still reading", "closed"}},
		{"destroy", []string{"destroyed"}},
		{"reset", []string{"reset: sent RST"}},
	} {
		client := harness.Start(t, h, "tcp_client/close", "-how", c.how)
		from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
		for _, line := range c.lines {
			client.Line(line)
		}
		client.Exit(0)
		server.Line(from + " connected")
		server.Line(from + " closed after 0 bytes")
		programs = append(programs, client)
	}
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, `server: .*: connection reset by peer\n`) // one of the three was that
	harness.Transcript(t, "close.txt", programs...)
}

// -how end, which is the default: the peer reads the end, and what it then sends
// is received.
func TestCloseEnd(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "close") // with the flag: TestCloseEndWithUnreadData
		client.Line("ended: sent FIN, still reading")
		assert.Equal(t, readToFIN(t, remote), "")
		for _, c := range []struct{ data, shown string }{
			{"still there?", `"still there\?"`},
			{"caf\u00e9\n", `"café\\n"`},
			{strings.Repeat("x", 64), `"x{64}"`},
			{strings.Repeat("x", 65), `"x{64}"`},
		} {
			peer.Write(t, remote, c.data)
			client.Line(fmt.Sprintf(`received %d bytes: %s`, len(c.data), c.shown))
		}
		remote.Close()
		client.Line("closed")
		client.Exit(0)
	})
}

// -how destroy: the peer reads an end like any other. That nobody reads it any
// more it learns when it writes: the connection is gone.
func TestCloseDestroy(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "close", "--how", "destroy")
		client.Line("destroyed")
		client.Exit(0)
		assert.Equal(t, readToFIN(t, remote), "")
		peer.Write(t, remote, "still there?") // the first write succeeds
		for {
			if _, err := io.WriteString(remote, "still there?"); err != nil {
				assert.ErrorIs(t, err, syscall.EPIPE)
				return
			}
		}
	})
}

// -how reset: no end but an error.
func TestCloseReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "close", "--how", "reset")
		client.Line("reset: sent RST")
		client.Exit(0)
		_, err := remote.Read(make([]byte, 1))
		assert.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

// A signal ends the wait for the peer's FIN.
func TestCloseStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, _ := dialled(t, h, start, "close")
		client.Line("ended: sent FIN, still reading")
		stopWaiting(t, client, syscall.SIGINT)
	})
}

// A peer that resets is an error: one line, and exit code 1.
func TestClosePeerResets(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "close")
		client.Line("ended: sent FIN, still reading")
		assert.Equal(t, readToFIN(t, remote), "")
		testReset(t, client, remote)
	})
}

// After end() Node closes by itself once the data has been read and then the FIN.
// While nobody reads the data the socket stays open, and nothing is said.
func TestCloseNodeWaitsForAReader(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:0")
	node := harness.Node(t, h)("testdata/unread.js", fmt.Sprint(ln.Addr().(*net.TCPAddr).Port))
	remote := peer.AcceptTCP(t, ln)
	assert.Equal(t, readToFIN(t, remote), "")
	peer.Write(t, remote, "unread")
	remote.Close()
	for unread := ""; unread != "6"; {
		node.Write("how?\n")
		unread = node.Line(`(\d+) bytes unread, destroyed false`)[0]
	}
	for range 3 { // each is a turn of Node's loop, in which it would read the FIN
		node.Write("how?\n")
		node.Line(`6 bytes unread, destroyed false`)
	}
	node.Write("resume\n")
	node.Line(`6 bytes unread, destroyed false`)
	node.Line("closed")
	node.Exit(0)
}

// Nobody there, a name that means nothing, or another word for how.
func TestCloseFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "close")
	h := lab.NewHost(t, "h")
	peer.Refuses(t, h, "tcp_client/close", `want -how end, destroy or reset .* "foo" .*`, "-how", "foo")
	harness.Node(t, h)("tcp_client/close", "--how", "foo").ExitSaying(1, `close: want --how end, destroy or reset, not foo\n`)
}

// What each way of closing is to a server that replies at the client's end.
func TestCloseWithHalfOpen(t *testing.T) {
	for how, said := range map[string]string{"end": `ended: sent FIN, still reading`, "destroy": "destroyed", "reset": "reset: sent RST"} {
		t.Run(how, func(t *testing.T) {
			s, c, from := pair(t, "tcp_server/half_open", "tcp_client/close", "-how", how)
			c.Line(said)
			if how == "end" {
				c.Line("closed")
			}
			c.Exit(0)
			if how == "reset" { // no end, so nothing to reply to
				s.Line(from + ` closed`)
				s.Signal(syscall.SIGTERM)
				s.Line("closed")
				s.ExitSaying(0, `half_open: .*: connection reset by peer\n`)
				return
			}
			s.Line(from + ` ended after 0 bytes`)
			s.Line(from + ` replied 0 bytes`)
			s.Line(from + ` closed`)
			s.Stop()
		})
	}
}

// To close_event end and destroy are the same, and reset is an error.
func TestCloseWithCloseEvent(t *testing.T) {
	for how, said := range map[string]string{
		"end": `closed`, "destroy": `closed`, "reset": `closed with error: .*connection reset by peer`,
	} {
		t.Run(how, func(t *testing.T) {
			s, c, from := pair(t, "tcp_server/close_event", "tcp_client/close", "-how", how)
			c.Await(`ended: .*|destroyed|reset: .*`)
			s.Line(from + " " + said)
			if how == "end" {
				c.Line("closed")
			}
			c.Exit(0)
			s.Stop()
		})
	}
}

// After Close each call fails with net.ErrClosed, one that waits too. In Node
// destroyed is true, and a write is called back with ERR_STREAM_DESTROYED.
func TestCloseAfterwards(t *testing.T) {
	harness.Compare(t, func(t *testing.T, h *lab.Host, _ harness.Starter) {
		ln := peer.ListenTCP(t, h, "127.0.0.1:0")
		conn := peer.DialTCP(t, h, ln.Addr().String())
		waits := make(chan error)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			waits <- err
		}()
		assert.NilError(t, conn.Close())
		assert.ErrorIs(t, <-waits, net.ErrClosed)
		for name, call := range map[string]func() error{
			"Read":       func() error { _, err := conn.Read(make([]byte, 1)); return err },
			"Write":      func() error { _, err := conn.Write([]byte("x")); return err },
			"CloseWrite": conn.CloseWrite,
			"SetLinger":  func() error { return conn.SetLinger(0) },
			"Close":      conn.Close,
		} {
			assert.Check(t, errors.Is(call(), net.ErrClosed), name)
		}
	}, func(t *testing.T, h *lab.Host, _ harness.Starter) {
		ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
		p := harness.NodeScript(t, h, `
			const socket = require('node:net').connect(8080, '127.0.0.1', () => {
				console.log(socket.destroyed)
				socket.destroy()
				console.log(socket.destroyed)
				socket.write('x', (err) => console.log(err.code))
			})`)
		peer.AcceptTCP(t, ln)
		for _, line := range []string{"false", "true", "ERR_STREAM_DESTROYED"} {
			p.Line(line)
		}
		p.Exit(0)
	})
}
