package peer

import (
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// Refuses checks that a program ends as all do that cannot do what they were told:
// exit code 1, not a word on stdout, and one line on stderr, which begins with the
// section's name; the pattern is for the rest of it.
func Refuses(t *testing.T, on *lab.Host, section, pattern string, args ...string) {
	t.Helper()
	if harness.Foreign(section) {
		harness.Ours(t, "what a program refuses, and in which words, is its own affair")
	}
	_, name, _ := strings.Cut(section, "/")
	harness.Start(t, on, section, args...).ExitSaying(1, name+": "+pattern+`\n`)
}

// Clock is the pattern of the time that a server of datagrams sends.
const Clock = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`

// EchoServer starts udp_server:server and returns its address.
func EchoServer(t *testing.T, on *lab.Host, args ...string) (p *harness.Program, addr netip.AddrPort) {
	t.Helper()
	p = harness.Start(t, on, "udp_server/server", args...)
	return p, netip.MustParseAddrPort(p.Ready())
}

// InOurNode tells whether harness.Both asks our own program in Node, which starts slowly:
// what another test asks of the same lines of its main.js is then asked of Go, and of
// others' programs, alone.
func InOurNode(t *testing.T) bool {
	return strings.HasSuffix(t.Name(), "/Node") && !harness.Judged()
}

// StopBy ends a program with each of the two signals that ask it to. Ours in Node it ends
// with one of them: the other is that of Stop, with which its other tests end it.
func StopBy(t *testing.T, start func() *harness.Program) {
	t.Helper()
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if InOurNode(t) {
		signals = signals[:1]
	}
	StopByEach(t, signals, start)
}

// StopByEach is StopBy with signals of the test's choice.
func StopByEach(t *testing.T, signals []os.Signal, start func() *harness.Program) {
	t.Helper()
	for _, sig := range signals {
		p := start()
		p.Signal(sig)
		p.Line("closed")
		p.Exit(0)
	}
}

// Connected waits for a client's first line and returns the client's address.
func Connected(client *harness.Program) string {
	return client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
}

// Waiting starts a client that holds its connection until it is stopped, or the
// server closes it.
func Waiting(client harness.Starter) (p *harness.Program, addr string) {
	p = client("tcp_client/unref")
	addr = Connected(p)
	p.Line("waiting for the peer")
	return p, addr
}

// Hello starts a client that sends hello and ends its half.
func Hello(client harness.Starter) (p *harness.Program, addr string) {
	p = client("tcp_client/client")
	addr = Connected(p)
	p.Line(`sent 5 bytes: "hello"`)
	return p, addr
}
