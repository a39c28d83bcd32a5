package tcp_server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// relays starts the relay on a free port; it connects its clients to the returned
// listener.
func relays(t *testing.T, h *lab.Host, start harness.Starter) (relay *harness.Program, addr string, target *net.TCPListener) {
	t.Helper()
	target = peer.ListenTCP(t, h, "127.0.0.1:0")
	relay = start("tcp_server/relay", "--addr", "127.0.0.1:0", "--to", target.Addr().String())
	return relay, relay.Ready(), target
}

// relayed is a connection through the relay: a client, and the server's end of it.
func relayed(t *testing.T, h *lab.Host, relay *harness.Program, addr string, target *net.TCPListener) (client, server *net.TCPConn) {
	t.Helper()
	client = peer.DialTCP(t, h, addr)
	server = peer.AcceptTCP(t, target)
	// The server sees the relay's address, not the client's.
	relay.Line(regexp.QuoteMeta(fmt.Sprintf("%v connected to %v from %v", client.LocalAddr(), target.Addr(), server.RemoteAddr())))
	return client, server
}

// closedAfter demands the relay's last line on a client.
func closedAfter(relay *harness.Program, client net.Conn, there, back int) {
	relay.Line(peer.Of(client) + fmt.Sprintf("closed after %d bytes there and %d back", there, back))
}

// wasReset demands that the other end is told of a reset by a reset.
func wasReset(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, conn)
	assert.ErrorIs(t, err, syscall.ECONNRESET)
}

const relayErrors = `(relay: .*(connection reset by peer|ECONNRESET|broken pipe|EPIPE)\n)+`

// half_open replies after its client's FIN. Through the relay it does too: the FIN is
// passed on, and the reply comes back after it.
func TestRelayTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	target := harness.Start(t, h, "tcp_server/half_open", "-addr", "127.0.0.1:8081")
	target.Ready()
	relay := harness.Start(t, h, "tcp_server/relay")
	relay.Ready()
	client := harness.Start(t, h, "tcp_client/client")
	from := peer.Connected(client)
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	own := relay.Line(from + ` connected to 127\.0\.0\.1:8081 from (\S+)`)[0]
	relay.Line(from + ` closed after 5 bytes there and 5 back`)
	target.Line(own + ` ended after 5 bytes`)
	target.Line(own + ` replied 5 bytes`)
	target.Line(own + ` closed`)
	relay.Stop()
	target.Stop()
	harness.Transcript(t, "relay.txt", relay, client)
}

// Either side may end first: its FIN is passed on, and no more than that. What the
// other still sends comes back whole, then its FIN.
func TestRelayHalfClose(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		relay, addr, target := relays(t, h, start)
		for _, n := range []int{0, 1, 1 << 20} {
			for _, clientFirst := range []bool{true, false} {
				client, server := relayed(t, h, relay, addr, target)
				first, second := client, server
				if !clientFirst {
					first, second = server, client
				}
				question, answer := peer.Noise(n), peer.Noise(n+1)
				sent := make(chan error, 1)
				go func() {
					_, err := first.Write(question)
					sent <- errors.Join(err, first.CloseWrite())
				}()
				got, err := io.ReadAll(second)
				assert.NilError(t, errors.Join(err, <-sent))
				assert.Assert(t, bytes.Equal(got, question), "%d bytes", n)
				go func() {
					_, err := second.Write(answer)
					sent <- errors.Join(err, second.CloseWrite())
				}()
				got, err = io.ReadAll(first)
				assert.NilError(t, errors.Join(err, <-sent))
				assert.Assert(t, bytes.Equal(got, answer), "%d bytes", n)
				if clientFirst {
					closedAfter(relay, client, n, n+1)
				} else {
					closedAfter(relay, client, n+1, n)
				}
			}
		}
		relay.Stop()
	})
}

// Each way at the same time more than all buffers hold.
func TestRelayBothWaysAtOnce(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		size := peer.Overfill(t, h)
		relay, addr, target := relays(t, h, start)
		client, server := relayed(t, h, relay, addr, target)
		there, back := peer.Noise(size), peer.Noise(size+1)
		errs := make(chan error)
		for _, c := range []struct {
			from, to *net.TCPConn
			data     []byte
		}{{client, server, there}, {server, client, back}} {
			go func() {
				_, err := c.from.Write(c.data)
				errs <- errors.Join(err, c.from.CloseWrite())
			}()
			go func() {
				got, err := io.ReadAll(c.to)
				if !bytes.Equal(got, c.data) {
					err = errors.Join(err, fmt.Errorf("%d bytes, or others", len(got)))
				}
				errs <- err
			}()
		}
		for range 4 {
			assert.NilError(t, <-errs)
		}
		closedAfter(relay, client, size, size+1)
		relay.Stop()
	})
}

// A reset is passed on as a reset, from either side, also to one that has ended its half:
// what came before it is not all. It costs nobody else's connection.
func TestRelayReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		relay, addr, target := relays(t, h, start)
		good, behind := relayed(t, h, relay, addr, target)
		for _, half := range []bool{false, true} {
			for _, clientFirst := range []bool{true, false} {
				client, server := relayed(t, h, relay, addr, target)
				rude, other := client, server
				if !clientFirst {
					rude, other = server, client
				}
				peer.Write(t, rude, "hel")
				_, err := io.ReadFull(other, make([]byte, 3))
				assert.NilError(t, err)
				if half {
					assert.NilError(t, other.CloseWrite())
					_, err = rude.Read(make([]byte, 1))
					assert.Equal(t, err, io.EOF)
				}
				peer.Reset(t, rude)
				wasReset(t, other)
				relay.Line(peer.Of(client) + `closed after (0|3) bytes there and (0|3) back`)
			}
		}
		peer.Write(t, good, "hello")
		assert.NilError(t, good.CloseWrite())
		got, err := io.ReadAll(behind)
		assert.NilError(t, err)
		assert.Equal(t, string(got), "hello")
		assert.NilError(t, behind.Close())
		got, err = io.ReadAll(good)
		assert.NilError(t, err)
		assert.Equal(t, len(got), 0)
		closedAfter(relay, good, 5, 0)
		relay.Signal(syscall.SIGTERM)
		relay.Line("closed")
		relay.ExitSaying(0, relayErrors)
	})
}

// Whoever does not read keeps nobody else waiting.
func TestRelayStuckClient(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.Overfill(t, h) // and so it soon is stuck
		relay, addr, target := relays(t, h, start)
		stuck, _ := relayed(t, h, relay, addr, target)
		peer.Pour(t, stuck)
		client, server := relayed(t, h, relay, addr, target)
		for range 3 {
			peer.Write(t, client, "hello")
			_, err := io.ReadFull(server, make([]byte, 5))
			assert.NilError(t, err)
		}
		assert.NilError(t, server.Close())
		assert.Equal(t, len(peer.Finish(t, client)), 0)
		closedAfter(relay, client, 15, 0)
		relay.Stop()
	})
}

// Relays may stand one behind the other, in either language: each passes on FIN.
func TestRelayChain(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, near, far harness.Starter) {
		target := harness.Start(t, h, "tcp_server/half_open", "-addr", "127.0.0.1:0")
		second := far("tcp_server/relay", "--addr", "127.0.0.1:0", "--to", target.Ready())
		first := near("tcp_server/relay", "--to", second.Ready())
		first.Ready()
		client, _ := peer.Hello(harness.Go(t, h))
		client.Line(`received 5 bytes: "hello"`)
		client.Line("closed")
		client.Exit(0)
		for _, relay := range []*harness.Program{first, second} {
			relay.Await(`\S+ closed after 5 bytes there and 5 back`)
			relay.Stop()
		}
		target.Await(`\S+ closed`)
		target.Stop()
	})
}

// A target that is no address is refused before the relay listens for long.
func TestRelayRefuses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for to, cause := range map[string]string{
		"": `want .*-to host:port.*`, "nonsense": `.*missing port.*`, "127.0.0.1:65536": `.*invalid port.*`, "host.invalid:1": `lookup .*`,
	} {
		peer.Refuses(t, h, "tcp_server/relay", cause, "-addr", "127.0.0.1:0", "-to", to)
	}
}
