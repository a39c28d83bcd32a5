// Package tree checks the source tree itself, not what is built from it: pages
// and inventory, formatting, generated files, and versions that stand in more
// than one place.
package tree

import (
	"bytes"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/diagram"
	"example.com/sockets/tools/pages"
)

// top is the project's top folder. Under Bazel that is outside of what the test
// declares, and so it is not sandboxed.
func top(t *testing.T) string {
	t.Helper()
	dir, err := pages.Top()
	assert.NilError(t, err)
	return dir
}

// tool runs gazelle or buildifier: the one that Bazel built, or go tool's.
func tool(t *testing.T, name, remedy string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"-C", filepath.Join(top(t), "tools/bazel"), "tool", name}, args...)...)
	if path := os.Getenv("TREE_" + strings.ToUpper(name)); path != "" {
		cmd = exec.Command(filepath.Join(os.Getenv("TEST_SRCDIR"), path), args...)
	}
	var said bytes.Buffer // go tool also tells what it downloads
	cmd.Stderr = &said
	if diff, err := cmd.Output(); err != nil || len(diff) > 0 {
		t.Errorf("%s: %v\n%s%s\nrun ./bazelw run %s", name, err, diff, &said, remedy)
	}
}

// Every section has its programs, its proofs and its pages, and these are up to
// date. What is amiss is told line by line.
func TestInventory(t *testing.T) {
	t.Parallel()
	amiss, err := pages.Inventory(os.DirFS(top(t)))
	assert.NilError(t, err)
	for _, line := range amiss {
		t.Error(line)
	}
}

// A section's programs can be copied: its Go files alone, in a module that needs
// nothing of ours, build and run. (Bazel builds each from its folder alone anyway.)
func TestCopiedAlone(t *testing.T) {
	t.Parallel()
	if os.Getenv("TREE_GAZELLE") != "" {
		return // the rest needs the go command: go test -count=1 ./tools/...
	}
	chapters, err := pages.Chapters(os.DirFS(top(t)))
	assert.NilError(t, err)
	dir := t.TempDir()
	goCommand := func(args ...string) {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		assert.NilError(t, err, "%s\n%s", cmd, out)
	}
	mod, err := os.ReadFile(filepath.Join(top(t), "go.mod"))
	assert.NilError(t, err)
	mod = regexp.MustCompile(`(?m)^module .*`).ReplaceAll(mod, []byte("module copied"))
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o644))
	sum, err := os.ReadFile(filepath.Join(top(t), "go.sum"))
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o644))
	for _, chapter := range chapters {
		for _, section := range chapter.Sections {
			files, err := filepath.Glob(filepath.Join(top(t), section.Path(), "*.go"))
			assert.NilError(t, err)
			assert.NilError(t, os.MkdirAll(filepath.Join(dir, section.Path()), 0o755))
			for _, file := range files {
				data, err := os.ReadFile(file)
				assert.NilError(t, err)
				assert.NilError(t, os.WriteFile(filepath.Join(dir, section.Path(), filepath.Base(file)), data, 0o644))
			}
		}
		if len(chapter.Sections) == 0 {
			continue
		}
		bin := filepath.Join(dir, "bin", chapter.Name)
		goCommand("build", "-o", bin+string(filepath.Separator), "./"+chapter.Name+"/...")
		for _, section := range chapter.Sections {
			out, err := exec.Command(filepath.Join(bin, section.Name), "-h").CombinedOutput()
			assert.NilError(t, err, "%s", out)
		}
	}
}

// What runs every chapter runs each that there is, and no other.
func TestChapters(t *testing.T) {
	t.Parallel()
	mains, err := fs.Glob(os.DirFS(top(t)), "*/*/main.go")
	assert.NilError(t, err)
	var want []string
	for _, main := range mains {
		if chapter, _, _ := strings.Cut(main, "/"); chapter != "integration" && chapter != "tools" && !strings.HasPrefix(chapter, "bazel-") {
			want = append(want, chapter)
		}
	}
	data, err := os.ReadFile(filepath.Join(top(t), "tools/sections.bzl"))
	assert.NilError(t, err)
	list := regexp.MustCompile(`(?s)\nCHAPTERS = \[(.*?)\]`).FindSubmatch(data)
	assert.Assert(t, list != nil, "tools/sections.bzl has no CHAPTERS")
	var got []string
	for _, m := range regexp.MustCompile(`"(.*?)"`).FindAllSubmatch(list[1], -1) {
		got = append(got, string(m[1]))
	}
	if want = slices.Compact(want); !slices.Equal(got, want) {
		t.Errorf("CHAPTERS in tools/sections.bzl lists %q, and the folders with sections are %q", got, want)
	}
}

// Every golden diagram is one that integration/diagram reads, gives back as it was, and
// knows how to draw.
func TestDiagrams(t *testing.T) {
	t.Parallel()
	seen := false
	walk(t, func(name string, data []byte) {
		if filepath.Ext(name) != ".mmd" {
			return
		}
		seen = true
		d, err := diagram.Parse(string(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		assert.Equal(t, d.Mermaid(), string(data), name)
		for line := range bytes.Lines(d.SVG("en")) {
			if bytes.Contains(line, []byte(`class="other"`)) {
				t.Errorf("%s: kinds in integration/diagram/kinds.go has none for %s", name, line)
			}
		}
	})
	assert.Assert(t, seen)
}

func TestGofmt(t *testing.T) {
	t.Parallel()
	walk(t, func(name string, data []byte) {
		if filepath.Ext(name) != ".go" {
			return
		}
		formatted, err := format.Source(data)
		assert.NilError(t, err, name)
		if !bytes.Equal(formatted, data) {
			t.Errorf("%s: run gofmt -w on it", name)
		}
	})
}

func TestGazelle(t *testing.T) {
	t.Parallel()
	tool(t, "gazelle", "//:gazelle", "-repo_root="+top(t), "-mode=diff", top(t))
}

func TestBuildifier(t *testing.T) {
	t.Parallel()
	args := []string{"-mode=check", "-lint=warn"}
	walk(t, func(name string, _ []byte) {
		switch filepath.Base(name) {
		case "BUILD.bazel", "MODULE.bazel", "WORKSPACE":
		default:
			if filepath.Ext(name) != ".bzl" {
				return
			}
		}
		args = append(args, filepath.Join(top(t), name))
	})
	tool(t, "buildifier", "//tools:buildifier", args...)
}

// rulesGoMod is the go.mod of rules_go, which both of Bazel's modes build with.
// rules_go does not let a target of Bazel see it, go list does.
func rulesGoMod(t *testing.T) string {
	t.Helper()
	path, err := exec.Command("go", "-C", filepath.Join(top(t), "tools/bazel"), "list", "-m", "-f", "{{.GoMod}}", "github.com/bazelbuild/rules_go").Output()
	assert.NilError(t, err)
	return strings.TrimSpace(string(path))
}

// repository matches a go_repository and its version; module is an expression.
func repository(module string) string {
	return `importpath = "` + module + `",\n *sum = "[^"]+",\n *version = "([^"]+)"`
}

// requirements are the modules of a go.mod, each with its version.
func requirements(mod string) map[string]string {
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\s*(?:require )?(\S+\.\S+) (v\S+)`).FindAllStringSubmatch(mod, -1) {
		all[m[1]] = m[2]
	}
	return all
}

// What is pinned in more than one place is the same in all of them.
func TestVersions(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(top(t), name))
		assert.NilError(t, err)
		return string(data)
	}
	find := func(name, pattern string) string {
		t.Helper()
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(read(name), -1)
		assert.Assert(t, found != nil, "%s has nothing like %s", name, pattern)
		for _, m := range found[1:] {
			if m[1] != found[0][1] {
				t.Errorf("%s has both %s and %s for %s", name, found[0][1], m[1], pattern)
			}
		}
		return found[0][1]
	}
	for _, pin := range []struct {
		what  string
		where [][2]string
	}{
		{"rules_go", [][2]string{
			{"MODULE.bazel", `name = "rules_go", version = "([^"]+)"`},
			{"WORKSPACE", `rules_go(?:/releases/download/|-)v([0-9.]*[0-9])`},
			{"tools/bazel/go.mod", `bazelbuild/rules_go v(\S+)`},
		}},
		{"gazelle", [][2]string{
			{"MODULE.bazel", `name = "gazelle", version = "([^"]+)"`},
			{"WORKSPACE", `bazel-gazelle(?:/releases/download/|-)v([0-9.]*[0-9])`},
			{"tools/bazel/go.mod", `bazelbuild/bazel-gazelle v(\S+)`},
		}},
		{"the Go SDK", [][2]string{
			{"MODULE.bazel", `download\(version = "([^"]+)"`},
			{"tools/go_version/version.bzl", `GO_VERSION = "([^"]+)"`},
		}},
		{"the go directive", [][2]string{
			{"go.mod", `(?m)^go (\S+)`},
			{"tools/bazel/go.mod", `(?m)^go (\S+)`},
		}},
		{"Go's release", [][2]string{
			{"go.mod", `(?m)^go (\d+\.\d+)`},
			{"MODULE.bazel", `download\(version = "(\d+\.\d+)`},
			{"README.md", `\bGo (\d+\.\d+)`},
			{"README.zh-CN.md", `\bGo (\d+\.\d+)`},
		}},
		{"buildtools", [][2]string{
			{"MODULE.bazel", `path = "github.com/bazelbuild/buildtools",\n *sum = "[^"]+",\n *version = "([^"]+)"`},
			{"tools/bazel/go.mod", `bazelbuild/buildtools (\S+)`},
		}},
	} {
		for _, other := range pin.where[1:] {
			first := pin.where[0]
			a, b := find(first[0], first[1]), find(other[0], other[1])
			if a != b {
				t.Errorf("%s is %s in %s and %s in %s", pin.what, a, first[0], b, other[0])
			}
		}
	}

	// go_deps.bzl has every requirement of go.mod, with its version.
	main, tools := requirements(read("go.mod")), requirements(read("tools/bazel/go.mod"))
	for module, want := range main {
		if got := find("go_deps.bzl", repository(regexp.QuoteMeta(module))); got != want {
			t.Errorf("%s is %s in go.mod and %s in go_deps.bzl: see tools/README.md", module, want, got)
		}
	}

	if os.Getenv("TREE_GAZELLE") != "" {
		return // the rest needs rules_go's go.mod: go test -count=1 ./tools/...
	}
	// WORKSPACE repeats what bzlmod takes from rules_go itself, and tools' own.
	data, err := os.ReadFile(rulesGoMod(t))
	assert.NilError(t, err)
	rules := requirements(string(data))
	repeated := regexp.MustCompile(repository(`([^"]+)`)).FindAllStringSubmatch(read("WORKSPACE"), -1)
	assert.Equal(t, len(repeated), strings.Count(read("WORKSPACE"), "\ngo_repository("))
	for _, m := range repeated {
		want, where := rules[m[1]], "rules_go's go.mod"
		if want == "" {
			want, where = tools[m[1]], "tools/bazel/go.mod"
		}
		if m[2] != want {
			t.Errorf("%s is %s in WORKSPACE and %q in %s", m[1], m[2], want, where)
		}
	}
}

func walk(t *testing.T, each func(name string, data []byte)) {
	t.Helper()
	tree := os.DirFS(top(t))
	assert.NilError(t, fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case !entry.Type().IsRegular(): // bazel-bin and the like are links
			return nil
		}
		data, err := fs.ReadFile(tree, name)
		each(name, data)
		return err
	}))
}
