package udp_server

import (
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Once for each family, as the page shows it.
func TestBindTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	four := harness.Start(t, h, "udp_server/bind")
	four.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
	six := harness.Start(t, h, "udp_server/bind", "-network", "udp6", "-addr", "[::1]:8080")
	six.Line(`listening on \[::1\]:8080 \(udp6\)`)
	four.Stop()
	six.Stop()
	harness.Transcript(t, "bind.txt", four, six)
}

// One port can be bound twice if the families differ, also for any address;
// not so by Go's "udp", which takes both.
func TestBindFamilies(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	four := harness.Start(t, h, "udp_server/bind", "-addr", ":8080")
	four.Line(`listening on 0\.0\.0\.0:8080 \(udp4\)`)
	six := harness.Start(t, h, "udp_server/bind", "-addr", ":8080", "-network", "udp6")
	six.Line(`listening on \[::\]:8080 \(udp6\)`)
	peer.Fails(t, h, "server: listen udp :8080: bind: address already in use", "udp_server/server", "-addr", ":8080")
	four.Stop()
	six.Stop()

	chosen := harness.Start(t, h, "udp_server/bind", "-addr", "127.0.0.1:0")
	port := chosen.Line(`listening on 127\.0\.0\.1:(\d+) \(udp4\)`)[0]
	assert.Assert(t, port != "0")
	chosen.Stop()
}

// Taken, or not this machine's: the program ends and names the address.
func TestBindFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.ListenTCP(t, h, "127.0.0.1:8080") // TCP's ports are others
	first := harness.Start(t, h, "udp_server/bind")
	first.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
	peer.Fails(t, h, "bind: listen udp4 127.0.0.1:8080: bind: address already in use", "udp_server/bind")
	peer.Fails(t, h, "bind: listen udp4 0.0.0.0:8080: bind: address already in use", "udp_server/bind", "-addr", "0.0.0.0:8080")
	first.Stop()
	peer.Fails(t, h, "bind: listen udp4 192.0.2.1:8080: bind: cannot assign requested address", "udp_server/bind", "-addr", "192.0.2.1:8080")
	peer.Fails(t, h, "bind: listen udp6 [2001:db8::1]:8080: bind: cannot assign requested address",
		"udp_server/bind", "-network", "udp6", "-addr", "[2001:db8::1]:8080")
	peer.Fails(t, h, "bind: listen udp4: address ::1: no suitable address found", "udp_server/bind", "-addr", "[::1]:8080")
	peer.Fails(t, h, "bind: listen udp6: address 127.0.0.1: no suitable address found", "udp_server/bind", "-network", "udp6")
	peer.Unresolved(t, h, "udp_server/bind")
}

func TestBindStop(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.StopBy(t, func() *harness.Program {
		p := harness.Start(t, h, "udp_server/bind")
		p.Line(`listening on .*`)
		return p
	})
}

func TestBindNode(t *testing.T) {
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		s := goes("udp_server/bind")
		s.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
		goes("udp_server/bind").ExitSaying(1, `bind: listen udp4 127\.0\.0\.1:8080: bind: address already in use\n`)
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		s := node("udp_server/bind")
		s.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
		node("udp_server/bind").ExitSaying(1, `bind: bind EADDRINUSE 127\.0\.0\.1:8080\n`)
		s.Stop()
	})
}

// On :: a udp6 socket of Node's has the port for IPv4 as well, one of Go's has
// not: another program can still have it.
func TestBindNodeFamilies(t *testing.T) {
	bind := func(t *testing.T, h *lab.Host, start harness.Starter) (s, s4 *harness.Program) {
		s = start("udp_server/bind", "--network", "udp6", "--addr", "[::]:8080")
		s.Line(`listening on \[::\]:8080 \(udp6\)`)
		return s, start("udp_server/bind", "--addr", "0.0.0.0:8080")
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		s, s4 := bind(t, h, goes)
		s4.Line(`listening on 0\.0\.0\.0:8080 \(udp4\)`)
		s4.Stop()
		s.Stop()
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		s, s4 := bind(t, h, node)
		s4.ExitSaying(1, `bind: bind EADDRINUSE 0\.0\.0\.0:8080\n`)
		s.Stop()
	})
}
