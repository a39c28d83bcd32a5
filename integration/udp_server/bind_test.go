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

// A port can be bound once for each family, on one address too; port 0 is a free one;
// TCP's ports are others.
func TestBindFamilies(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.ListenTCP(t, h, "127.0.0.1:8080")
		four := start("udp_server/bind", "--addr", "localhost:8080")
		four.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
		bound := []*harness.Program{four}
		if !peer.InOurNode(t) { // in which TestBindLocalhost has both
			six := start("udp_server/bind", "--addr", "[::1]:8080", "--network", "udp6")
			six.Line(`listening on \[::1\]:8080 \(udp6\)`)
			bound = append(bound, six)
		}
		chosen := start("udp_server/bind", "--addr", "127.0.0.1:0")
		assert.Assert(t, chosen.Line(`listening on 127\.0\.0\.1:(\d+) \(udp4\)`)[0] != "0")
		for _, p := range append(bound, chosen) {
			p.Stop()
		}
	})
}

// On :: a udp6 socket of Go's leaves the port free for IPv4, one of Node's does not.
// What Go makes of "udp" takes both.
func TestBindEverywhere(t *testing.T) {
	bind := func(h *lab.Host, start harness.Starter) (s, s4 *harness.Program) {
		s = start("udp_server/bind", "--network", "udp6", "--addr", "[::]:8080")
		s.Line(`listening on \[::\]:8080 \(udp6\)`)
		return s, start("udp_server/bind", "--addr", "0.0.0.0:8080")
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		s, s4 := bind(h, goes)
		s4.Line(`listening on 0\.0\.0\.0:8080 \(udp4\)`)
		s.Stop()
		s = goes("udp_server/server", "-addr", "[::]:8080")
		s.ExitSaying(1, `server: listen udp \[::\]:8080: bind: address already in use\n`)
		s4.Stop()
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		s, s4 := bind(h, node)
		s4.ExitSaying(1, `bind: bind EADDRINUSE 0\.0\.0\.0:8080\n`)
		s.Stop()
	})
}

// Taken, another machine's, of the other family: the program ends and names the
// address.
func TestBindFailures(t *testing.T) {
	failing := func(inUse, foreign, family string) func(t *testing.T, h *lab.Host, start harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			if !peer.InOurNode(t) { // in which TestBindEverywhere has it
				first := start("udp_server/bind")
				first.Line(`listening on 127\.0\.0\.1:8080 \(udp4\)`)
				start("udp_server/bind").ExitSaying(1, "bind: "+inUse+`\n`)
				first.Stop()
			}
			start("udp_server/bind", "--addr", "192.0.2.1:8080").ExitSaying(1, "bind: "+foreign+`\n`) // TEST-NET-1, RFC 5737
			start("udp_server/bind", "--addr", "[::1]:8080").ExitSaying(1, "bind: "+family+`\n`)
		}
	}
	harness.Compare(t,
		failing(`listen udp4 127\.0\.0\.1:8080: bind: address already in use`,
			`listen udp4 192\.0\.2\.1:8080: bind: cannot assign requested address`,
			`address ::1: no suitable address found`),
		failing(`bind EADDRINUSE 127\.0\.0\.1:8080`, `bind EADDRNOTAVAIL 192\.0\.2\.1:8080`, `(bind EINVAL|.*ENOTFOUND) ::1.*`))
}

// A multicast group is refused: a socket that has not joined it would wait in vain.
func TestBindGroup(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		refusesGroup(t, start("udp_server/bind", "--addr", "239.1.1.1:8080"), `239\.1\.1\.1:8080`)
		refusesGroup(t, start("udp_server/bind", "--network", "udp6", "--addr", "[ff02::1]:8080"), `\[ff02::1\]:8080`)
	})
}

// A signal ends it.
func TestBindStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.StopBy(t, func() *harness.Program {
			p := start("udp_server/bind")
			p.Line(`listening on .*`)
			return p
		})
	})
}
