package broadcast

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// The limited broadcast: everybody on this link, whatever its network. Linux
// wants a route to know which link; without one it sends nothing.
func TestServerLimited(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	testFailureLike(t, a, `server: write udp4 0\.0\.0\.0:\d+->255\.255\.255\.255:8080: sendto: network is unreachable\n`,
		"broadcast/server", "-addr", "255.255.255.255:8080")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	a.Route(t, "0.0.0.0/0", "10.0.0.2")
	client := listening(t, b)
	data, port := broadcastOnce(t, a, "255.255.255.255:8080")
	client.Line(`10\.0\.0\.1:` + port + `: ` + data)
	client.Stop()
}

// testFailureLike is for a program that was ready before it failed.
func testFailureLike(t *testing.T, on *lab.Host, stderr, section string, args ...string) {
	t.Helper()
	p := harness.Start(t, on, section, args...)
	p.Line(`sending to .*`)
	p.ExitSaying(1, stderr)
}

// A router forwards unicast and no broadcast, limited or directed (RFC 2644).
func TestServerDoesNotCrossARouter(t *testing.T) {
	t.Parallel()
	left, router, right := peer.Routed(t)
	near, far := listening(t, router), listening(t, right)
	left.Route(t, "0.0.0.0/0", "10.0.1.1")
	for _, to := range []string{"10.0.1.255:8080", "255.255.255.255:8080", "10.0.2.255:8080"} {
		data, port := broadcastOnce(t, left, to)
		near.Line(`10\.0\.1\.2:` + port + `: ` + data)
	}
	data, port := broadcastOnce(t, left, "10.0.2.2:8080") // unicast: and nothing came before it
	far.Line(`10\.0\.1\.2:` + port + `: ` + data)
	near.Stop()
	far.Stop()
}

// By default nothing leaves: on a host with a link, the link's other end hears
// nothing of it.
func TestServerStaysHome(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	near, far := listening(t, a), listening(t, b)
	data, port := broadcastOnce(t, a, "127.255.255.255:8080")
	near.Line(`127\.0\.0\.1:` + port + `: ` + data)
	data, port = broadcastOnce(t, a, "10.0.0.255:8080")
	far.Line(`10\.0\.0\.1:` + port + `: ` + data)
	near.Stop()
	far.Stop()
}

// Go sets SO_BROADCAST on every UDP socket. Without it the kernel refuses.
func TestServerMayBroadcast(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "broadcast/server", "-interval", "1h")
	broadcasting(server, "127.255.255.255:8080")
	server.Line(`sent .*`)
	fds := peer.SocketsOf(t, server)
	assert.Equal(t, len(fds), 1)
	on, err := unix.GetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_BROADCAST)
	assert.NilError(t, err)
	assert.Equal(t, on, 1)
	server.Stop()

	conn := peer.ListenUDP(t, h, "udp4", "0.0.0.0:0")
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 0) }))
	assert.NilError(t, err)
	_, err = conn.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("127.255.255.255:8080"))
	assert.Assert(t, errors.Is(err, syscall.EACCES), "%v", err)
}

func TestServerWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := harness.Start(t, client, "broadcast/client")
	p.Ready()
	sender := harness.Start(t, server, "broadcast/server", "-addr", "10.0.0.255:8080", "-count", "2", "-interval", "1ms")
	p.Line(`.*`)
	p.Line(`.*`)
	peer.Drawn(t, "server", c.Await("two datagrams", peer.Seen(wire.UDP, 2)))
	sender.Await(`sent .*`)
	sender.Await(`sent .*`)
	sender.Exit(0)
	p.Stop()
}
