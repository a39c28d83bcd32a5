package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// Nothing that a test sends can leave its host: there is no other interface
// than lo and no route anywhere. connect(2) on a UDP socket looks for a route
// and sends nothing, so that asking is safe even if the answer is wrong.
func TestNothingLeaves(t *testing.T) {
	lab.Require(t, "namespaces", lab.Isolated())
	for _, on := range []struct {
		name string
		do   func(func())
	}{
		{"a host", lab.NewHost(t, "h").Do},
		{"the suite", func(f func()) { f() }},
	} {
		var names []string
		var err4, err6 error
		on.do(func() {
			all, _ := net.Interfaces()
			for _, i := range all {
				names = append(names, i.Name)
			}
			_, err4 = net.Dial("udp", "192.0.2.1:9") // TEST-NET-1, RFC 5737
			_, err6 = net.Dial("udp", "[2001:db8::1]:9")
		})
		assert.DeepEqual(t, names, []string{"lo"})
		for _, err := range []error{err4, err6} {
			assert.Assert(t, errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL), "%s: %v", on.name, err)
		}
	}
}

// Under Bazel the sandbox has cut the network off before the suite does.
func TestBazelSandboxBlocksTheNetwork(t *testing.T) {
	if os.Getenv("BAZEL_TEST") == "" || runtime.GOOS != "linux" {
		t.Skip("not under Bazel on Linux")
	}
	lab.Require(t, "namespaces", lab.Isolated())
	assert.DeepEqual(t, lab.Outside(), []string{"lo"})
}

// Each host has ports of its own.
func TestHostsShareNoPort(t *testing.T) {
	lab.Require(t, "namespaces", lab.Isolated())
	for _, name := range []string{"a", "b"} {
		var err error
		lab.NewHost(t, name).Do(func() {
			var l net.Listener
			if l, err = net.Listen("tcp", "127.0.0.1:8080"); err == nil {
				t.Cleanup(func() { l.Close() })
			}
		})
		assert.NilError(t, err)
	}
}

// complete demands of a table of sections that it has all whose names begin with
// prefix, save those that have no place in it.
func complete(t *testing.T, prefix string, have []string, without ...string) {
	t.Helper()
	var want []string
	for _, section := range harness.Sections() {
		if strings.HasPrefix(section, prefix) {
			want = append(want, section)
		}
	}
	all := slices.Concat(have, without)
	slices.Sort(want)
	slices.Sort(all)
	assert.DeepEqual(t, all, want)
}

// misuse is a command line that a program refuses: exit code 2, the message,
// then the usage on stderr, and no socket opened.
type misuse struct {
	args    []string
	message string
}

// byDefault is the end of a flag's description, with a value of one word.
var byDefault = regexp.MustCompile(`\(default "?(\S+?)"?\)\n$`)

// testCommandLine checks what every section promises of its command line: -h
// explains the section and lists the flags, here name or name=default; what is
// wrong is refused.
func testCommandLine(t *testing.T, section string, flags string, wrong ...misuse) {
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
		misuse{[]string{"-nonsense"}, "flag provided but not defined: -nonsense"},
		misuse{[]string{"leftover"}, name + `: unexpected argument "leftover"`})
	if strings.Contains(flags, "addr=") {
		for _, addr := range []string{"", "nonsense", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:65536",
			"127.0.0.1:8a", "127.0.0.1:http", "::1", "::1:0", "::1:8080:"} {
			wrong = append(wrong, misuse{[]string{"-addr", addr}, fmt.Sprintf("%s: -addr %q is not a host and a port", name, addr)})
		}
	}
	for _, w := range wrong {
		stdout, stderr, code := harness.Run(t, h, section, w.args...)
		assert.Equal(t, code, 2, "%v: %s", w.args, stderr)
		assert.Equal(t, stdout, "", "%v", w.args)
		assert.Equal(t, stderr, w.message+"\n"+help, "%v", w.args)
	}
}

// testFailure checks that a program fails as all of them do: exit code 1, one
// line on stderr, and not a word on stdout.
func testFailure(t *testing.T, on *lab.Host, message, section string, args ...string) {
	t.Helper()
	stdout, stderr, code := harness.Run(t, on, section, args...)
	assert.Equal(t, code, 1, "%s %v: %s", section, args, stderr)
	assert.Equal(t, stdout, "")
	assert.Equal(t, stderr, message+"\n")
}
