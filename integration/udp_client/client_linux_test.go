package udp_client

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// One datagram each way, and nothing before, between or after.
func TestClientWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "udp_server/server")
	program := harness.Start(t, client, "udp_client/client", "-addr", peer.Here)
	program.Await(`received .*`)
	program.Exit(0)
	peer.Drawn(t, "client", c.Await("the reply", peer.Seen(wire.UDP, 2)))
	p.Stop()
}

// Nobody is there: the answer is not UDP's.
func TestClientRefusedWire(t *testing.T) {
	t.Parallel()
	client, _, c := peer.Cabled(t)
	program := harness.Start(t, client, "udp_client/client", "-addr", peer.Here)
	program.Await(`sent .*`)
	program.ExitSaying(1, `client: .* connection refused\n`)
	peer.Drawn(t, "client_refused", c.Await("ICMP", peer.Seen(wire.ICMP, 1)))
}

// A client that was held up until its time was over, with the reply in its socket,
// looks once more and finds it.
func TestClientHeldUp(t *testing.T) {
	peer.HeldUp(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		const timeout = 2 * time.Second // to stop it in time
		remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
		client, from := waitingClient(t, start, remote, "--timeout", timeout.String())
		peer.Until(t, "it waits with a timeout", func() bool { return peer.Polls(t, client, timeout) })
		peer.Freeze(t, client)
		frozen := time.Now()
		peer.SendUDP(t, remote, from, "in time")
		peer.Until(t, "its time is over", func() bool { return time.Since(frozen) > timeout })
		client.Signal(syscall.SIGCONT)
		client.Line(`received 7 bytes from 127\.0\.0\.1:8080: "in time"`)
		client.Exit(0)
	})
}

// Where localhost is 127.0.0.1 and ::1, as in Debian's hosts file, the server takes
// the one and the client sends to it.
func TestClientLocalhost(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		peer.Names(t, h, "127.0.0.1 localhost", "::1 localhost") // as in Debian
		s := server("udp_server/server", "--addr", "localhost:8080")
		s.Line(`listening on 127\.0\.0\.1:8080`)
		for _, section := range []string{"udp_client/client", "udp_client/send"} {
			c := client(section, "--addr", "localhost:8080")
			c.Await(`received 5 bytes from 127\.0\.0\.1:8080: "hello"`)
			c.Exit(0)
			s.Line(`127\.0\.0\.1:\d+ IPv4 sent 5 bytes: "hello"`)
		}
		s.Stop()
	})
}

// To Linux a connected socket's peer is only the usual destination: sendto(2) to
// another is sent. The answer to that is not received.
func TestClientSendtoElsewhere(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	remote, other := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:8081")
	conn := dial(t, h, peer.AddrOf(remote))
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) {
		err = unix.Sendto(int(fd), []byte("elsewhere"), 0, &unix.SockaddrInet4{Port: 8081, Addr: [4]byte{127, 0, 0, 1}})
	}))
	assert.NilError(t, err)
	data, from := peer.ReceiveUDP(t, other)
	assert.Equal(t, data, "elsewhere")
	peer.SendUDP(t, other, from, "not heard")
	peer.SendUDP(t, remote, from, "heard")
	data, _ = peer.ReceiveUDP(t, conn)
	assert.Equal(t, data, "heard")
}

// Connecting looks for a route, and fails where there is none. It has sent nothing.
func TestClientNoRoute(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	peer.Refuses(t, lab.NewHost(t, "h"), "udp_client/client", `dial udp 192\.0\.2\.1:9: connect: network is unreachable`, "-addr", "192.0.2.1:9") // TEST-NET-1, RFC 5737
}
