package integration

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// listening starts broadcast/client on a host, on every address.
func listening(t *testing.T, on *lab.Host, args ...string) *harness.Program {
	t.Helper()
	p := harness.Start(t, on, "broadcast/client", args...)
	p.Ready()
	return p
}

// broadcastOnce has the server send one datagram, and returns its line at a client.
func broadcastOnce(t *testing.T, on *lab.Host, to string) (data, port string) {
	t.Helper()
	p := harness.Start(t, on, "broadcast/server", "-addr", to, "-count", "1")
	port = broadcasting(p, to)
	data = p.Line(`sent 19 bytes: ("` + timePattern + `")`)[0]
	p.Exit(0)
	return data, port
}

// Three clients on one machine and two on another each hear each datagram,
// once: the directed broadcast of a network.
func TestBroadcastClientsAllHear(t *testing.T) {
	t.Parallel()
	segment := lab.NewSegment(t, "segment")
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	segment.Join(t, a, "10.0.0.1/24")
	segment.Join(t, b, "10.0.0.2/24")
	clients := []*harness.Program{listening(t, a), listening(t, a), listening(t, a), listening(t, b), listening(t, b)}
	for range 3 { // a second copy of one would not be the line of the next
		data, port := broadcastOnce(t, a, "10.0.0.255:8080")
		for _, client := range clients {
			client.Line(`10\.0\.0\.1:` + port + `: ` + data)
		}
	}
	for _, client := range clients {
		client.Stop()
	}
}

// The limited broadcast: everybody on this link, whatever its network. Linux
// wants a route to know which link; without one it sends nothing.
func TestBroadcastServerLimited(t *testing.T) {
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
func TestBroadcastServerDoesNotCrossARouter(t *testing.T) {
	t.Parallel()
	left, router, right := routed(t)
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

// Bound to one of the machine's own addresses, a socket hears no broadcast;
// bound to the broadcast address it hears nothing else.
func TestBroadcastClientBoundToAnAddress(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	all, own, broad := listening(t, b), listening(t, b, "-addr", "10.0.0.2:8080"), listening(t, b, "-addr", "10.0.0.255:8080")
	data, port := broadcastOnce(t, a, "10.0.0.255:8080")
	line := `10\.0\.0\.1:` + port + `: ` + data
	all.Line(line)
	broad.Line(line)
	data, port = broadcastOnce(t, a, "10.0.0.2:8080")
	own.Line(`10\.0\.0\.1:` + port + `: ` + data) // and not the one before
	data, port = broadcastOnce(t, a, "10.0.0.255:8080")
	broad.Line(`10\.0\.0\.1:` + port + `: ` + data) // and not the one before
	for _, p := range []*harness.Program{all, own, broad} {
		p.Stop()
	}
}

// By default nothing leaves: on a host with a link, the link's other end hears
// nothing of it.
func TestBroadcastServerStaysHome(t *testing.T) {
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
func TestBroadcastServerMayBroadcast(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "broadcast/server", "-interval", "1h")
	broadcasting(server, "127.255.255.255:8080")
	server.Line(`sent .*`)
	fds := socketsOf(t, server)
	assert.Equal(t, len(fds), 1)
	on, err := unix.GetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_BROADCAST)
	assert.NilError(t, err)
	assert.Equal(t, on, 1)
	server.Stop()

	conn := listenUDP(t, h, "udp4", "0.0.0.0:0")
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 0) }))
	assert.NilError(t, err)
	_, err = conn.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("127.255.255.255:8080"))
	assert.Assert(t, errors.Is(err, syscall.EACCES), "%v", err)
}
