package tcp_server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// If nobody listens at the target, the client is connected all the same, and what it sends
// acknowledged; then it is reset. The next one may have more luck.
func TestRelayRefused(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		relay := start("tcp_server/relay", "--addr", "127.0.0.1:0")
		addr := relay.Ready()
		peer.Freeze(t, relay) // the kernel connects
		client := peer.DialTCP(t, h, addr)
		peer.Write(t, client, "hello")
		peer.Until(t, "it is acknowledged", func() bool {
			unread, sending := queues(t, h, clientAddr(client))
			return unread == 5 && sending == 0
		})
		relay.Signal(syscall.SIGCONT)
		wasReset(t, client)
		relay.Complaint(`relay: .*(connection refused|ECONNREFUSED).*\n`)
		target := peer.ListenTCP(t, h, "127.0.0.1:8081")
		next, server := relayed(t, h, relay, addr, target)
		server.Close()
		assert.Equal(t, len(peer.Finish(t, next)), 0)
		closedAfter(relay, next, 0, 0)
		relay.Signal(syscall.SIGTERM)
		relay.Line("closed")
		relay.ExitSaying(0, `relay: .*(connection refused|ECONNREFUSED).*\n`)
	})
}

// In Go the target's name is looked up once, at the start, in Node for each client.
func TestRelayLooksUp(t *testing.T) {
	test := func(atStart, each bool) func(*testing.T, *lab.Host, harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			var asked atomic.Int32
			again := func() bool { return asked.Swap(0) > 0 }
			peer.NameServer(t, h, "127.0.0.1:53", map[string][]string{"target.test": {"127.0.0.1"}}, func(string) { asked.Add(1) })
			peer.Asks(t, h, "127.0.0.1")
			target := peer.ListenTCP(t, h, "127.0.0.1:8081")
			relay := start("tcp_server/relay", "--addr", "127.0.0.1:0", "--to", "target.test:8081")
			addr := relay.Ready()
			assert.Equal(t, again(), atStart)
			for range 2 {
				client, server := relayed(t, h, relay, addr, target)
				assert.Equal(t, again(), each)
				server.Close()
				assert.Equal(t, len(peer.Finish(t, client)), 0)
				closedAfter(relay, client, 0, 0)
			}
			relay.Stop()
		}
	}
	harness.Compare(t, test(true, false), test(false, true))
}

// In Node a client is reset if there is no such name, or if all its addresses refuse: that
// error has no message of its own, and is told all the same. (To Go see TestRelayRefuses.)
func TestRelayNodeNoTarget(t *testing.T) {
	harness.Ours(t, "when a program looks a name up is its own affair")
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Names(t, h, "127.0.0.1 target", "::1 target")
	for to, complaint := range map[string]string{"target:8081": "ECONNREFUSED", "target.invalid:8081": "getaddrinfo .* target.invalid"} {
		relay := harness.Node(t, h)("tcp_server/relay", "--addr", "127.0.0.1:0", "--to", to)
		addr := relay.Ready()
		peer.Freeze(t, relay) // or the reset may come before the dialer looks
		client := peer.DialTCP(t, h, addr)
		relay.Signal(syscall.SIGCONT)
		wasReset(t, client)
		relay.Complaint("relay: " + complaint + `\n`)
		relay.Signal(syscall.SIGTERM)
		relay.Line("closed")
		relay.ExitSaying(0, "relay: "+complaint+`\n`)
	}
}

// A relay that ends in the middle resets both connections, so that nobody takes a part
// for the whole: in Go even when it is killed, where Node's sends FIN.
func TestRelayKilled(t *testing.T) {
	test := func(killed error) func(*testing.T, *lab.Host, harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			for sig, want := range map[syscall.Signal]error{syscall.SIGTERM: syscall.ECONNRESET, syscall.SIGKILL: killed} {
				relay, addr, target := relays(t, h, start)
				client, server := relayed(t, h, relay, addr, target)
				peer.Write(t, client, "hel")
				_, err := io.ReadFull(server, make([]byte, 3))
				assert.NilError(t, err)
				relay.Signal(sig)
				for _, conn := range []*net.TCPConn{client, server} {
					_, err := io.Copy(io.Discard, conn)
					assert.ErrorIs(t, err, want, "%v", sig)
				}
				if sig == syscall.SIGTERM {
					relay.Await("closed") // in Node the client's line may come before
					relay.Exit(0)
				} else {
					assert.Equal(t, relay.Wait(), -1)
				}
			}
		}
	}
	harness.Compare(t, test(syscall.ECONNRESET), test(nil))
}

// Who sends is stopped while the other does not read: the relay keeps next to nothing,
// and all of it arrives later.
func TestRelayWaits(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		size := 2 * peer.Overfill(t, h) // of which the kernels keep little, too
		relay, addr, target := relays(t, h, start)
		client, server := relayed(t, h, relay, addr, target)
		memory := func() (kB int) {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", relay.Pid()))
			assert.NilError(t, err)
			_, after, _ := strings.Cut(string(status), "RssAnon:")
			_, err = fmt.Sscan(after, &kB)
			assert.NilError(t, err)
			return kB
		}
		before := memory()
		data := peer.Noise(size)
		sent := make(chan error, 1)
		go func() {
			_, err := client.Write(data)
			sent <- errors.Join(err, client.CloseWrite())
		}()
		awaitFull(t, h, client.LocalAddr().String())
		grown := memory() - before
		assert.Assert(t, grown < size>>10/2, "%d kB", grown)
		got, err := io.ReadAll(server)
		assert.NilError(t, errors.Join(err, <-sent))
		assert.Assert(t, bytes.Equal(got, data), "%d bytes", len(got))
		assert.NilError(t, server.Close())
		got, err = io.ReadAll(client)
		assert.NilError(t, err)
		assert.Equal(t, len(got), 0)
		closedAfter(relay, client, size, 0)
		relay.Stop()
	})
}

// An urgent byte is no end: what is after it is passed on, too.
func TestRelayUrgent(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		relay, addr, target := relays(t, h, start)
		client, server := relayed(t, h, relay, addr, target)
		peer.Write(t, client, "before")
		urgent(t, client, '!')
		peer.Write(t, client, "after")
		assert.NilError(t, client.CloseWrite())
		got, err := io.ReadAll(server)
		assert.NilError(t, err)
		assert.Equal(t, string(got), "beforeafter")
		assert.NilError(t, server.Close())
		got, err = io.ReadAll(client)
		assert.NilError(t, err)
		assert.Equal(t, len(got), 0)
		closedAfter(relay, client, 11, 0)
		relay.Stop()
	})
}

// A reset that waits behind data is one to Go and to Node 24.16. Node before that takes
// it for the end, and its relay sends FIN.
func TestRelayResetUnread(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		relay, addr, target := relays(t, h, start)
		client, server := relayed(t, h, relay, addr, target)
		peer.Freeze(t, relay)
		arrive(t, h, client, "hel")
		peer.Reset(t, client)
		peer.Until(t, "the reset has come", func() bool { return unreadOf(t, h, client.LocalAddr().String()) == 0 })
		relay.Signal(syscall.SIGCONT)
		if relay.Section != "node" || harness.NodeTellsResets(t) {
			wasReset(t, server)
		} else {
			got, err := io.ReadAll(server)
			assert.NilError(t, err)
			assert.Equal(t, string(got), "hel")
		}
		relay.Signal(syscall.SIGTERM)
		relay.Await("closed")
		assert.Equal(t, relay.Wait(), 0)
	})
}

// Who has ended its half can still reset. The relay does not read there any more: it
// learns of it when the other sends, and resets that one, too.
func TestRelayResetAfterFIN(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		relay, addr, target := relays(t, h, start)
		good, behind := relayed(t, h, relay, addr, target)
		for _, clientFirst := range []bool{true, false} {
			client, server := relayed(t, h, relay, addr, target)
			rude, other := client, server
			if !clientFirst {
				rude, other = server, client
			}
			assert.NilError(t, rude.CloseWrite())
			_, err := other.Read(make([]byte, 1))
			assert.Equal(t, err, io.EOF)
			gone := func(what string, is func(s peer.TCPSocket) bool) {
				t.Helper()
				peer.Until(t, what, func() bool { return !slices.ContainsFunc(peer.TCPSockets(t, h), is) })
			}
			peer.Reset(t, rude)
			gone("the reset has come", func(s peer.TCPSocket) bool {
				return s.Local == peer.TCPPort(rude.RemoteAddr()) && s.Remote == peer.TCPPort(rude.LocalAddr())
			})
			waits := func(s peer.TCPSocket) bool { // as after a FIN
				return s.Local == peer.TCPPort(other.LocalAddr()) && s.State == tcpCloseWait
			}
			peer.Write(t, good, "x") // the relay goes on, and has not learned of the reset
			_, err = io.ReadFull(behind, make([]byte, 1))
			assert.NilError(t, err)
			if !relay.Foreign() { // another may watch for it, and pass it on at once
				assert.Assert(t, slices.ContainsFunc(peer.TCPSockets(t, h), waits))
			}
			_, err = other.Write([]byte("x"))
			assert.Assert(t, err == nil || relay.Foreign(), "%v", err)
			gone("it is reset", waits)
			relay.Line(peer.Of(client) + `closed after [01] bytes there and [01] back`)
		}
		assert.NilError(t, behind.Close())
		assert.Equal(t, len(peer.Finish(t, good)), 0)
		closedAfter(relay, good, 2, 0)
		relay.Signal(syscall.SIGTERM)
		relay.Line("closed")
		relay.ExitSaying(0, relayErrors)
	})
}

// While the other side does not read, neither does the relay, and so it is not told of a
// reset. It passes it on when that side reads again.
func TestRelayResetStuck(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		size := peer.Overfill(t, h)
		relay, addr, target := relays(t, h, start)
		good, behind := relayed(t, h, relay, addr, target)
		goesOn := func() { // the relay, elsewhere
			peer.Write(t, good, "x")
			_, err := io.ReadFull(behind, make([]byte, 1))
			assert.NilError(t, err)
		}
		client, server := relayed(t, h, relay, addr, target)
		go client.Write(make([]byte, size))
		for before, now := -1, 0; now != before; now = awaitFull(t, h, clientAddr(client)) {
			before = now
			goesOn()
		}
		peer.Reset(t, client)
		has := func(local, remote net.Addr) bool {
			return slices.ContainsFunc(peer.TCPSockets(t, h), func(s peer.TCPSocket) bool {
				return s.Local == peer.TCPPort(local) && s.Remote == peer.TCPPort(remote)
			})
		}
		peer.Until(t, "the reset has come", func() bool { return !has(client.RemoteAddr(), client.LocalAddr()) })
		for range 100 { // each of which wakes it, with all that it might be told
			goesOn()
		}
		if !relay.Foreign() { // another may watch for it, and pass it on at once
			assert.Assert(t, has(server.RemoteAddr(), server.LocalAddr()))
		}
		_, err := io.Copy(io.Discard, server)
		if relay.Section != "node" || harness.NodeTellsResets(t) { // else it may be FIN, as there is data with the reset
			assert.ErrorIs(t, err, syscall.ECONNRESET)
		}
		relay.Signal(syscall.SIGTERM)
		relay.Await("closed")
		assert.Equal(t, relay.Wait(), 0)
	})
}

// With no descriptor free for the second socket a client is reset. The relay goes on, and
// serves the next when some are free.
func TestRelayExhausted(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	relay, addr, target := relays(t, h, harness.Go(t, h))
	client, server := relayed(t, h, relay, addr, target)
	limit := uint64(0)
	for free := 0; free < 1; limit++ {
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", relay.Pid(), limit)); err != nil {
			free++
		}
	}
	assert.NilError(t, unix.Prlimit(relay.Pid(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil))
	peer.Freeze(t, relay)
	late := peer.DialTCP(t, h, addr)
	relay.Signal(syscall.SIGCONT)
	wasReset(t, late)
	relay.Complaint(`(?s).*relay: dial tcp \S+: socket: too many open files\n.*`)

	server.Close()
	assert.Equal(t, len(peer.Finish(t, client)), 0)
	closedAfter(relay, client, 0, 0)
	client, server = relayed(t, h, relay, addr, target)
	peer.Write(t, client, "hello")
	_, err := io.ReadFull(server, make([]byte, 5))
	assert.NilError(t, err)
	relay.Signal(syscall.SIGTERM)
	relay.Line("closed")
	relay.ExitSaying(0, `(relay: (dial|accept) tcp .*: too many open files\n)+`)
}

// Two connections, and each FIN is passed on by itself.
func TestRelayWire(t *testing.T) {
	t.Parallel()
	cable := lab.NewSegment(t, "cable")
	hosts := map[string]*lab.Host{}
	var parties []wire.Party
	for i, name := range []string{"client", "relay", "server"} {
		hosts[name] = lab.NewHost(t, name)
		addr := fmt.Sprintf("10.0.0.%d", i+1)
		cable.Join(t, hosts[name], addr+"/24")
		parties = append(parties, wire.Party{Name: name, Addr: addr})
	}
	c := wire.Start(t, hosts["relay"], "eth0")
	target := peer.ListenTCP(t, hosts["server"], "10.0.0.3:8081")
	relay := harness.Start(t, hosts["relay"], "tcp_server/relay", "-addr", "10.0.0.2:8080", "-to", "10.0.0.3:8081")
	client, server := relayed(t, hosts["client"], relay, relay.Ready(), target)
	for _, c := range []struct{ from, to *net.TCPConn }{{client, server}, {server, client}} {
		// Each step has crossed both connections before the next is taken.
		peer.Write(t, c.from, "hello")
		_, err := io.ReadFull(c.to, make([]byte, 5))
		assert.NilError(t, err)
		assert.NilError(t, c.from.CloseWrite())
		_, err = c.to.Read(make([]byte, 1))
		assert.Equal(t, err, io.EOF)
	}
	golden.Assert(t, wire.Diagram(c.Await("all FINs", peer.Seen(wire.FIN, 4)), parties...).Mermaid(), "relay.mmd")
	closedAfter(relay, client, 5, 5)
	relay.Stop()
}

// A relay that closes both connections when one direction has ended loses what comes the
// other way. So does Node's pipe without allowHalfOpen on the connection whose peer ends
// first.
func TestRelayCommonMistakes(t *testing.T) {
	t.Parallel()
	arrives := func(t *testing.T, h *lab.Host, target *net.TCPListener, addr string, clientFirst bool) bool {
		t.Helper()
		client := peer.DialTCP(t, h, addr)
		first, second := client, peer.AcceptTCP(t, target)
		if !clientFirst {
			first, second = second, first
		}
		assert.NilError(t, first.CloseWrite())
		got, err := io.ReadAll(second)
		assert.NilError(t, err)
		assert.Equal(t, len(got), 0)
		second.Write([]byte("reply")) // where to, is the relay's affair
		second.CloseWrite()
		got, _ = io.ReadAll(first)
		return string(got) == "reply"
	}
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		target := peer.ListenTCP(t, h, "127.0.0.1:8081")
		ln := peer.ListenTCP(t, h, "127.0.0.1:0")
		go func() {
			for {
				client, err := ln.Accept()
				if err != nil {
					return
				}
				var server net.Conn
				if h.Do(func() { server, err = net.Dial("tcp", "127.0.0.1:8081") }); err != nil {
					return
				}
				copyAndClose := func(to, from net.Conn) {
					io.Copy(to, from)
					from.Close()
					to.Close()
				}
				go copyAndClose(server, client)
				go copyAndClose(client, server)
			}
		}()
		assert.Assert(t, !arrives(t, h, target, ln.Addr().String(), true))
		assert.Assert(t, !arrives(t, h, target, ln.Addr().String(), false))
	})
	t.Run("Node", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		p := harness.NodeScript(t, h, `
			const net = require('net')
			const relay = (accept, connect) => net.createServer({ allowHalfOpen: accept }, (client) => {
				const server = net.connect({ port: 8081, host: '127.0.0.1', allowHalfOpen: connect })
				client.pipe(server)
				server.pipe(client)
				client.on('error', () => {})
				server.on('error', () => {})
			})
			const relays = [relay(true, true), relay(true), relay(false, true), relay()]
			const listen = (relay) => new Promise((resolve) => relay.listen(0, '127.0.0.1', resolve))
			Promise.all(relays.map(listen)).then(() => console.log(...relays.map((relay) => relay.address().port)))`)
		ports := p.Line(`(\d+) (\d+) (\d+) (\d+)`)
		target := peer.ListenTCP(t, h, "127.0.0.1:8081")
		for i, c := range []struct{ accept, connect bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
			addr := "127.0.0.1:" + ports[i]
			assert.Equal(t, arrives(t, h, target, addr, true), c.accept, "%+v", c)
			assert.Equal(t, arrives(t, h, target, addr, false), c.connect, "%+v", c)
		}
		p.Signal(syscall.SIGKILL)
		assert.Equal(t, p.Wait(), -1)
	})
}

// Node's pipe does not pass on an error: after a reset the other side is told nothing.
func TestRelayNodePipe(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	target := peer.ListenTCP(t, h, "127.0.0.1:8081")
	p := harness.NodeScript(t, h, `
		const net = require('net')
		const relay = net.createServer({ allowHalfOpen: true }, (client) => {
			const server = net.connect({ port: 8081, host: '127.0.0.1', allowHalfOpen: true })
			client.pipe(server)
			server.pipe(client)
			client.on('error', (err) => setImmediate(() => console.log(err.code, server.destroyed, server.writableEnded)))
		}).listen(0, '127.0.0.1', () => console.log('listening on 127.0.0.1:' + relay.address().port))`)
	client := peer.DialTCP(t, h, p.Ready())
	server := peer.AcceptTCP(t, target)
	peer.Write(t, client, "hel")
	_, err := io.ReadFull(server, make([]byte, 3))
	assert.NilError(t, err)
	peer.Reset(t, client)
	p.Line("ECONNRESET false false")
	p.Signal(syscall.SIGKILL)
	assert.Equal(t, p.Wait(), -1)
}
