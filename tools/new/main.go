// New lays out a section: the program in Go and in Node, both pages, the tests
// and the BUILD file. All of it compiles and runs, and teaches nothing yet: what
// is to be written says TODO, and the inventory lists it.
//
//	./bazelw run //tools/new -- CHAPTER SECTION
//	go run ./tools/new CHAPTER SECTION
package main

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"example.com/sockets/tools/pages"
)

//go:embed templates
var templates embed.FS

func main() {
	log.SetFlags(0)
	log.SetPrefix("new: ")
	if len(os.Args) != 3 {
		log.Fatal("want a chapter and a new section's name, as tcp_client no_delay")
	}
	top, err := pages.Top()
	if err != nil {
		log.Fatal(err)
	}
	chapter, section := os.Args[1], os.Args[2]
	made, err := layOut(top, chapter, section)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf(`made:
  %s

Write the program, the same in Node, and the tests. Then, to run them and to write
the transcript:
  go test ./integration/%s -run %s -update

Write both pages. Then, to bring in code, transcript and links, and the BUILD files:
  ./bazelw run //tools/weave     # or: go run ./tools/weave
  ./bazelw run //:gazelle        # or: go -C tools/bazel tool gazelle -repo_root=$PWD $PWD

What is still to be written, line by line:
  go test -count=1 ./tools/tree     # or: ./bazelw test //tools/tree:tree_test
`, strings.Join(made, "\n  "), chapter, pages.TestName(section))
}

// names are what a section can be called. Of the endings, some are those of files for
// other systems, and some of the tests that Bazel has of each section.
var (
	names   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	endings = regexp.MustCompile(`_(unix|other|all|judge|test)$`)
)

// taken are names that mean something else to the go command, or to Bazel, or to the
// suite, which has a chapter_test.go.
var taken = []string{"all", "chapter", "internal", "node", "programs", "sources", "testdata", "vendor"}

// ofSystem tells a name that the go command takes for that of a file for one system or
// processor, as in_js and x_arm64.
func ofSystem(section string) bool {
	none := build.Context{GOOS: "none", GOARCH: "none", OpenFile: func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("package none\n")), nil
	}}
	matches, err := none.MatchFile("", section+"_test.go")
	return err != nil || !matches
}

// layOut makes a section's files in the tree, and returns their names.
func layOut(top, chapter, section string) ([]string, error) {
	tree := os.DirFS(top)
	chapters, err := pages.Chapters(tree)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(chapters, func(c pages.Chapter) bool { return c.Name == chapter })
	switch {
	case at < 0:
		var known []string
		for _, c := range chapters {
			known = append(known, c.Name)
		}
		return nil, fmt.Errorf("there is no chapter %q: there are %s", chapter, strings.Join(known, ", "))
	case !names.MatchString(section):
		return nil, fmt.Errorf("%q is no name for a section: want small letters, digits and _, a letter first", section)
	case ofSystem(section) || endings.MatchString(section) || slices.Contains(taken, section):
		return nil, fmt.Errorf("%q is no name for a section: to the go command or to Bazel it means something else", section)
	}
	files, err := render(chapters[at], section)
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(tree, "integration/"+chapter); err == nil {
		delete(files, "integration/"+chapter+"/chapter_test.go") // it has one
	}
	var made []string
	for name := range files {
		if _, err := fs.Stat(tree, name); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is a section %s/%s already: see %s", chapter, section, name)
		}
		made = append(made, name)
	}
	inSuite := func(name string) int { return strings.Count(name, "integration/") }
	slices.SortFunc(made, func(a, b string) int { return cmp.Or(inSuite(a)-inSuite(b), cmp.Compare(a, b)) })
	for _, name := range made {
		full := filepath.Join(top, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(full, files[name], 0o644); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// frame returns the folder of templates for a chapter, and the function that the
// programs made of them have for the lesson.
func frame(chapter string) (dir, function string) {
	switch {
	case strings.HasPrefix(chapter, "tcp_client"):
		return "tcp_client", "talk"
	case strings.HasPrefix(chapter, "multicast"):
		return "multicast", "hear"
	case strings.HasPrefix(chapter, "udp"), strings.HasPrefix(chapter, "broadcast"):
		return "udp", "serve"
	}
	return "tcp_server", "serve"
}

// render returns a section's files by their names, and the chapter's own in the
// suite.
func render(chapter pages.Chapter, section string) (map[string][]byte, error) {
	dir, function := frame(chapter.Name)
	values := struct {
		Chapter, Section, Title, Test, FirstTest, Function string
		Place                                              int
		Deps                                               []string
	}{
		Chapter:  chapter.Name,
		Section:  section,
		Title:    strings.ToUpper(section[:1]) + section[1:],
		Test:     pages.TestName(section),
		Function: function,
		Place:    10,
	}
	for _, s := range chapter.Sections {
		values.Place = max(values.Place, s.Place+10)
	}
	home, suite := chapter.Name+"/"+section+"/", "integration/"+chapter.Name+"/"
	files := map[string][]byte{}
	for _, f := range []struct{ name, template string }{
		{home + "main.go", dir + "/main.go.tmpl"},
		{home + "main.js", dir + "/main.js.tmpl"},
		{suite + section + "_test.go", dir + "/test.go.tmpl"},
		{suite + "chapter_test.go", "chapter_test.go.tmpl"},
		// These tell of the ones above.
		{home + "README.md", "README.md.tmpl"},
		{home + "README.zh-CN.md", "README.zh-CN.md.tmpl"},
		{home + "BUILD.bazel", "BUILD.bazel.tmpl"},
	} {
		t, err := template.ParseFS(templates, "templates/"+f.template)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		if err := t.Execute(&out, values); err != nil {
			return nil, err
		}
		files[f.name] = out.Bytes()
		switch f.template {
		case dir + "/main.go.tmpl":
			if values.Deps, err = deps(out.Bytes()); err != nil {
				return nil, err
			}
		case dir + "/test.go.tmpl":
			values.FirstTest = firstTest.FindString(out.String())
		}
	}
	return files, nil
}

var firstTest = regexp.MustCompile(`\bTest\w+`)

// deps are the labels, as gazelle writes them, of what a program imports beside
// the standard library.
func deps(source []byte) (labels []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if parts := strings.SplitN(imported, "/", 4); parts[0] == "golang.org" && len(parts) == 4 {
			labels = append(labels, fmt.Sprintf("@org_golang_%s_%s//%s", parts[1], parts[2], parts[3]))
		}
	}
	return labels, nil
}
