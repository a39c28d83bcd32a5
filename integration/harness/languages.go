package harness

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"example.com/sockets/integration/lab"
	"example.com/sockets/tools/pages"
)

// Starter starts a section in one of its languages. The flags have two hyphens:
// Node takes no others, and Go does not mind.
type Starter func(section string, args ...string) *Program

// Go starts sections' main.go on a host.
func Go(t testing.TB, on *lab.Host) Starter {
	return func(section string, args ...string) *Program {
		t.Helper()
		return Start(t, on, section, args...)
	}
}

// Node starts sections' main.js on a host, or a script of the tests' own, as in
// "testdata/error.js".
func Node(t testing.TB, on *lab.Host) Starter {
	t.Helper()
	node := sync.OnceValue(func() string { return tool(t, "node") })
	return func(section string, args ...string) *Program {
		t.Helper()
		if Foreign(section) {
			return Start(t, on, section, args...)
		}
		script := section
		if filepath.Ext(script) == ".js" {
			opened(t, script)
		} else {
			script = File(t, section+"/main.js")
		}
		return Command(t, on, exec.Command(node(), append([]string{script}, args...)...))
	}
}

var nodeVersions = sync.OnceValues(func() ([]byte, error) {
	return exec.Command("node", "-p", "process.versions.node + ' ' + process.versions.uv").Output()
})

// nodeVersion returns the first number of Node's version, 20 for 20.20.2, and two of
// its libuv's, which is not always the one that this Node was released with.
func nodeVersion(t testing.TB) (node int, uv [2]int) {
	t.Helper()
	tool(t, "node")
	versions, err := nodeVersions()
	if _, scan := fmt.Sscanf(string(versions), "%d.%s %d.%d", &node, new(string), &uv[0], &uv[1]); scan != nil {
		t.Fatalf("the versions of node: %q, %v", versions, err)
	}
	return node, uv
}

// NodeMajor returns the version of Node, 20 for 20.20.2: some of what it does has
// changed.
func NodeMajor(t testing.TB) int {
	t.Helper()
	node, _ := nodeVersion(t)
	return node
}

// NodeTellsResets reports whether Node emits an error for a reset that it finds
// together with data. Before libuv 1.52 it emits 'end'.
func NodeTellsResets(t testing.TB) bool {
	t.Helper()
	_, uv := nodeVersion(t)
	return uv[0] > 1 || uv[1] >= 52
}

// NodeScript runs a script with Node that stands in the test itself.
func NodeScript(t testing.TB, on *lab.Host, script string) *Program {
	t.Helper()
	return Command(t, on, exec.Command(tool(t, "node"), "-e", script))
}

// Languages are Go and Node, for a test that Both does not fit; for the judge the
// foreign program's alone.
func Languages() map[string]func(testing.TB, *lab.Host) Starter {
	if j := judging(); j != nil {
		language, in := j.language()
		return map[string]func(testing.TB, *lab.Host) Starter{language: in}
	}
	return map[string]func(testing.TB, *lab.Host) Starter{"Go": Go, "Node": Node}
}

// Both runs a test of one program in Go and in Node, each on a host of its own:
// what holds for both is written down once. The judge asks it of the foreign program.
func Both(t *testing.T, test func(t *testing.T, h *lab.Host, start Starter)) {
	if j := judging(); j != nil {
		t.Parallel()
		language, in := j.language()
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			test(t, h, in(t, h))
		})
		return
	}
	Compare(t, test, test)
}

// Compare is Both for a program that does one thing in Go and another in Node. The
// judge asks it of nobody.
func Compare(t *testing.T, inGo, inNode func(t *testing.T, h *lab.Host, start Starter)) {
	Ours(t, "Go and Node differ here, and either is right")
	t.Parallel()
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		inGo(t, h, Go(t, h))
	})
	t.Run("Node", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		inNode(t, h, Node(t, h))
	})
}

// Pair runs a test of two programs twice, each time on a host of its own: with
// our client for Node's server, and with Node's client for ours. They print the
// same, so that one test does for both.
func Pair(t *testing.T, test func(t *testing.T, h *lab.Host, server, client Starter)) {
	t.Parallel()
	if judging() != nil {
		h := lab.NewHost(t, "h")
		test(t, h, Go(t, h), Go(t, h))
		return
	}
	t.Run("Node client", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		test(t, h, Go(t, h), Node(t, h))
	})
	t.Run("Node server", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		test(t, h, Node(t, h), Go(t, h))
	})
}

// Socat starts socat on a host. It logs on stdout, so that a test can wait for
// it.
func Socat(t testing.TB, on *lab.Host) func(args ...string) *Program {
	t.Helper()
	path := tool(t, "socat")
	return func(args ...string) *Program {
		t.Helper()
		return Command(t, on, exec.Command(path, append([]string{"-d", "-d", "-lf/dev/stdout"}, args...)...))
	}
}

// SocatSays is an address for socat: it sends text, ends its half, and prints
// what comes back.
func SocatSays(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return "OPEN:" + file + ",rdonly!!STDOUT"
}

// SocatPrinted waits for socat's end and returns what it printed, without its
// log.
func SocatPrinted(t testing.TB, p *Program) string {
	t.Helper()
	if code := p.Wait(); code != 0 {
		t.Fatalf("socat: exit status %d, want 0", code)
	}
	p.Complaint("")
	return socatLog.ReplaceAllString(strings.Join(p.Lines(), ""), "")
}

var socatLog = regexp.MustCompile(`\d{4}/\d\d/\d\d \d\d:\d\d:\d\d socat\[\d+\] [A-Z] .*\n`)

// tool finds a program that a test cannot do without.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	lab.Require(t, name, err == nil)
	return path
}

// File returns where a file of the project is, as in
// "tcp_server/half_open/main.js": in the tree, or in what Bazel gives a test of
// it.
func File(t testing.TB, path string) string {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(root, filepath.FromSlash(path))
	opened(t, name)
	return name
}

// Root is the top folder of the tree, or of what Bazel gives of it.
func Root() (string, error) {
	if os.Getenv("TEST_SRCDIR") == "" && os.Getenv("RUNFILES_DIR") == "" {
		return pages.Top()
	}
	return filepath.Join(Runfiles(), cmp.Or(os.Getenv("TEST_WORKSPACE"), "_main")), nil
}

// opened opens a file once: the go command reuses a test's result until a file
// it opened changes.
func opened(t testing.TB, name string) {
	t.Helper()
	if _, err := os.ReadFile(name); err != nil {
		t.Fatal(err)
	}
}
