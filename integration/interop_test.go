package integration

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// start starts a section, or its counterpart in Node, on a test's host. The
// flags have two hyphens here: Node takes no others, and Go does not mind.
type start func(section string, args ...string) *harness.Program

func inGo(t *testing.T, on *lab.Host) start {
	return func(section string, args ...string) *harness.Program {
		t.Helper()
		return harness.Start(t, on, section, args...)
	}
}

// inNode starts node/SECTION.js.
func inNode(t *testing.T, on *lab.Host) start {
	t.Helper()
	node, err := exec.LookPath("node")
	lab.Require(t, "node", err == nil)
	return func(section string, args ...string) *harness.Program {
		t.Helper()
		script := "node/" + section + ".js"
		// The go command reuses a test's result until a file it opened changes.
		_, err := os.ReadFile(script)
		assert.NilError(t, err)
		return harness.Command(t, on, exec.Command(node, append([]string{script}, args...)...))
	}
}

// withNode runs a test of two programs twice, each time on a host of its own:
// with our client for Node's server, and with Node's client for ours. They
// print the same, so that one test does for both.
func withNode(t *testing.T, test func(t *testing.T, h *lab.Host, server, client start)) {
	t.Parallel()
	t.Run("Node client", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		test(t, h, inGo(t, h), inNode(t, h))
	})
	t.Run("Node server", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		test(t, h, inNode(t, h), inGo(t, h))
	})
}

// compare runs a test of one program in Go and in Node, each on its own host.
func compare(t *testing.T, inGoItIs, inNodeItIs func(t *testing.T, h *lab.Host, start start)) {
	t.Parallel()
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		inGoItIs(t, h, inGo(t, h))
	})
	t.Run("Node", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		inNodeItIs(t, h, inNode(t, h))
	})
}

// connected waits for a client's first line and returns the client's address.
func connected(client *harness.Program) string {
	return client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
}

// waiting starts a client that holds its connection until it is stopped, or the
// server closes it.
func waiting(client start) (p *harness.Program, addr string) {
	p = client("tcp_client/unref")
	addr = connected(p)
	p.Line("waiting for the peer")
	return p, addr
}

// hello starts a client that sends hello and ends its half.
func hello(client start) (p *harness.Program, addr string) {
	p = client("tcp_client/client")
	addr = connected(p)
	p.Line(`sent 5 bytes: "hello"`)
	return p, addr
}

func TestTCPServerServerNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/server")
		s.Line(`listening on 127\.0\.0\.1:8080`)
		c, addr := hello(client)
		c.Line(`received 5 bytes: "hello"`)
		c.Line("closed")
		c.Exit(0)
		s.Line(addr + " connected")
		s.Line(addr + " closed after 5 bytes")
		s.Stop()
	})
}

// In Go a connection's error is what Read returns. In Node it is an event, and
// one that nobody listens for ends the process.
func TestTCPServerServerNodeError(t *testing.T) {
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		s := goes("tcp_server/server")
		s.Ready()
		conn := dialTCP(t, h, "127.0.0.1:8080")
		s.Line(`.* connected`)
		conn.SetLinger(0)
		conn.Close()
		s.Line(`.* closed after 0 bytes`)
		s.Signal(syscall.SIGTERM)
		s.Line("closed")
		s.ExitSaying(0, `server: .*: connection reset by peer\n`)
	}, func(t *testing.T, h *lab.Host, node start) {
		reset := func(s *harness.Program) {
			addr := s.Ready()
			conn := dialTCP(t, h, addr)
			s.Line(`.* connected`)
			conn.SetLinger(0)
			conn.Close()
		}
		s := node("tcp_server/server")
		reset(s)
		s.Line(`.* closed after 0 bytes`)
		s.Signal(syscall.SIGTERM)
		s.Line("closed")
		s.ExitSaying(0, `server: read ECONNRESET\n`)

		s = node("otherwise/error")
		reset(s)
		s.ExitSaying(1, `(?s).*Unhandled 'error' event.*read ECONNRESET.*`)
	})
}

// A connection is a client's as soon as the kernel has made it.
func TestTCPServerListenNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/listen")
		s.Line(`listening on 127\.0\.0\.1:8080 with a backlog of 511`)
		c, _ := waiting(client)
		c.Stop()
		s.Stop()
	})
}

func TestTCPServerAddressNode(t *testing.T) {
	same := func(t *testing.T, h *lab.Host, start start) {
		for _, c := range []struct{ addr, ip, family string }{
			{"127.0.0.1:0", "127.0.0.1", "IPv4"},
			{"[::1]:0", "::1", "IPv6"},
		} {
			s := start("tcp_server/address", "--addr", c.addr)
			ready := s.Ready()
			s.Line("address: " + c.ip)
			s.Line("port: " + ready[strings.LastIndex(ready, ":")+1:])
			s.Line("family: " + c.family)
			s.Stop()
		}
	}
	compare(t, same, same)
}

func TestTCPServerConnectionsNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/connections", "--max", "1")
		s.Ready()
		first, addr := waiting(client)
		s.Line(addr + " connected, 1 open")

		second := client("tcp_client/unref")
		dropped := connected(second)
		s.Line(dropped + " dropped, 1 open")
		second.Line("waiting for the peer")
		second.Exit(0)

		first.Stop()
		s.Line(addr + " closed, 0 open")
		third, addr := waiting(client)
		s.Line(addr + " connected, 1 open")
		third.Stop()
		s.Line(addr + " closed, 0 open")
		s.Stop()
	})
}

func TestTCPServerCloseNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/close")
		s.Ready()
		c, _ := waiting(client)
		// Its connection has been accepted once this later one has been served.
		before, _ := hello(client)
		before.Line(`received 5 bytes: "hello"`)
		before.Line("closed")
		before.Exit(0)

		s.Signal(syscall.SIGTERM)
		s.Line(`no longer listening, [12] open`) // 2 if before is not quite gone
		refused := client("tcp_client/client")
		refused.ExitSaying(1, `client: .*127\.0\.0\.1:8080.*refused\n|client: connect ECONNREFUSED 127\.0\.0\.1:8080\n`)
		c.Stop()
		s.Line("closed")
		s.Exit(0)
	})
}

// Both reply after the client's FIN, Node only because it was told to.
func TestTCPServerHalfOpenNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/half_open")
		s.Ready()
		c, addr := hello(client)
		c.Line(`received 5 bytes: "hello"`)
		c.Line("closed")
		c.Exit(0)
		s.Line(addr + " ended after 5 bytes")
		s.Line(addr + " replied 5 bytes")
		s.Line(addr + " closed")
		s.Stop()
	})
}

// Node's default, which Go's program imitates on demand: no reply.
func TestTCPServerHalfOpenNodeDefault(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/half_open", "--allow=false")
		s.Ready()
		c, addr := hello(client)
		c.Line("closed") // and nothing received
		c.Exit(0)
		s.Line(addr + " ended after 5 bytes")
		s.Line(addr + " closed")
		s.Stop()
	})
}

// A Node server that knows nothing of allowHalfOpen, and replies all the same: its
// half is closed by then. Go's half is open until the program closes it.
func TestTCPServerHalfOpenNodeReplyIsLate(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	s := inNode(t, h)("otherwise/half_open")
	s.Ready()
	c, _ := hello(inGo(t, h))
	c.Line("closed") // and nothing received
	c.Exit(0)
	s.Line("This socket has been ended by the other party|Cannot call write after a stream was destroyed")
	s.Stop()
}

func TestTCPServerSocketAddressNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/socket_address")
		s.Ready()
		c, addr := waiting(client)
		port, _ := strings.CutPrefix(addr, "127.0.0.1:")
		s.Line(`local 127\.0\.0\.1 port 8080 family IPv4, remote 127\.0\.0\.1 port ` + port + ` family IPv4`)
		c.Stop()
		s.Stop()
	})
}

func TestTCPServerReadNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/read")
		s.Ready()
		c, addr := hello(client)
		s.Line(addr + ` read 5 bytes: "hello"`)
		s.Line(addr + " ended after 5 bytes")
		c.Line("closed")
		c.Exit(0)
		s.Stop()
	})
}

// In Go the program says how much one read may bring. Node brings its own
// buffer, and hands over what a program of 1024 bytes would need three reads for.
func TestTCPServerReadNodeBuffer(t *testing.T) {
	message := strings.Repeat("x", 3000)
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		s := goes("tcp_server/read")
		s.Ready()
		conn := dialTCP(t, h, "127.0.0.1:8080")
		conn.Write([]byte(message))
		conn.CloseWrite()
		s.Line(`.* read 1024 bytes: "x{64}"…`)
		s.Line(`.* read 1024 bytes: "x{64}"…`)
		s.Line(`.* read 952 bytes: "x{64}"…`)
		s.Line(`.* ended after 3000 bytes`)
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node start) {
		s := node("tcp_server/read")
		s.Ready()
		conn := dialTCP(t, h, "127.0.0.1:8080")
		conn.Write([]byte(message))
		conn.CloseWrite()
		s.Line(`.* read 3000 bytes: "x{64}"…`)
		s.Line(`.* ended after 3000 bytes`)
		s.Stop()
	})
}

func TestTCPServerCloseEventNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/close_event")
		s.Ready()
		for _, c := range []struct{ how, client, server string }{
			{"end", "ended: sent FIN, still reading", "closed"},
			{"destroy", "destroyed", "closed"},
			{"reset", "reset: sent RST", `closed with error: (connection reset by peer|read ECONNRESET)`},
		} {
			p := client("tcp_client/close", "--how", c.how)
			addr := connected(p)
			p.Line(c.client)
			if c.how == "end" {
				p.Line("closed")
			}
			p.Exit(0)
			if c.how == "reset" { // of a client gone before it was accepted, Node knows no address
				addr = "(?:" + addr + "|undefined:undefined)"
			}
			s.Line(addr + " " + c.server)
		}
		p, addr := hello(client) // unread data would hide the end
		s.Line(addr + " closed")
		p.Line("closed")
		p.Exit(0)
		s.Stop()
	})
}

func TestTCPServerPipeNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		file := filepath.Join(t.TempDir(), "message.txt")
		assert.NilError(t, os.WriteFile(file, []byte("before "), 0o644))
		s := server("tcp_server/pipe", "--to", file)
		s.Ready()
		for range 2 {
			c, addr := hello(client)
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

func TestTCPServerUnpipeNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/unpipe", "--to", filepath.Join(t.TempDir(), "message.txt"), "--after", "1ms")
		s.Ready()
		c, addr := waiting(client)
		s.Line(addr + " unpiped after 0 bytes")
		c.Stop() // the connection was open still
		s.Line(addr + " closed")
		s.Stop()
	})
}

// What comes after is kept from the file. Where it is kept differs: Go leaves it
// in the kernel; Node reads some, and then never learns that the client is gone.
func TestTCPServerUnpipeNodeKeepsTheRest(t *testing.T) {
	unpiped := func(t *testing.T, h *lab.Host, start start) (s *harness.Program, file string) {
		file = filepath.Join(t.TempDir(), "message.txt")
		s = start("tcp_server/unpipe", "--to", file, "--after", "3s")
		s.Ready()
		conn := dialTCP(t, h, "127.0.0.1:8080")
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
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		s, file := unpiped(t, h, goes)
		s.Line(`.* closed`)
		check(t, file)
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node start) {
		s, file := unpiped(t, h, node)
		// Node goes through its events in turn: once it has served a second client
		// from connect to close, it has long had the first one's FIN.
		other := dialTCP(t, h, "127.0.0.1:8080")
		other.Close()
		s.Line(other.LocalAddr().String() + ` piped 0 bytes`)
		s.Line(other.LocalAddr().String() + ` closed`)
		check(t, file)
		s.Signal(syscall.SIGTERM)
		s.Line("closed")
		s.Exit(0)
	})
}

func TestTCPServerPauseResumeNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/pause_resume", "--pause", "100ms")
		s.Ready()
		c := client("tcp_client/write", "--bytes", "16777216")
		addr := connected(c)
		s.Line(addr + " paused")
		s.Line(addr + " resumed")
		s.Line(addr + " ended after 16777216 bytes")
		c.Line("wrote 16777216 bytes in 256 writes")
		c.Line("received 0 bytes")
		c.Line("closed")
		c.Exit(0)
		s.Stop()
	})
}

func TestTCPServerTimeoutNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/timeout", "--timeout", "200ms")
		s.Ready()
		begin := time.Now()
		c, addr := waiting(client)
		s.Line(addr + " timed out after 200ms")
		assert.Assert(t, time.Since(begin) >= 200*time.Millisecond)
		c.Exit(0) // the server closed the connection
		s.Stop()
	})
}

// Left alone, Node's timer says once that nothing happens, and that is all: the
// connection stays, and what happens on it winds the timer up again. In Go the
// deadline makes Read fail, and the program closes.
func TestTCPServerTimeoutNodeClosesNothing(t *testing.T) {
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		s := goes("tcp_server/timeout", "--timeout", "200ms")
		s.Ready()
		conn := dialTCP(t, h, "127.0.0.1:8080")
		s.Line(`.* timed out after 200ms`)
		_, err := conn.Read(make([]byte, 1))
		assert.Error(t, err, "EOF")
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node start) {
		s := node("otherwise/timeout")
		s.Ready()
		first := dialTCP(t, h, "127.0.0.1:8080")
		s.Line(first.LocalAddr().String() + " is idle")
		// Were the first idle a second time, it would say so before this one.
		second := dialTCP(t, h, "127.0.0.1:8080")
		s.Line(second.LocalAddr().String() + " is idle")

		_, err := first.Write([]byte("hello"))
		assert.NilError(t, err)
		buf := make([]byte, 9)
		n, err := first.Read(buf)
		assert.NilError(t, err)
		assert.Equal(t, string(buf[:n]), "hello")
		s.Line(first.LocalAddr().String() + " is idle")
		s.Stop()
	})
}

// The reply comes when the client has ended its half, and none of it is lost.
func TestTCPClientClientNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/half_open")
		s.Ready()
		message := strings.Repeat("x", 100000) // more than one read
		c := client("tcp_client/client", "--message", message)
		addr := connected(c)
		c.Line(`sent 100000 bytes: "x{64}"…`)
		received := 0
		for received < len(message) {
			var n int
			fmt.Sscan(c.Line(`received (\d+) bytes: "x+"…?`)[0], &n)
			received += n
		}
		assert.Equal(t, received, len(message))
		c.Line("closed")
		c.Exit(0)
		s.Await(addr + " closed")
		s.Stop()
	})
}

// With nobody there, both fail at once and with one line.
func TestTCPClientClientNodeRefused(t *testing.T) {
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		goes("tcp_client/client").ExitSaying(1, `client: dial tcp 127\.0\.0\.1:8080: connect: connection refused\n`)
	}, func(t *testing.T, h *lab.Host, node start) {
		node("tcp_client/client").ExitSaying(1, `client: connect ECONNREFUSED 127\.0\.0\.1:8080\n`)
	})
}

// Much more than all buffers hold: neither stops reading while it writes.
func TestTCPClientWriteNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/server")
		s.Ready()
		c := client("tcp_client/write", "--bytes", "33554433")
		addr := connected(c)
		c.Line("wrote 33554433 bytes in 513 writes")
		c.Line("received 33554433 bytes")
		c.Line("closed")
		c.Exit(0)
		s.Line(addr + " connected")
		s.Line(addr + " closed after 33554433 bytes")
		s.Stop()
	})
}

// After end a client still hears; after destroy or reset it is gone.
func TestTCPClientCloseNode(t *testing.T) {
	same := func(t *testing.T, h *lab.Host, start start) {
		ln := listenTCP(t, h, "127.0.0.1:8080")
		for _, c := range []struct {
			how, says string
			err       error
		}{
			{"end", "ended: sent FIN, still reading", nil},
			{"destroy", "destroyed", nil},
			{"reset", "reset: sent RST", syscall.ECONNRESET},
		} {
			p := start("tcp_client/close", "--how", c.how)
			conn := acceptTCP(t, ln)
			connected(p)
			p.Line(c.says)
			_, err := conn.Read(make([]byte, 1))
			if c.err == nil {
				assert.Error(t, err, "EOF")
			} else {
				assert.Assert(t, errors.Is(err, c.err), "%v", err)
			}
			if c.how == "end" {
				_, err := conn.Write([]byte("late"))
				assert.NilError(t, err)
				p.Line(`received 4 bytes: "late"`)
				conn.Close()
				p.Line("closed")
			}
			p.Exit(0)
		}
	}
	compare(t, same, same)
}

// The same flag, and the same end; but Node had to be told not to wait.
func TestTCPClientUnrefNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/server")
		s.Ready()
		c := client("tcp_client/unref", "--ref=false")
		addr := connected(c)
		c.Line("not waiting")
		c.Exit(0)
		s.Line(addr + " connected")
		s.Line(addr + " closed after 0 bytes")

		c, addr = waiting(client)
		s.Line(addr + " connected")
		c.Stop()
		s.Line(addr + " closed after 0 bytes")
		s.Stop()
	})
}

// A paused server makes either client stop. What Go has written by then is in
// the kernel; Node has taken one piece too many, and queues it in the process.
func TestTCPClientBufferSizeNode(t *testing.T) {
	const all = 67108864
	paused := func(t *testing.T, server, client start) (s, c *harness.Program) {
		s = server("tcp_server/pause_resume", "--pause", "3600s")
		s.Ready()
		c = client("tcp_client/buffer_size")
		s.Line(connected(c) + " paused")
		return s, c
	}
	number := func(c *harness.Program, pattern string) (n int) {
		fmt.Sscan(c.Await(pattern)[0], &n)
		return n
	}
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		s, c := paused(t, inNode(t, h), goes)
		wrote := number(c, `wrote (\d+) bytes before blocking`)
		assert.Assert(t, wrote > 0 && wrote < all, "%d", wrote)
		c.Exit(0)
		s.Signal(syscall.SIGTERM)
		s.Line("closed") // it had not resumed
		s.ExitSaying(0, `(pause_resume: read ECONNRESET\n)?`)
	}, func(t *testing.T, h *lab.Host, node start) {
		s, c := paused(t, inGo(t, h), node)
		queued := number(c, `queued (\d+) bytes, the kernel has not taken them`)
		wrote := number(c, `wrote (\d+) bytes without blocking`)
		assert.Assert(t, queued > 0 && queued <= 65536, "%d", queued)
		assert.Assert(t, wrote > queued && wrote < all, "%d", wrote)
		c.Stop()
		s.Signal(syscall.SIGTERM)
		s.Line("closed") // it had not resumed
		s.Exit(0)
	})
}

func TestTCPClientKeepaliveNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("tcp_server/server")
		s.Ready()
		c := client("tcp_client/keepalive", "--idle", "7s")
		addr := connected(c)
		s.Line(addr + " connected")
		c.Line(`keep-alive on: idle 7s(, interval 15s, count 9)?`)
		c.Stop()
		s.Line(addr + " closed after 0 bytes")
		s.Stop()
	})
}

func TestUDPServerServerNodePeer(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("udp_server/server")
		s.Line(`listening on 127\.0\.0\.1:8080`)
		for _, c := range []struct{ message, shown string }{
			{"hello", `"hello"`},
			{"", `""`},
			{strings.Repeat("x", 65507), `"x{64}"…`}, // the largest there is
		} {
			p := client("udp_client/client", "--timeout", "30s", "--message", c.message)
			addr := connected(p)
			p.Line(fmt.Sprintf(`sent %d bytes: %s`, len(c.message), c.shown))
			s.Line(fmt.Sprintf(`%s IPv4 sent %d bytes: %s`, addr, len(c.message), c.shown))
			p.Line(fmt.Sprintf(`received %d bytes from 127\.0\.0\.1:8080: %s`, len(c.message), c.shown))
			p.Exit(0)
		}
		s.Stop()
	})
}

func TestUDPServerBindNode(t *testing.T) {
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		s := goes("udp_server/bind")
		s.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
		goes("udp_server/bind").ExitSaying(1, `bind: listen udp4 127\.0\.0\.1:8080: bind: address already in use\n`)
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node start) {
		s := node("udp_server/bind")
		s.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
		node("udp_server/bind").ExitSaying(1, `bind: bind EADDRINUSE 127\.0\.0\.1:8080\n`)
		s.Stop()
	})
}

// On :: a udp6 socket of Node's has the port for IPv4 as well, one of Go's has
// not: another program can still have it.
func TestUDPServerBindNodeFamilies(t *testing.T) {
	bind := func(t *testing.T, h *lab.Host, start start) (s, s4 *harness.Program) {
		s = start("udp_server/bind", "--network", "udp6", "--addr", "[::]:8080")
		s.Line(`listening on \[::\]:8080 \(udp6\)`)
		return s, start("udp_server/bind", "--addr", "0.0.0.0:8080")
	}
	compare(t, func(t *testing.T, h *lab.Host, goes start) {
		s, s4 := bind(t, h, goes)
		s4.Line(`listening on 0\.0\.0\.0:8080 \(udp4\)`)
		s4.Stop()
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node start) {
		s, s4 := bind(t, h, node)
		s4.ExitSaying(1, `bind: bind EADDRINUSE 0\.0\.0\.0:8080\n`)
		s.Stop()
	})
}

func TestUDPServerAddressNodePeer(t *testing.T) {
	same := func(t *testing.T, h *lab.Host, start start) {
		for _, c := range []struct{ network, addr, ip, family string }{
			{"udp4", "127.0.0.1:0", "127.0.0.1", "IPv4"},
			{"udp6", "[::1]:0", "::1", "IPv6"},
		} {
			s := start("udp_server/address", "--network", c.network, "--addr", c.addr)
			ready := s.Ready()
			s.Line("address: " + c.ip)
			s.Line("port: " + ready[strings.LastIndex(ready, ":")+1:])
			s.Line("family: " + c.family)
			s.Stop()
		}
	}
	compare(t, same, same)
}

// A peer that is not there is heard of only because the socket is connected.
func TestUDPClientClientNode(t *testing.T) {
	refused := func(message string) func(t *testing.T, h *lab.Host, start start) {
		return func(t *testing.T, h *lab.Host, start start) {
			c := start("udp_client/client", "--timeout", "30s")
			connected(c)
			c.Line(`sent 5 bytes: "hello"`)
			c.ExitSaying(1, message)
		}
	}
	compare(t, refused(`client: read udp 127\.0\.0\.1:\d+->127\.0\.0\.1:8080: read: connection refused\n`),
		refused(`client: recvmsg ECONNREFUSED\n`))
}

func TestUDPClientClientNodeNoReply(t *testing.T) {
	same := func(t *testing.T, h *lab.Host, start start) {
		listenUDP(t, h, "udp4", "127.0.0.1:8080") // and says nothing
		c := start("udp_client/client", "--timeout", "50ms")
		connected(c)
		c.Line(`sent 5 bytes: "hello"`)
		c.ExitSaying(1, `client: read 127\.0\.0\.1:8080: no reply within 50ms\n`)
	}
	compare(t, same, same)
}

func TestUDPClientSendNodePeer(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("udp_server/server")
		s.Ready()
		c := client("udp_client/send", "--message", "hello, world", "--offset", "7", "--length", "3")
		port := c.Line(`sent 3 bytes to 127\.0\.0\.1:8080 from 0\.0\.0\.0:(\d+)`)[0]
		s.Line(`127\.0\.0\.1:` + port + ` IPv4 sent 3 bytes: "wor"`)
		c.Line(`received 3 bytes from 127\.0\.0\.1:8080: "wor"`)
		c.Exit(0)
		s.Stop()
	})
}

// Two clients, one in each language, share the port and hear both servers.
func TestBroadcastServerNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	var clients []*harness.Program
	for _, start := range []start{inGo(t, h), inNode(t, h)} {
		c := start("broadcast/client")
		c.Line(`listening on 0\.0\.0\.0:8080`)
		clients = append(clients, c)
	}
	for _, start := range []start{inGo(t, h), inNode(t, h)} {
		s := start("broadcast/server", "--count", "2", "--interval", "1ms")
		port := s.Line(`sending to 127\.255\.255\.255:8080 from 0\.0\.0\.0:(\d+)`)[0]
		for range 2 {
			sent := s.Line(`sent 19 bytes: ("` + clock + `")`)[0]
			for _, c := range clients {
				c.Line(`127\.0\.0\.1:` + port + `: ` + sent)
			}
		}
		s.Exit(0)
	}
	for _, c := range clients {
		c.Stop()
	}
}

// Nobody may broadcast who has not asked to. Go has, for every UDP socket.
func TestBroadcastServerNodeHasToAsk(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	run := inNode(t, h)
	client := harness.Start(t, h, "broadcast/client")
	client.Ready()
	node := run("otherwise/broadcast")
	node.Line(`send EACCES 127\.255\.255\.255:8080`)
	node.Line("sent")
	node.Exit(0)
	client.Line(`127\.0\.0\.1:\d+: "second"`) // and no first
	server := harness.Start(t, h, "broadcast/server", "-count", "1")
	server.Line(`sending to .*`)
	sent := server.Line(`sent 19 bytes: (".*")`)[0]
	server.Exit(0)
	client.Line(`127\.0\.0\.1:\d+: ` + sent)
	client.Stop()
}

// Bound to the machine's own address, a client in either language hears what is
// sent to that address, and no broadcast.
func TestBroadcastClientNode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows gives such a socket broadcasts too")
	}
	same := func(t *testing.T, h *lab.Host, start start) {
		c := start("broadcast/client", "--addr", "127.0.0.1:8080")
		c.Line(`listening on 127\.0\.0\.1:8080`)
		for _, to := range []string{"127.255.255.255:8080", "127.0.0.1:8080"} {
			s := start("broadcast/server", "--addr", to, "--count", "1")
			port := s.Line(`sending to ` + to + ` from 0\.0\.0\.0:(\d+)`)[0]
			sent := s.Line(`sent 19 bytes: (".*")`)[0]
			s.Exit(0)
			if to == "127.0.0.1:8080" {
				c.Line(`127\.0\.0\.1:` + port + `: ` + sent) // and not the one before
			}
		}
		c.Stop()
	}
	compare(t, same, same)
}

// heard is a line of a multicast client: Node has no way to tell the TTL.
func heard(from, data string) string {
	return from + `(?: TTL \d+)?: ` + data
}

// groupOf waits until a client has joined the notes' group.
func groupOf(c *harness.Program) {
	// Node's is bound to the group, so that the kernel filters; Go's program does.
	c.Line(`listening on (?:0\.0\.0\.0|230\.185\.192\.108):8080`)
	c.Line(`joined 230\.185\.192\.108 on \S+`)
}

// Two clients, one in each language, share the port and hear both servers.
func TestMulticastServerNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	var clients []*harness.Program
	for _, start := range []start{inGo(t, h), inNode(t, h)} {
		c := start("multicast/client")
		groupOf(c)
		clients = append(clients, c)
	}
	for _, start := range []start{inGo(t, h), inNode(t, h)} {
		s := start("multicast/server", "--ttl", "7", "--count", "2", "--interval", "1ms")
		from := sending(s, notesGroup, "lo", 7, "on")
		for range 2 {
			sent := s.Line(`sent 19 bytes: ("` + clock + `")`)[0]
			clients[0].Line(from + ` TTL 7: ` + sent)
			clients[1].Line(from + `: ` + sent)
		}
		s.Exit(0)
	}
	for _, c := range clients {
		c.Stop()
	}
}

// The notes' server does not get to its first datagram.
func TestMulticastServerNodeAsInTheNotes(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	p := inNode(t, h)("notes/multicast_server")
	p.ExitSaying(1, `(?s).*TypeError: server\.MulticastTTL is not a function\n.*`)
}

// In Go a socket is there, and bound, before anybody can set an option. In Node
// the options have to wait for it.
func TestMulticastServerNodeOptionsBeforeBind(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	p := inNode(t, h)("otherwise/options")
	options := []string{"setBroadcast", "setMulticastInterface", "setMulticastLoopback", "setMulticastTTL", "setTTL"}
	for _, option := range options {
		p.Line(option + ": " + option + " EBADF")
	}
	p.Line("bound")
	for _, option := range options {
		p.Line(option + ": done")
	}
	p.Exit(0)
}

// Both print their own group's datagrams only: Go's looks at where they were
// sent to, Node's has the kernel sort them.
func TestMulticastClientNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		c := client("multicast/client")
		groupOf(c)
		stranger := member(t, h, "239.1.2.3:8080", "lo")
		send := func(group string) (from, sent string) {
			s := server("multicast/server", "--group", group, "--count", "1")
			from = sending(s, group, "lo", 128, "on")
			sent = s.Line(`sent 19 bytes: (".*")`)[0]
			s.Exit(0)
			return from, sent
		}
		from, _ := send("239.1.2.3:8080")
		_, _, src := hear(t, stranger)
		assert.Equal(t, src, from)
		c.Line(heard(send(notesGroup))) // and not the stranger's
		c.Stop()
	})
}

// The notes' client, on a machine that has the address it binds: it joins, and
// hears nothing but what is sent to that address. The mended one hears the group.
func TestMulticastClientNodeAsInTheNotes(t *testing.T) {
	t.Parallel()
	h, far := lab.NewHost(t, "h"), lab.NewHost(t, "far")
	lab.Link(t, h, "192.168.1.103/24", far, "192.168.1.1/24")
	h.Route(t, "224.0.0.0/4", "192.168.1.1") // it leaves the interface to the system
	node := inNode(t, h)
	client := node("notes/multicast_client")
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if groups := memberships(t, h, "eth0"); !slices.Contains(groups, "230.185.192.108") {
			return poll.Continue("the host has joined %v", groups)
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(5*time.Millisecond))
	marker(t, far, "-interface", "eth0")
	to := &net.UDPAddr{IP: net.IPv4(192, 168, 1, 103), Port: 8080}
	_, err := listenUDP(t, far, "udp4", "192.168.1.1:0").WriteTo([]byte("to its address"), to)
	assert.NilError(t, err)
	client.Line("to its address") // and nothing before
	client.Signal(syscall.SIGKILL)
	client.Exit(-1)

	client = node("multicast/client", "--interface", "eth0")
	groupOf(client)
	client.Line(marker(t, far, "-interface", "eth0") + `: "` + clock + `"`)
	client.Stop()
}

func TestMulticastMembershipNode(t *testing.T) {
	lab.Require(t, "namespaces", lab.Isolated())
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		s := server("multicast/server", "--interval", "10ms")
		from := sending(s, notesGroup, "lo", 128, "on")
		c := client("multicast/membership", "--leave-after", "1s")
		groupOf(c)
		c.Line(heard(from, `".*"`))
		c.Await(`left 230\.185\.192\.108 on lo`)
		assert.Assert(t, !slices.Contains(memberships(t, h, "lo"), "230.185.192.108"))
		// Another program of the machine is a member, so that the socket hears the
		// group still. The program keeps it to itself.
		other := joined(t, h)
		for range 3 {
			other.Line(heard(from, `".*"`))
		}
		c.Signal(syscall.SIGTERM)
		c.Line("closed")
		c.Exit(0)
		other.Stop()
		s.Stop()
	})
}

// Both hear the sender that they were asked to hear, and no other: on lo it is the
// machine at one of its addresses.
func TestMulticastSourceNode(t *testing.T) {
	lab.Require(t, "namespaces", lab.Isolated())
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		c := client("multicast/source")
		c.Line(`listening on (?:0\.0\.0\.0|232\.185\.192\.108):8080`)
		c.Line(`joined 232\.185\.192\.108 from 127\.0\.0\.1 on lo`)
		all := member(t, h, sourceGroup, "lo")
		other := sender(t, h, "lo", net.IPv4(127, 0, 0, 2))
		_, err := other.WriteTo([]byte("other"), nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(sourceGroup)))
		assert.NilError(t, err)
		_, _, src := hear(t, all)
		assert.Equal(t, src, other.LocalAddr().String())
		s := server("multicast/server", "--group", sourceGroup, "--count", "1")
		from := sending(s, sourceGroup, "lo", 128, "on")
		c.Line(heard(from, s.Line(`sent 19 bytes: (".*")`)[0])) // and not the other's
		s.Exit(0)
		c.Stop()
	})
}

func TestMulticastTTLNode(t *testing.T) {
	withNode(t, func(t *testing.T, h *lab.Host, server, client start) {
		c := client("multicast/client")
		groupOf(c)
		plain := member(t, h, notesGroup, "lo")
		s := server("multicast/ttl", "--ttl", "0,1,2,128,255")
		from := s.Line(`sending to 230\.185\.192\.108:8080 from (\S+) on lo`)[0]
		for _, ttl := range []int{0, 1, 2, 128, 255} {
			s.Line(fmt.Sprintf("sent TTL %d", ttl))
			c.Line(fmt.Sprintf(`%s(?: TTL %d)?: "TTL %[2]d"`, from, ttl))
			_, cm, _ := hear(t, plain)
			assert.Equal(t, cm.TTL, ttl)
		}
		s.Exit(0)
		c.Stop()
	})
}

// lo returns everything, a network card only what it is told to.
func TestMulticastLoopbackNode(t *testing.T) {
	same := func(t *testing.T, h *lab.Host, start start) {
		p := start("multicast/loopback", "--wait", "30s")
		p.Line(`sending to 230\.185\.192\.108:8080 from 127\.0\.0\.1:\d+ on lo, TTL 0`)
		p.Line("loopback on: heard")
		p.Line("loopback off: heard")
		p.Line(`lo returns everything .*`)
		p.Exit(0)

		far := lab.NewHost(t, "far")
		lab.Link(t, h, "10.0.0.1/24", far, "10.0.0.2/24")
		p = start("multicast/loopback", "--interface", "eth0", "--wait", "2s")
		p.Line(`sending to 230\.185\.192\.108:8080 from 10\.0\.0\.1:\d+ on eth0, TTL 0`)
		p.Line("loopback on: heard")
		p.Line("loopback off: silent")
		p.Exit(0)
	}
	compare(t, same, same)
}

// command starts a command with other arguments, on a test's host.
type command func(args ...string) *harness.Program

// inSocat starts socat, which logs on stdout, so that a test can wait for it.
func inSocat(t *testing.T, on *lab.Host) command {
	t.Helper()
	path, err := exec.LookPath("socat")
	lab.Require(t, "socat", err == nil)
	return func(args ...string) *harness.Program {
		t.Helper()
		return harness.Command(t, on, exec.Command(path, append([]string{"-d", "-d", "-lf/dev/stdout"}, args...)...))
	}
}

// withSocat runs a test of socat and one program in Go and in Node, each time on
// a host of its own.
func withSocat(t *testing.T, test func(t *testing.T, start start, socat command)) {
	same := func(t *testing.T, h *lab.Host, start start) { test(t, start, inSocat(t, h)) }
	compare(t, same, same)
}

// say is an address for socat: it sends text, ends its half, and prints what
// comes back.
func say(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text")
	assert.NilError(t, os.WriteFile(file, []byte(text), 0o644))
	return "OPEN:" + file + ",rdonly!!STDOUT"
}

// printed waits for socat's end and returns what it printed, without its log.
func printed(t *testing.T, p *harness.Program) string {
	t.Helper()
	assert.Equal(t, p.Wait(), 0)
	p.Complaint("")
	return socatLog.ReplaceAllString(strings.Join(p.Lines(), ""), "")
}

var socatLog = regexp.MustCompile(`\d{4}/\d\d/\d\d \d\d:\d\d:\d\d socat\[\d+\] [A-Z] .*\n`)

// socat ends its half at the end of its input, and waits for what still comes.
func TestTCPServerHalfOpenSocat(t *testing.T) {
	withSocat(t, func(t *testing.T, start start, socat command) {
		s := start("tcp_server/half_open")
		s.Ready()
		p := socat("-t", "30", say(t, "hello"), "TCP4:127.0.0.1:8080")
		assert.Equal(t, printed(t, p), "hello")
		s.Line(`.* ended after 5 bytes`)
		s.Line(`.* replied 5 bytes`)
		s.Line(`.* closed`)
		s.Stop()

		s = start("tcp_server/half_open", "--allow=false")
		s.Ready()
		p = socat("-t", "30", say(t, "hello"), "TCP4:127.0.0.1:8080")
		assert.Equal(t, printed(t, p), "")
		s.Line(`.* ended after 5 bytes`)
		s.Line(`.* closed`)
		s.Stop()
	})
}

// wc answers at the end of its input, which is the client's FIN: had the client
// closed both ways, it would not hear the answer.
func TestTCPClientClientSocat(t *testing.T) {
	withSocat(t, func(t *testing.T, start start, socat command) {
		p := socat("-t", "30", "TCP4-LISTEN:8080,bind=127.0.0.1", "EXEC:wc -c")
		p.Await(`.* listening on .*`)
		c, _ := hello(start)
		c.Line(`received \d+ bytes: " *5\\n"`)
		c.Line("closed")
		c.Exit(0)
		printed(t, p)
	})
}

func TestUDPServerServerSocat(t *testing.T) {
	withSocat(t, func(t *testing.T, start start, socat command) {
		s := start("udp_server/server")
		s.Ready()
		p := socat("STDIO", "UDP4:127.0.0.1:8080")
		p.Await(`.* starting data transfer loop .*`)
		for range 3 { // each write is a datagram
			p.Write("hello\n")
			p.Await("hello")
			s.Line(`127\.0\.0\.1:\d+ IPv4 sent 6 bytes: "hello\\n"`)
		}
		p.Signal(syscall.SIGKILL) // of an end it hears only over TCP
		p.Exit(-1)
		s.Stop()
	})
}

func TestUDPClientClientSocat(t *testing.T) {
	withSocat(t, func(t *testing.T, start start, socat command) {
		for _, section := range []string{"udp_client/client", "udp_client/send"} {
			p := socat("UDP4-RECVFROM:8080,bind=127.0.0.1", "PIPE") // an echo of one datagram
			p.Await(`.* receiving on .*`)
			c := start(section)
			c.Await(`sent 5 bytes.*`)
			c.Line(`received 5 bytes from 127\.0\.0\.1:8080: "hello"`)
			c.Exit(0)
			printed(t, p)
		}
	})
}

func TestBroadcastServerSocat(t *testing.T) {
	withSocat(t, func(t *testing.T, start start, socat command) {
		p := socat("-u", "UDP4-RECVFROM:8080,reuseaddr", "STDOUT")
		p.Await(`.* receiving on .*`)
		s := start("broadcast/server", "--count", "1")
		s.Line(`sending to .*`)
		sent := s.Line(`sent 19 bytes: "(.*)"`)[0]
		s.Exit(0)
		assert.Equal(t, printed(t, p), sent)
	})
}

// socat has to ask as well.
func TestBroadcastClientSocat(t *testing.T) {
	withSocat(t, func(t *testing.T, start start, socat command) {
		c := start("broadcast/client")
		c.Ready()
		p := socat("-u", say(t, "refused"), "UDP4-DATAGRAM:127.255.255.255:8080")
		p.Await(`.* E .*Permission denied`)
		p.Await(`.* exit\(1\)`)
		p.Exit(1)
		p = socat("-u", say(t, "hello"), "UDP4-DATAGRAM:127.255.255.255:8080,broadcast")
		printed(t, p)
		c.Line(`127\.0\.0\.1:\d+: "hello"`)
		c.Stop()
	})
}

func TestMulticastServerSocat(t *testing.T) {
	withSocat(t, func(t *testing.T, start start, socat command) {
		p := socat("-u", "UDP4-RECVFROM:8080,reuseaddr,ip-add-membership=230.185.192.108:127.0.0.1", "STDOUT")
		p.Await(`.* receiving on .*`)
		s := start("multicast/server", "--count", "1")
		sending(s, notesGroup, "lo", 128, "on")
		sent := s.Line(`sent 19 bytes: "(.*)"`)[0]
		s.Exit(0)
		assert.Equal(t, printed(t, p), sent)
	})
}

func TestMulticastClientSocat(t *testing.T) {
	withSocat(t, func(t *testing.T, start start, socat command) {
		c := start("multicast/client")
		groupOf(c)
		for _, ttl := range []int{7, 1} {
			p := socat("-u", say(t, "hello"),
				fmt.Sprintf("UDP4-DATAGRAM:%s,bind=127.0.0.1,ip-multicast-if=127.0.0.1,ip-multicast-ttl=%d", notesGroup, ttl))
			printed(t, p)
			c.Line(fmt.Sprintf(`127\.0\.0\.1:\d+(?: TTL %d)?: "hello"`, ttl))
		}
		c.Stop()
	})
}

// startNode runs a script with Node, for its own word on what the pages say of it.
func startNode(t *testing.T, on *lab.Host, script string) *harness.Program {
	t.Helper()
	path, err := exec.LookPath("node")
	lab.Require(t, "node", err == nil)
	return harness.Command(t, on, exec.Command(path, "-e", script))
}
