package udp_client

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// waitingClient starts a client whose datagram arrives at a plain socket of
// the test's, and returns the address that it was sent from.
func waitingClient(t *testing.T, h *lab.Host, remote *net.UDPConn, args ...string) (p *harness.Program, from netip.AddrPort) {
	t.Helper()
	p = harness.Start(t, h, "udp_client/client", append(args, "-addr", peer.AddrOf(remote).String())...)
	from = netip.MustParseAddrPort(p.Line(fmt.Sprintf(`connected to \Q%v\E from (\S+:\d+)`, peer.AddrOf(remote)))[0])
	p.Line(`sent 5 bytes: "hello"`)
	data, src := peer.ReceiveUDP(t, remote)
	assert.Equal(t, data, "hello")
	assert.Equal(t, src, from)
	return p, from
}

func TestClientTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, _ := peer.EchoServer(t, h)
	var clients []*harness.Program
	for _, message := range []string{"hello", "", "你好"} {
		args := []string{"-message", message}
		if message == "hello" {
			args = nil
		} else if message == "" {
			args = []string{"-message="}
		}
		client := harness.Start(t, h, "udp_client/client", args...)
		from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
		client.Line(fmt.Sprintf(`sent %d bytes: %q`, len(message), message))
		client.Line(fmt.Sprintf(`received %d bytes from 127\.0\.0\.1:8080: %q`, len(message), message))
		client.Exit(0)
		peer.KeepPort(t, h, from)
		server.Line(fmt.Sprintf(`%s IPv4 sent %d bytes: %q`, from, len(message), message))
		clients = append(clients, client)
	}
	server.Stop()
	harness.Transcript(t, "client.txt", append([]*harness.Program{server}, clients...)...)
}

// Any address that reaches the server will do.
func TestClientAddresses(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, _ := peer.EchoServer(t, h, "-addr", ":8080")
	for addr, remote := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080", "[::1]:8080": "[::1]:8080", "localhost:8080": "127.0.0.1:8080",
		":8080": "127.0.0.1:8080",
	} {
		client := harness.Start(t, h, "udp_client/client", "-addr", addr)
		from := client.Line(`connected to \Q` + remote + `\E from (\S+:\d+)`)[0]
		client.Line(`sent 5 bytes: "hello"`)
		client.Line(`received 5 bytes from \Q` + remote + `\E: "hello"`)
		client.Exit(0)
		server.Line(`\Q` + from + `\E IPv[46] sent 5 bytes: "hello"`)
	}
	server.Stop()
}

// Silence: the client gives up after -timeout, not before, and says so.
func TestClientTimeout(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	silent := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
	begin := time.Now()
	client, _ := waitingClient(t, h, silent, "-timeout", "200ms")
	client.ExitSaying(1, `client: read 127\.0\.0\.1:8080: no reply within 200ms\n`)
	assert.Assert(t, time.Since(begin) >= 200*time.Millisecond)

	// Had the deadline not come from the flag, this reply would be too late.
	client, from := waitingClient(t, h, silent, "-timeout", "1h")
	peer.SendUDP(t, silent, from, "late")
	client.Line(`received 4 bytes from 127\.0\.0\.1:8080: "late"`)
	client.Exit(0)
}

// Left alone, the client waits for two seconds.
func TestClientDefaultTimeout(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	begin := time.Now()
	client, _ := waitingClient(t, h, peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080"))
	client.ExitSaying(1, `client: read 127\.0\.0\.1:8080: no reply within 2s\n`)
	assert.Assert(t, time.Since(begin) >= 2*time.Second)
}

// Nobody listens: the client's socket is connected, so the kernel tells it.
func TestClientClosedPort(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, addr := range []string{"127.0.0.1:8080", "[::1]:8080"} {
		client := harness.Start(t, h, "udp_client/client", "-timeout", "1h", "-addr", addr)
		from := client.Line(`connected to \Q` + addr + `\E from (\S+:\d+)`)[0]
		client.Line(`sent 5 bytes: "hello"`)
		client.ExitSaying(1, `client: read udp \Q`+from+`->`+addr+`\E: read: connection refused\n`)
	}
}

// The reply is the peer's, not what anybody else sends; an empty one is one;
// of several the first.
func TestClientHearsItsPeerOnly(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	remote, stranger := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	client, from := waitingClient(t, h, remote, "-timeout", "1h")
	peer.SendUDP(t, stranger, from, "not me")
	peer.SendUDP(t, remote, from, "")
	peer.SendUDP(t, remote, from, "second")
	client.Line(fmt.Sprintf(`received 0 bytes from %v: ""`, peer.AddrOf(remote)))
	client.Exit(0)
}

// A long message and a long reply arrive whole, and are shown cut.
func TestClientLongReply(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := peer.EchoServer(t, h)
	for _, c := range []struct {
		n     int
		shown string
	}{{64, `"x{64}"`}, {65, `"x{64}"…`}, {8000, `"x{64}"…`}} {
		client := harness.Start(t, h, "udp_client/client", "-message", strings.Repeat("x", c.n), "-timeout", "1h")
		client.Line(`connected to .*`)
		client.Line(fmt.Sprintf(`sent %d bytes: %s`, c.n, c.shown))
		client.Line(fmt.Sprintf(`received %d bytes from %v: %s`, c.n, addr, c.shown))
		client.Exit(0)
		server.Line(fmt.Sprintf(`\S+ IPv4 sent %d bytes: %s`, c.n, c.shown))
	}
	server.Stop()
}

func TestClientStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	silent := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	peer.StopBy(t, func() *harness.Program { p, _ := waitingClient(t, h, silent, "-timeout", "1h"); return p })
}

func TestClientFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Unresolved(t, h, "udp_client/client")
	client := harness.Start(t, h, "udp_client/client", "-addr", "127.0.0.1:9", "-message", strings.Repeat("x", 65508))
	from := client.Line(`connected to 127\.0\.0\.1:9 from (\S+)`)[0]
	client.ExitSaying(1, `client: write udp \Q`+from+`\E->127\.0\.0\.1:9: write: message too long\n`)
}

// A peer that is not there is heard of only because the socket is connected.
func TestClientNode(t *testing.T) {
	refused := func(message string) func(t *testing.T, h *lab.Host, start harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			c := start("udp_client/client", "--timeout", "30s")
			peer.Connected(c)
			c.Line(`sent 5 bytes: "hello"`)
			c.ExitSaying(1, message)
		}
	}
	harness.Compare(t, refused(`client: read udp 127\.0\.0\.1:\d+->127\.0\.0\.1:8080: read: connection refused\n`),
		refused(`client: recvmsg ECONNREFUSED\n`))
}

func TestClientNodeNoReply(t *testing.T) {
	same := func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080") // and says nothing
		c := start("udp_client/client", "--timeout", "50ms")
		peer.Connected(c)
		c.Line(`sent 5 bytes: "hello"`)
		c.ExitSaying(1, `client: read 127\.0\.0\.1:8080: no reply within 50ms\n`)
	}
	harness.Both(t, same)
}

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
