package tcp_client

import (
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// connectedFrom waits for a client's first line and returns the client's address.
func connectedFrom(p *harness.Program, addr net.Addr) (from string) {
	p.Line(`connected to ` + regexp.QuoteMeta(addr.String()) + ` from (\S+:\d+)`)
	return strings.Fields(p.Lines()[0])[4]
}

// dialled starts a section of the client's chapter against a listener of the test
// and returns both ends. What the client says of the ends is true.
func dialled(t *testing.T, on *lab.Host, start harness.Starter, section string, args ...string) (*harness.Program, *net.TCPConn) {
	t.Helper()
	ln := peer.ListenTCP(t, on, "127.0.0.1:0")
	p := start("tcp_client/"+section, append(args, "--addr", ln.Addr().String())...)
	remote := peer.AcceptTCP(t, ln)
	assert.Equal(t, connectedFrom(p, ln.Addr()), remote.RemoteAddr().String())
	return p, remote
}

// dialledBy is dialled in Go.
func dialledBy(t *testing.T, on *lab.Host, section string, args ...string) (*harness.Program, *net.TCPConn) {
	t.Helper()
	return dialled(t, on, harness.Go(t, on), section, args...)
}

// stopWaiting ends a program that waits for its peer by a signal. A second is what
// is promised; what outlasts five was not woken by the signal.
func stopWaiting(t *testing.T, p *harness.Program, sig os.Signal) {
	t.Helper()
	begin := time.Now()
	p.Signal(sig)
	p.Line("closed")
	p.Exit(0)
	assert.Assert(t, time.Since(begin) < 5*time.Second)
}

// readToFIN reads to the other end's FIN.
func readToFIN(t *testing.T, conn net.Conn) string {
	t.Helper()
	data, err := io.ReadAll(conn)
	assert.NilError(t, err)
	return string(data)
}

// testFailures is what no client can do anything about: nobody there,
// and a name that means nothing (RFC 2606 keeps .invalid free).
func testFailures(t *testing.T, section string) {
	t.Helper()
	h := lab.NewHost(t, "h")
	peer.Refuses(t, h, "tcp_client/"+section, `dial tcp 127\.0\.0\.1:1: connect: connection refused`, "-addr", "127.0.0.1:1")
	p := harness.Start(t, h, "tcp_client/"+section, "-addr", "host.invalid:1")
	p.ExitSaying(1, section+`: dial tcp: lookup host\.invalid.*\n`)
}

// testReset is a peer that resets a connection the client waits on: one line, and
// exit code 1.
func testReset(t *testing.T, p *harness.Program, remote *net.TCPConn) {
	t.Helper()
	section := path.Base(p.Section)
	if section == "node" {
		section = path.Base(path.Dir(p.Args[0])) // of main.js
	}
	peer.Reset(t, remote)
	ends := regexp.QuoteMeta(fmt.Sprintf("tcp %v->%v: ", remote.RemoteAddr(), remote.LocalAddr()))
	inGo := "(writeto " + ends + ")?read " + ends + "read: connection reset by peer" // io.Copy names itself
	p.ExitSaying(1, section+": ("+inGo+"|read ECONNRESET)\n")
}

// pair starts a server and a client, and returns the client's address as the
// server's lines begin with it.
func pair(t *testing.T, server, client string, args ...string) (s, c *harness.Program, from string) {
	t.Helper()
	t.Parallel()
	h := lab.NewHost(t, "h")
	s = harness.Start(t, h, server)
	s.Line(`listening on 127\.0\.0\.1:8080.*`)
	c = harness.Start(t, h, client, args...)
	from = c.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
	return s, c, regexp.QuoteMeta(from)
}

// clients returns the chapter's sections but client, in whose own tests is the same of
// it: a change of another does not run all of these again.
func clients() (names []string) {
	for _, section := range harness.Sections() {
		if name, ok := strings.CutPrefix(section, "tcp_client/"); ok && name != "client" {
			names = append(names, name)
		}
	}
	return names
}

// overIPv6 is a connection over IPv6; the peer ends it first.
func overIPv6(t *testing.T, h *lab.Host, start harness.Starter, section, last string, args ...string) {
	t.Helper()
	ln := peer.ListenTCP(t, h, "[::1]:0")
	p := start("tcp_client/"+section, append(args, "--addr", ln.Addr().String())...)
	remote := peer.AcceptTCP(t, ln)
	assert.Equal(t, connectedFrom(p, ln.Addr()), remote.RemoteAddr().String())
	assert.NilError(t, remote.CloseWrite())
	_, err := io.Copy(io.Discard, remote)
	assert.NilError(t, err)
	p.Await(last)
	p.Exit(0)
}

// IPv6 works with each client as IPv4 does.
func TestEachOverIPv6(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, section := range clients() {
			switch section {
			case "happy_eyeballs": // its own tests are of both families
			case "unref":
				overIPv6(t, h, start, section, "waiting for the peer")
			case "buffer_size": // to a peer that reads it writes all
				overIPv6(t, h, start, section, "wrote .*", "--bytes", "1000")
			default:
				overIPv6(t, h, start, section, "closed")
			}
		}
	})
}
