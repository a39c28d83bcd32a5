package udp_client

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// waitingClient starts a client whose datagram arrives at a plain socket of
// the test's, and returns the address that it was sent from.
func waitingClient(t *testing.T, start harness.Starter, remote *net.UDPConn, args ...string) (p *harness.Program, from netip.AddrPort) {
	t.Helper()
	p = start("udp_client/client", append(args, "--addr", peer.AddrOf(remote).String())...)
	from = netip.MustParseAddrPort(p.Line(fmt.Sprintf(`connected to \Q%v\E from (\S+:\d+)`, peer.AddrOf(remote)))[0])
	p.Line(`sent 5 bytes: "hello"`)
	data, src := peer.ReceiveUDP(t, remote)
	assert.Equal(t, data, "hello")
	assert.Equal(t, src, from)
	return p, from
}

// As the page shows it.
func TestClientTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, _ := peer.EchoServer(t, h)
	client := harness.Start(t, h, "udp_client/client", "-message", "你好")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	client.Line(`sent 6 bytes: "你好"`)
	client.Line(`received 6 bytes from 127\.0\.0\.1:8080: "你好"`)
	client.Exit(0)
	server.Line(from + ` IPv4 sent 6 bytes: "你好"`)
	server.Stop()
	harness.Transcript(t, "client.txt", server, client)
}

// Any address that reaches the server will do, and so will any message.
func TestClientAddresses(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, _ := peer.EchoServer(t, h, "-addr", ":8080")
		for _, c := range []struct{ addr, remote, message, shown string }{
			{"127.0.0.1:8080", "127.0.0.1:8080", "x", `"x"`},
			{"[::1]:8080", "[::1]:8080", "", `""`},
			{"localhost:8080", "127.0.0.1:8080", strings.Repeat("x", 64), `"x{64}"`},
			{":8080", "127.0.0.1:8080", strings.Repeat("x", 8000), `"x{64}"`},
		} {
			if peer.InOurNode(t) && (c.addr == "127.0.0.1:8080" || c.addr == "localhost:8080") {
				continue // these are in TestClientItsPeerOnly and TestClientLocalhost
			}
			client := start("udp_client/client", "--addr", c.addr, "--message", c.message)
			from := client.Line(`connected to \Q` + c.remote + `\E from (\S+:\d+)`)[0]
			client.Line(fmt.Sprintf(`sent %d bytes: %s`, len(c.message), c.shown))
			client.Line(fmt.Sprintf(`received %d bytes from \Q%s\E: %s`, len(c.message), c.remote, c.shown))
			client.Exit(0)
			server.Line(fmt.Sprintf(`\Q%s\E IPv[46] sent %d bytes: %s`, from, len(c.message), c.shown))
		}
		server.Stop()
	})
}

// Silence: the client gives up after -timeout, not before, and says so. A reply that
// comes in time is one, however long that may be.
func TestClientTimeout(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		silent := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
		begin := time.Now()
		client, _ := waitingClient(t, start, silent, "--timeout", "200ms")
		client.ExitSaying(1, `client: read 127\.0\.0\.1:8080: no reply within 200ms\n`)
		assert.Assert(t, time.Since(begin) >= 200*time.Millisecond)
		if peer.InOurNode(t) {
			return // TestClientItsPeerOnly has a reply within the hour
		}

		client, from := waitingClient(t, start, silent, "--timeout", "1h")
		peer.SendUDP(t, silent, from, "late")
		client.Line(`received 4 bytes from 127\.0\.0\.1:8080: "late"`)
		client.Exit(0)
	})
}

// Left alone, the client waits for two seconds.
func TestClientDefaultTimeout(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		begin := time.Now()
		client, _ := waitingClient(t, start, peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080"))
		client.ExitSaying(1, `client: read 127\.0\.0\.1:8080: no reply within 2s\n`)
		assert.Assert(t, time.Since(begin) >= 2*time.Second)
	})
}

// Nobody listens: the first send succeeds, and then the kernel tells the client,
// since its socket is connected.
func TestClientClosedPort(t *testing.T) {
	refused := func(message string) func(t *testing.T, h *lab.Host, start harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			for _, addr := range []string{"127.0.0.1:8080", "[::1]:8080"} {
				if peer.InOurNode(t) && addr == "[::1]:8080" {
					break // to Node one refusal is as the other
				}
				client := start("udp_client/client", "--timeout", time.Hour.String(), "--addr", addr)
				client.Line(`connected to \Q` + addr + `\E from \S+:\d+`)
				client.Line(`sent 5 bytes: "hello"`)
				client.ExitSaying(1, message)
			}
		}
	}
	harness.Compare(t, refused(`client: read udp \S+:\d+->\S+:8080: read: connection refused\n`), refused(`client: recvmsg ECONNREFUSED\n`))
}

// The reply is the peer's, not what anybody else sends; an empty one is one; of
// several the first.
func TestClientItsPeerOnly(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		remote, stranger := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
		client, from := waitingClient(t, start, remote, "--timeout", "1h")
		peer.SendUDP(t, stranger, from, "not me")
		peer.SendUDP(t, remote, from, "")
		peer.SendUDP(t, remote, from, "second")
		client.Line(fmt.Sprintf(`received 0 bytes from %v: ""`, peer.AddrOf(remote)))
		client.Exit(0)
	})
}

// More than a datagram can hold is refused, not cut.
func TestClientTooLong(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client := start("udp_client/client", "--addr", "127.0.0.1:9", "--message", strings.Repeat("x", 65508))
		client.Line(`connected to 127\.0\.0\.1:9 from \S+`)
		client.ExitSaying(1, `client: (write udp \S+->127\.0\.0\.1:9: write: message too long|send EMSGSIZE.*)\n`)
	})
}

// A signal ends the wait for the reply.
func TestClientStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		silent := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
		peer.StopByEach(t, []os.Signal{syscall.SIGINT, syscall.SIGTERM},
			func() *harness.Program { p, _ := waitingClient(t, start, silent, "--timeout", "720h"); return p })
	})
}

// Go's and Node's calls refuse to send from a connected socket to anybody else. Of
// Node's, the short form does not: it takes the port for a callback, and what it
// sends goes to the peer.
func TestClientElsewhere(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	remote, other := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:8081")
	_, err := dial(t, h, peer.AddrOf(remote)).WriteToUDPAddrPort([]byte("x"), peer.AddrOf(other))
	assert.ErrorIs(t, err, net.ErrWriteToConnected)
	node := harness.NodeScript(t, h, `
		const socket = require('dgram').createSocket('udp4')
		socket.connect(8080, '127.0.0.1', () => {
			try { socket.send('full', 0, 4, 8081, '127.0.0.1') } catch (e) { console.log(e.code) }
			socket.send('short', 8081, '127.0.0.1')
			setImmediate(() => socket.close())
		})`)
	node.Line("ERR_SOCKET_DGRAM_IS_CONNECTED")
	node.Exit(0)
	data, _ := peer.ReceiveUDP(t, remote)
	assert.Equal(t, data, "short")
}

// dial returns a plain socket of the test's that is connected to an address.
func dial(t *testing.T, h *lab.Host, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	var err error
	h.Do(func() { conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)) })
	assert.NilError(t, err)
	return peer.Ours(t, conn)
}

// socat as the server.
func TestClientSocat(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		socat := harness.Socat(t, h)
		for _, section := range []string{"udp_client/client", "udp_client/send"} {
			p := socat("UDP4-RECVFROM:8080,bind=127.0.0.1", "PIPE") // an echo of one datagram
			p.Await(`.* receiving on .*`)
			c := start(section)
			c.Await(`sent 5 bytes.*`)
			c.Line(`received 5 bytes from 127\.0\.0\.1:8080: "hello"`)
			c.Exit(0)
			harness.SocatPrinted(t, p)
		}
	})
}
