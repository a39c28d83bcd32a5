package all

import (
	"errors"
	"net"
	"os"
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

// built tells whether this test's target has a section's program: a test of many
// sections is of those that are there.
func built(section string) bool {
	return slices.Contains(harness.Sections(), section)
}

// complete demands of a table of sections that it has all that are built and
// whose names begin with prefix, save those that have no place in it.
func complete(t *testing.T, prefix string, have []string, without ...string) {
	t.Helper()
	for _, section := range harness.Sections() {
		if strings.HasPrefix(section, prefix) && !slices.Contains(have, section) && !slices.Contains(without, section) {
			t.Errorf("%s has no row in the table of this test", section)
		}
	}
}
