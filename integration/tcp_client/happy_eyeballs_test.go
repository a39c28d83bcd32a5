package tcp_client

import (
	"regexp"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// eyeballs starts the program.
func eyeballs(start harness.Starter, addr string, args ...string) *harness.Program {
	return start("tcp_client/happy_eyeballs", append([]string{"--addr", addr}, args...)...)
}

// tries demands the line of an attempt.
func tries(p *harness.Program, addr string) {
	p.Line("trying " + regexp.QuoteMeta(addr))
}

// connects demands that the program has connected to an address.
func connects(p *harness.Program, addr string) {
	p.Line("connected to " + regexp.QuoteMeta(addr) + ` from \S+`)
}

// fails demands that it tells of an attempt that was refused.
func fails(p *harness.Program, addr, host string) {
	if p.Foreign() { // in its own words
		p.Line("failed: .*")
		return
	}
	p.Line(`failed: (dial tcp ` + regexp.QuoteMeta(addr) + `: connect: connection refused|connect ECONNREFUSED ` + host + `:8080)`)
}

// An address needs no look-up and has no rival. The client waits for the peer's FIN; a
// signal ends it too.
func TestHappyEyeballsAddress(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, sig := range []syscall.Signal{0, syscall.SIGINT} { // SIGTERM ends most of these tests
			ln := peer.ListenTCP(t, h, "127.0.0.1:0")
			p := eyeballs(start, ln.Addr().String())
			tries(p, ln.Addr().String())
			connects(p, ln.Addr().String())
			remote := peer.AcceptTCP(t, ln)
			if sig != 0 {
				p.Signal(sig)
			} else {
				assert.NilError(t, remote.CloseWrite())
			}
			p.Line("closed")
			p.Exit(0)
			assert.Equal(t, readToFIN(t, remote), "")
		}
	})
}

// A reset is an error: one line, and exit code 1.
func TestHappyEyeballsReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		ln := peer.ListenTCP(t, h, "127.0.0.1:0")
		p := eyeballs(start, ln.Addr().String())
		tries(p, ln.Addr().String())
		connects(p, ln.Addr().String())
		testReset(t, p, peer.AcceptTCP(t, ln))
	})
}
