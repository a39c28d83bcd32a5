package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"example.com/sockets/integration/harness"
	"example.com/sockets/tools/pages"
)

// suite is the tests of a section's chapter.
type suite struct {
	section string
	binary  string // of the chapter's tests
	dir     string // where they run, and their sources are
	env     []string
	claims  []claim
}

// claim is a test: what it says, and how it is called.
type claim struct {
	text, test string
	idle       bool // it does not start the section's program
	both       bool // the suite asks it of Go and Node alike, by harness.Both or Pair
	ours       bool // it may be of those that are not asked of everybody
}

// A chapter's tests are built by the go command; or Bazel has built them, and their
// paths among the runfiles are in bazelSuites with blanks between; or they are in a
// folder as CHAPTER.test, named in suites.
const (
	bazelSuites = "SOCKETS_BAZEL_SUITES"
	suites      = "SOCKETS_SUITES"
)

// known tells of a section that there is not, which perhaps was meant.
func known(section string) error {
	all := harness.Sections()
	if len(all) == 0 {
		return errors.New("there are no sections here: stand in the project's folder, or below it")
	}
	if slices.Contains(all, section) {
		return nil
	}
	if near := harness.Meant(section); near != "" {
		return fmt.Errorf("there is no section %s: do you mean %s?", colon(section), near)
	}
	return fmt.Errorf("there is no section %s; there are %s", colon(section), colon(strings.Join(all, ", ")))
}

// findSuite finds the tests of a section's chapter, or has them built.
func findSuite(ctx context.Context, section string) (s suite, err error) {
	if err := known(section); err != nil {
		return s, err
	}
	chapter := path.Dir(section)
	s.section = section
	if built, bazel := os.LookupEnv(bazelSuites); bazel {
		for test := range strings.FieldsSeq(built) {
			if dir := path.Dir(path.Dir(test)); path.Base(dir) == chapter { // …/integration/CHAPTER/CHAPTER_test_/CHAPTER_test
				s.binary = filepath.Join(harness.Runfiles(), test)
				s.dir = filepath.Join(harness.Runfiles(), dir)
				s.env = []string{"TEST_SRCDIR=" + harness.Runfiles(), "TEST_WORKSPACE=" + strings.Split(test, "/")[0]}
			}
		}
		if s.binary == "" {
			return s, fmt.Errorf("the tests of %s have not been built", chapter)
		}
	} else {
		root, err := pages.Top()
		if err != nil {
			return s, err
		}
		dir := os.Getenv(suites)
		if dir == "" {
			if dir, err = buildSuites(ctx, root, chapter); err != nil {
				return s, err
			}
		}
		s.dir = filepath.Join(root, "integration", chapter)
		s.binary = filepath.Join(dir, chapter+".test")
		if runtime.GOOS == "windows" {
			s.binary += ".exe"
		}
	}
	s.claims, err = claims(s.dir, section)
	return s, err
}

// buildSuites builds chapters' tests into a folder, which it returns. What is there is
// kept, and used again while it is up to date.
func buildSuites(ctx context.Context, root string, chapters ...string) (dir string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	key := sha256.Sum256([]byte(root))
	dir = filepath.Join(cache, "sockets", fmt.Sprintf("suites-%x", key[:6]))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	args := []string{"test", "-c", "-o", dir + string(filepath.Separator)}
	for _, chapter := range chapters {
		args = append(args, "./integration/"+chapter)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return dir, nil
}

// claims returns what the section's tests on this system say of themselves, in
// their order.
func claims(dir, section string) (all []claim, err error) {
	p := packageOf{}
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	helpers, err := filepath.Glob(filepath.Join(dir, "../peer/*.go"))
	if err != nil {
		return nil, err
	}
	of := regexp.MustCompile(`^` + path.Base(section) + `(_linux|_unix|_darwin|_windows|_other)?_test\.go$`)
	slices.SortFunc(names, func(a, b string) int { return len(a) - len(b) }) // the one for all systems first
	for _, name := range append(names, helpers...) {
		if here, err := build.Default.MatchFile(filepath.Dir(name), filepath.Base(name)); err != nil || !here {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			p.add(decl)
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || !of.MatchString(filepath.Base(name)) {
				continue
			}
			if text := strings.Join(strings.Fields(f.Doc.Text()), " "); text != "" { // without one it is no test of its own
				all = append(all, claim{text: text, test: f.Name.Name})
			}
		}
	}
	for i, c := range all {
		all[i].idle = !p.reaches(c.test, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				text := strings.Trim(n.Value, "\"`")
				return text == section || text == path.Base(section)
			case *ast.Ident:
				return n.Name == "Sections" // all of them
			}
			return false
		})
		calls := func(names ...string) bool {
			return p.reaches(c.test, func(n ast.Node) bool {
				name, ok := n.(*ast.Ident)
				return ok && slices.Contains(names, name.Name)
			})
		}
		all[i].both = calls("Both", "Pair")
		all[i].ours = calls("Ours", "NotNode", "OnlyNode", "Compare", "Binary", "Refuses")
	}
	if len(all) == 0 {
		return nil, errors.New("no test of " + section + " is in " + dir)
	}
	return all, nil
}

// packageOf is the declarations of the tests' package, and of peer, by their names: as
// far as is needed to tell which programs a test can start.
type packageOf map[string][]ast.Node

func (p packageOf) add(decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		p[d.Name.Name] = append(p[d.Name.Name], d)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok {
				for _, name := range v.Names {
					p[name.Name] = append(p[name.Name], v)
				}
			}
		}
	}
}

// reaches tells whether something stands in a test, or in what it makes use of.
func (p packageOf) reaches(test string, what func(ast.Node) bool) (found bool) {
	seen, queue := map[string]bool{test: true}, []string{test}
	for ; len(queue) > 0 && !found; queue = queue[1:] {
		for _, node := range p[queue[0]] {
			ast.Inspect(node, func(n ast.Node) bool {
				found = found || what(n)
				if name, ok := n.(*ast.Ident); ok && !seen[name.Name] {
					seen[name.Name] = true
					queue = append(queue, name.Name)
				}
				return !found
			})
		}
	}
	return found
}

// matching returns the claims that match, by their words or their tests' names.
func (s suite) matching(only *regexp.Regexp) (all []claim) {
	for _, c := range s.claims {
		if only == nil || only.MatchString(c.text) || only.MatchString(c.test) {
			all = append(all, c)
		}
	}
	return all
}
