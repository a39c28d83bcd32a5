package main

import (
	"bytes"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/tools/pages"
)

// chapters have one for each set of templates, and more.
var chapters = []string{"tcp_server", "tcp_client", "udp_server", "udp_client", "broadcast", "multicast", "unix_server"}

// book makes a tree with those chapters and no section.
func book(t *testing.T) (top string) {
	t.Helper()
	top = t.TempDir()
	for _, language := range pages.Languages {
		write(t, top, "integration/judge/"+language, "# Judge\n")
	}
	for i, chapter := range chapters {
		write(t, top, chapter+"/README.md", fmt.Sprintf("<!-- place: %d -->\n# Chapter\n", i+1))
	}
	return top
}

func write(t *testing.T, top, name, text string) {
	t.Helper()
	name = filepath.Join(top, filepath.FromSlash(name))
	assert.NilError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	assert.NilError(t, os.WriteFile(name, []byte(text), 0o644))
}

// What is laid out is Go as gofmt writes it, short, and complete but for what
// says TODO and for the transcript.
func TestLayOut(t *testing.T) {
	top := book(t)
	for _, chapter := range chapters {
		made, err := layOut(top, chapter, "half_duplex")
		assert.NilError(t, err)
		home, suite := chapter+"/half_duplex/", "integration/"+chapter+"/"
		want := []string{
			home + "BUILD.bazel", home + "README.md", home + "README.zh-CN.md", home + "main.go", home + "main.js",
			suite + "chapter_test.go", suite + "half_duplex_test.go",
		}
		assert.DeepEqual(t, made, want)
		for _, name := range made {
			data, err := os.ReadFile(filepath.Join(top, name))
			assert.NilError(t, err)
			assert.Assert(t, !bytes.Contains(data, []byte("{{")), name)
			assert.Assert(t, !strings.HasPrefix(path.Base(name), "main.") || bytes.Count(data, []byte("\n")) <= 60, name)
			if name == "tcp_server/half_duplex/main.go" { // as every server here, see tcp_server/server
				assert.Assert(t, bytes.Contains(data, []byte("SetMultipathTCP(false)")))
				assert.Assert(t, !bytes.Contains(data, []byte("io.Copy(conn, conn)")))
			}
			if path.Ext(name) == ".go" {
				_, err = parser.ParseFile(token.NewFileSet(), name, data, parser.AllErrors)
				assert.NilError(t, err)
				formatted, err := format.Source(data)
				assert.NilError(t, err)
				assert.Equal(t, string(formatted), string(data), name)
			}
		}
	}

	amiss, err := pages.Inventory(os.DirFS(top))
	assert.NilError(t, err)
	todo := map[string]int{}
	for _, line := range amiss {
		name, what, _ := strings.Cut(line, ":")
		home := path.Dir(name)
		switch {
		case path.Base(home) != "half_duplex" && !strings.HasSuffix(name, "half_duplex_test.go"): // the chapters' pages, which this tree has not
		case strings.HasPrefix(what, " TODO on line "):
			todo[name]++
		case strings.Contains(what, "testdata/half_duplex.txt: there is no such file"):
			todo[home+"/testdata"]++
		case strings.Contains(what, "level: N -->"): // nobody can know it beforehand
		case strings.Contains(what, "the link ../README.zh-CN.md"):
		default:
			t.Error(line)
		}
	}
	want := map[string]int{}
	for _, chapter := range chapters {
		home := chapter + "/half_duplex"
		maps.Copy(want, map[string]int{
			home + "/README.md": 10, home + "/README.zh-CN.md": 10, home + "/main.go": 2, home + "/main.js": 2,
			home + "/testdata": 2, "integration/" + chapter + "/half_duplex_test.go": 1,
		})
	}
	assert.DeepEqual(t, todo, want)

	// With a transcript, both pages can be woven, and say how to run the program.
	for _, chapter := range chapters {
		write(t, top, "integration/"+chapter+"/testdata/half_duplex.txt", "$ ./bazelw run //"+chapter+":half_duplex\n")
	}
	all, err := pages.Weave(os.DirFS(top))
	assert.NilError(t, err)
	for _, p := range all {
		assert.NilError(t, p.Err)
		write(t, top, p.Name, p.Woven)
	}
	amiss, err = pages.Inventory(os.DirFS(top))
	assert.NilError(t, err)
	for _, line := range amiss {
		if strings.Contains(line, "/half_duplex/") && !strings.Contains(line, ": TODO on line ") && !strings.Contains(line, "level: N -->") && !strings.Contains(line, "the link ../README.zh-CN.md") {
			t.Error(line)
		}
	}
}

// A section comes behind the others, and brings no chapter_test.go where there
// is a suite already.
func TestLayOutTheNext(t *testing.T) {
	top := book(t)
	write(t, top, "tcp_server/server/main.go", "package main\n")
	write(t, top, "tcp_server/server/README.md", "<!-- place: 25 -->\n# server: x\n")
	write(t, top, "integration/tcp_server/server_test.go", "package tcp_server\n")
	made, err := layOut(top, "tcp_server", "ttl")
	assert.NilError(t, err)
	assert.Assert(t, !slices.Contains(made, "integration/tcp_server/chapter_test.go"))
	page, err := os.ReadFile(filepath.Join(top, "tcp_server/ttl/README.md"))
	assert.NilError(t, err)
	assert.Assert(t, strings.HasPrefix(string(page), "<!-- place: 35 -->\n# ttl: TODO\n"), string(page))
	assert.Assert(t, strings.Contains(string(page), "`TestTTLEchoes`"), string(page))
	build, err := os.ReadFile(filepath.Join(top, "tcp_server/ttl/BUILD.bazel"))
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(string(build), "deps"), string(build))

	_, err = layOut(top, "multicast", "ttl")
	assert.NilError(t, err)
	build, err = os.ReadFile(filepath.Join(top, "multicast/ttl/BUILD.bazel"))
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(build), "visibility = [\"//visibility:private\"],\n    deps = [\"@org_golang_x_net//ipv4\"],\n)"), string(build))
}

// What cannot be laid out leaves no file behind.
func TestRefusals(t *testing.T) {
	top := book(t)
	write(t, top, "tcp_server/server/main.go", "package main\n")
	write(t, top, "integration/tcp_server/close_test.go", "package tcp_server\n")
	before := files(t, top)
	for _, c := range []struct{ chapter, section, want string }{
		{"tcp", "x", `there is no chapter "tcp": there are tcp_server, tcp_client, udp_server, udp_client, broadcast, multicast, unix_server`},
		{"tools", "x", `there is no chapter "tools": there are tcp_server, `},
		{"tcp_server", "server", "there is a section tcp_server/server already: see tcp_server/server/main.go"},
		{"tcp_server", "close", "there is a section tcp_server/close already: see integration/tcp_server/close_test.go"},
		{"tcp_server", "", `"" is no name for a section: want small letters, digits and _, a letter first`},
		{"tcp_server", "Close", `"Close" is no name`},
		{"tcp_server", "half-open", `"half-open" is no name`},
		{"tcp_server", "../x", `"../x" is no name`},
		{"tcp_server", "2x", `"2x" is no name`},
		{"tcp_server", "x_linux", `"x_linux" is no name for a section: to the go command or to Bazel it means something else`},
		{"tcp_server", "x_js", `"x_js" is no name`},
		{"tcp_server", "x_plan9", `"x_plan9" is no name`},
		{"tcp_server", "x_arm64", `"x_arm64" is no name`},
		{"tcp_server", "x_other", `"x_other" is no name`},
		{"tcp_server", "x_all", `"x_all" is no name`},
		{"tcp_server", "all", `"all" is no name`},
		{"tcp_server", "chapter", `"chapter" is no name`},
		{"tcp_server", "internal", `"internal" is no name`},
		{"tcp_server", "node", `"node" is no name`},
		{"tcp_server", "programs", `"programs" is no name`},
		{"tcp_server", "testdata", `"testdata" is no name`},
		{"tcp_server", "vendor", `"vendor" is no name`},
	} {
		_, err := layOut(top, c.chapter, c.section)
		assert.ErrorContains(t, err, c.want)
		assert.Assert(t, !strings.Contains(err.Error(), "\n"))
	}
	assert.DeepEqual(t, files(t, top), before)
}

func files(t *testing.T, top string) (names []string) {
	t.Helper()
	assert.NilError(t, fs.WalkDir(os.DirFS(top), ".", func(name string, entry fs.DirEntry, err error) error {
		names = append(names, name)
		return err
	}))
	return names
}

// The programs and tests of a new section in each chapter compile.
func TestCompiles(t *testing.T) {
	if os.Getenv("TEST_SRCDIR") != "" {
		t.Skip("under Bazel there is neither the tree nor a go command")
	}
	root, err := pages.Top()
	assert.NilError(t, err)
	top := book(t)
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		assert.NilError(t, err)
		write(t, top, name, string(data))
	}
	for _, dir := range []string{"integration/diagram", "integration/harness", "integration/lab", "integration/peer", "integration/wire", "tools/pages"} {
		err := os.CopyFS(filepath.Join(top, dir), os.DirFS(filepath.Join(root, dir)))
		assert.Assert(t, err == nil || os.IsNotExist(err), "%v", err)
	}
	var packages []string
	for _, chapter := range chapters {
		_, err := layOut(top, chapter, "half_duplex")
		assert.NilError(t, err)
		packages = append(packages, "./"+chapter+"/...", "./integration/"+chapter)
		if node, err := exec.LookPath("node"); err == nil {
			run(t, top, node, "--check", chapter+"/half_duplex/main.js")
		}
	}
	run(t, top, "go", append([]string{"vet"}, packages...)...)
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", cmd, err, out)
	}
}
