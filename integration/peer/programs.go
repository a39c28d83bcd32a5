package peer

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// Misuse is a command line that a program refuses: exit code 2, the message,
// then the usage on stderr, and no socket opened.
type Misuse struct {
	Args    []string
	Message string
}

// byDefault is the end of a flag's description, with a value of one word.
var byDefault = regexp.MustCompile(`\(default "?(\S+?)"?\)\n$`)

// CommandLine checks what every section promises of its command line: -h
// explains the section and lists the flags, here name or name=default; what is
// wrong is refused.
func CommandLine(t *testing.T, section string, flags string, wrong ...Misuse) {
	t.Helper()
	h := lab.NewHost(t, "h")
	_, name, _ := strings.Cut(section, "/")

	stdout, help, code := harness.Run(t, h, section, "-h")
	assert.Equal(t, code, 0)
	assert.Equal(t, stdout, "")
	lines := strings.SplitAfter(help, "\n")
	assert.Assert(t, strings.HasPrefix(help, name+" shows "), help)
	assert.Assert(t, strings.HasSuffix(lines[0], ".\n"), help)
	var listed []string
	for i, line := range lines[1:] {
		if flag, ok := strings.CutPrefix(line, "  -"); ok {
			flag = strings.Fields(flag)[0]
			if value := byDefault.FindStringSubmatch(lines[i+2]); value != nil {
				flag += "=" + value[1]
			}
			listed = append(listed, flag)
		}
	}
	want := strings.Fields(flags)
	slices.Sort(want)
	assert.DeepEqual(t, listed, want)

	wrong = append(wrong,
		Misuse{Args: []string{"-nonsense"}, Message: "flag provided but not defined: -nonsense"},
		Misuse{Args: []string{"leftover"}, Message: name + `: unexpected argument "leftover"`})
	if strings.Contains(flags, "addr=") {
		for _, addr := range []string{"", "nonsense", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:65536",
			"127.0.0.1:8a", "127.0.0.1:http", "::1", "::1:0", "::1:8080:"} {
			wrong = append(wrong, Misuse{Args: []string{"-addr", addr}, Message: fmt.Sprintf("%s: -addr %q is not a host and a port", name, addr)})
		}
	}
	for _, w := range wrong {
		stdout, stderr, code := harness.Run(t, h, section, w.Args...)
		assert.Equal(t, code, 2, "%v: %s", w.Args, stderr)
		assert.Equal(t, stdout, "", "%v", w.Args)
		assert.Equal(t, stderr, w.Message+"\n"+help, "%v", w.Args)
	}
}

// Fails checks that a program fails as all of them do: exit code 1, one line on
// stderr, and not a word on stdout.
func Fails(t *testing.T, on *lab.Host, message, section string, args ...string) {
	t.Helper()
	stdout, stderr, code := harness.Run(t, on, section, args...)
	assert.Equal(t, code, 1, "%s %v: %s", section, args, stderr)
	assert.Equal(t, stdout, "")
	assert.Equal(t, stderr, message+"\n")
}

// Clock is the pattern of the time that a server of datagrams sends.
const Clock = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`

// EchoServer starts udp_server:server and returns its address.
func EchoServer(t *testing.T, on *lab.Host, args ...string) (p *harness.Program, addr netip.AddrPort) {
	t.Helper()
	p = harness.Start(t, on, "udp_server/server", args...)
	return p, netip.MustParseAddrPort(p.Ready())
}

// StopBy ends a program with each of the two signals that ask it to.
func StopBy(t *testing.T, start func() *harness.Program) {
	t.Helper()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := start()
		p.Signal(sig)
		p.Line("closed")
		p.Exit(0)
	}
}

// Unresolved checks what a program says of a host that has no address.
func Unresolved(t *testing.T, on *lab.Host, section string) {
	t.Helper()
	p := harness.Start(t, on, section, "-addr", "host.invalid:1")
	_, name, _ := strings.Cut(section, "/")
	p.ExitSaying(1, name+`: [^\n]*lookup host\.invalid[^\n]*\n`)
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
