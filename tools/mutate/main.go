// Mutate proves the proofs: it breaks a section's program one small change at
// a time, runs the tests, and lists the changes that nobody noticed.
//
//	./bazelw run //tools/mutate -- multicast/server     or    go run ./mutate …
//
// It needs the go command, builds everything outside the tree, and changes
// nothing in it.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/sockets/tools/pages"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("mutate: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "mutate breaks sections, as in multicast/server, and lists what no test noticed.\nWith no section it takes all of them, which is a matter of hours.")
		flag.PrintDefaults()
	}
	list := flag.Bool("list", false, "list the mutants and run nothing")
	only := flag.String("only", "", "no mutants but those of which the list says something that matches this `regexp`")
	every := flag.Int("every", 1, "try only each `n`th of a section's changes, for a quick look")
	patience := flag.Duration("timeout", 20*time.Second, "`time` after which a run of the tests counts as red")
	flag.Parse()
	wanted, err := regexp.Compile(*only)
	if err != nil {
		log.Fatal(err)
	}

	lab, err := open(*patience)
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(lab.dir)
	if !*list {
		if err := lab.build(); err != nil {
			log.Fatal(err)
		}
		if err := lab.look(); err != nil {
			log.Fatal(err)
		}
	}
	sections := flag.Args()
	if len(sections) == 0 {
		sections = lab.sections
	}
	dead, alive := 0, 0
	for _, section := range sections {
		mutants, err := mutants(filepath.Join(lab.top, section, "main.go"))
		if err != nil {
			log.Fatal(err)
		}
		for i, m := range mutants {
			if i%max(*every, 1) != 0 {
				continue
			}
			where := fmt.Sprintf("%s:%d: %s", section, m.line, m.what)
			if !wanted.MatchString(where) {
				continue
			} else if *list {
				fmt.Println(where)
				continue
			}
			switch killer, err := lab.try(section, m.source); {
			case errors.Is(err, errBuild):
			case err != nil:
				log.Fatal(err)
			case killer == "":
				alive++
				fmt.Printf("ALIVE  %s\n", where)
			default:
				dead++
				fmt.Printf("%s: %s\n", where, killer)
			}
		}
	}
	if !*list {
		fmt.Printf("%d noticed, %d not\n", dead, alive)
	}
}

// lab is where mutants are built and tried.
type lab struct {
	top, dir string
	sections []string
	suites   string                         // the compiled tests, each as CHAPTER.test
	tests    map[string]map[string][]string // those that start a section, by chapter
	patience time.Duration
}

func open(patience time.Duration) (*lab, error) {
	top, err := pages.Top()
	if err != nil {
		return nil, err
	}
	l := &lab{top: top, patience: patience, tests: map[string]map[string][]string{}}
	if l.dir, err = os.MkdirTemp("", "mutate"); err != nil {
		return nil, err
	}
	l.suites = filepath.Join(l.dir, "suites")
	chapters, err := pages.Chapters(os.DirFS(top))
	if err != nil {
		return nil, err
	}
	for _, chapter := range chapters {
		for _, section := range chapter.Sections {
			l.sections = append(l.sections, section.Path())
		}
	}
	return l, nil
}

// build builds the suite and every section, unbroken.
func (l *lab) build() error {
	if out, err := l.goCommand("test", "-c", "-o", l.suites+string(filepath.Separator), "./integration/..."); err != nil {
		return fmt.Errorf("build the tests: %w\n%s", err, out)
	}
	for _, section := range l.sections {
		if out, err := l.goCommand("build", "-o", filepath.Join(l.dir, "programs", section), "./"+section); err != nil {
			return fmt.Errorf("build %s: %w\n%s", section, err, out)
		}
	}
	return nil
}

// look runs all tests once, unbroken, and learns which start which section.
func (l *lab) look() error {
	defer os.Unsetenv("SOCKETS_STARTS")
	suites, err := filepath.Glob(filepath.Join(l.suites, "*.test"))
	if err != nil {
		return err
	}
	for _, suite := range suites {
		chapter := strings.TrimSuffix(filepath.Base(suite), ".test")
		starts := filepath.Join(l.dir, "starts."+chapter)
		os.Setenv("SOCKETS_STARTS", starts)
		if red, err := l.run(chapter, ".", 10*time.Minute); err != nil || red != "" {
			return fmt.Errorf("%s is red with nothing broken: run it again, or see go test ./integration/%s", cmp.Or(red, fmt.Sprint(err)), chapter)
		}
		data, err := os.ReadFile(starts)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it starts none
		} else if err != nil {
			return err
		}
		lines := strings.Fields(string(data))
		for i := 0; i+1 < len(lines); i += 2 {
			test, section := lines[i], lines[i+1]
			if l.tests[section] == nil {
				l.tests[section] = map[string][]string{}
			}
			if !slices.Contains(l.tests[section][chapter], test) {
				l.tests[section][chapter] = append(l.tests[section][chapter], test)
			}
		}
	}
	return nil
}

func (l *lab) goCommand(args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = l.top
	return cmd.CombinedOutput()
}

var errBuild = errors.New("does not build")

// try runs the tests with a section whose main.go is source, and returns the
// first test that fails, or "" if none does: of its own, then of the others that
// start the section.
func (l *lab) try(section string, source []byte) (killer string, err error) {
	mutant := filepath.Join(l.dir, "main.go")
	if err := os.WriteFile(mutant, source, 0o644); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(l.top, section, "main.go"): mutant}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(mutant+".json", overlay, 0o644); err != nil {
		return "", err
	}
	program := filepath.Join(l.dir, "programs", section)
	whole := filepath.Join(l.dir, "whole") // out of the way: the suite looks at all programs there are
	if err := os.Rename(program, whole); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.Rename(whole, program)) }()
	if _, err := l.goCommand("build", "-overlay", mutant+".json", "-o", program, "./"+section); err != nil {
		return "", errBuild
	}
	// The tests that are of every section are so of those that there are.
	alone := filepath.Join(l.dir, "alone")
	err = cmp.Or(os.RemoveAll(alone), os.MkdirAll(filepath.Dir(filepath.Join(alone, section)), 0o755), os.Link(program, filepath.Join(alone, section)))
	if err != nil {
		return "", err
	}
	chapter, own := ownTests(section)
	if killer, err = l.run(chapter, "^"+own, l.patience); killer != "" || err != nil {
		return killer, err
	}
	for _, other := range slices.Sorted(maps.Keys(l.tests[section])) {
		var others []string
		for _, test := range l.tests[section][other] {
			if other != chapter || !strings.HasPrefix(test, own) {
				others = append(others, test+"$")
			}
		}
		if len(others) == 0 {
			continue
		}
		if killer, err = l.run(other, "^("+strings.Join(others, "|")+")", l.patience); killer != "" || err != nil {
			return killer, err
		}
	}
	return "", nil
}

// ownTests is in which chapter a section's own tests are, and how their names
// begin.
func ownTests(section string) (chapter, prefix string) {
	chapter, name, _ := strings.Cut(section, "/")
	return chapter, pages.TestName(name)
}

var failed = regexp.MustCompile(`--- FAIL: (\w+)`)

// run runs tests of a chapter. A test that waits in vain gives up before patience is over, and
// so can say which it is.
func (l *lab) run(chapter, tests string, patience time.Duration) (killer string, err error) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cmd := exec.CommandContext(ctx, filepath.Join(l.suites, chapter+".test"), "-test.failfast", "-test.timeout", patience.String(), "-test.run", tests)
	cmd.Dir = filepath.Join(l.top, "integration", chapter)
	programs := filepath.Join(l.dir, "programs")
	if alone := filepath.Join(l.dir, "alone"); chapter == "all" && exists(alone) {
		programs = alone
	}
	cmd.Env = append(os.Environ(), "SOCKETS_PROGRAMS="+programs)
	cmd.WaitDelay = time.Second
	out := &untilFailed{stop: stop}
	cmd.Stdout, cmd.Stderr = out, out
	switch err = cmd.Run(); {
	case err == nil:
		return "", nil
	case failed.Match(out.Bytes()):
		return string(failed.FindSubmatch(out.Bytes())[1]), nil
	case bytes.Contains(out.Bytes(), []byte("panic: test timed out")):
		return "the tests hang", nil
	}
	return "", fmt.Errorf("the tests of %s: %w\n%s", chapter, err, out)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// untilFailed collects output, and stops once a test has failed: -test.failfast
// waits for those that run in parallel.
type untilFailed struct {
	bytes.Buffer
	stop func()
}

func (u *untilFailed) Write(p []byte) (int, error) {
	defer func() {
		if failed.Match(u.Bytes()) {
			u.stop()
		}
	}()
	return u.Buffer.Write(p)
}

// mutant is a program with one small change.
type mutant struct {
	line   int
	what   string
	source []byte
}

// mutants makes every change that it knows to a file: calls and branches left
// out, conditions turned round, operators and constants altered.
func mutants(name string) (all []mutant, err error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	text := func(n ast.Node) string {
		return string(source[fset.Position(n.Pos()).Offset:fset.Position(n.End()).Offset])
	}
	change := func(from, to token.Pos, new, what string, args ...any) {
		a, b := fset.Position(from).Offset, fset.Position(to).Offset
		all = append(all, mutant{
			line:   fset.Position(from).Line,
			what:   fmt.Sprintf(what, args...),
			source: bytes.Join([][]byte{source[:a], []byte(new), source[b:]}, nil),
		})
	}
	leaveOut := func(n ast.Node) { change(n.Pos(), n.End(), "", "leave out %q", brief(text(n))) }
	negate := func(cond ast.Expr) {
		change(cond.Pos(), cond.End(), "!("+text(cond)+")", "not %q", brief(text(cond)))
	}

	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ExprStmt:
			left := "" // in place of a call such as stop(), so that the variable stays used
			if call, ok := n.X.(*ast.CallExpr); ok && len(call.Args) == 0 {
				left = "_ = " + text(call.Fun)
			}
			change(n.Pos(), n.End(), left, "leave out %q", brief(text(n)))
		case *ast.DeferStmt, *ast.BranchStmt:
			leaveOut(n)
		case *ast.ReturnStmt:
			if len(n.Results) == 0 {
				leaveOut(n)
			}
		case *ast.IfStmt:
			if n.Init != nil && n.Else == nil {
				leaveOut(n)
			}
			negate(n.Cond)
		case *ast.CaseClause:
			for _, cond := range n.List {
				switch cond.(type) {
				case *ast.BinaryExpr, *ast.UnaryExpr, *ast.CallExpr:
					negate(cond)
				}
			}
		case *ast.BinaryExpr:
			if other, ok := swapped[n.Op]; ok {
				change(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other.String(), "%s for %s in %q", other, n.Op, brief(text(n)))
			}
			// 501 milliseconds are as good as 500, for all that anyone can tell, and a
			// third of a second as half of one.
			if unit, ok := n.Y.(*ast.SelectorExpr); ok && n.Op == token.MUL && text(unit.X) == "time" && len(text(n.X)) > 2 {
				return false
			}
			if unit, ok := n.X.(*ast.SelectorExpr); ok && n.Op == token.QUO && text(unit.X) == "time" {
				return false
			}
		case *ast.BasicLit:
			if n.Kind == token.INT {
				if value, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
					change(n.Pos(), n.End(), fmt.Sprint(value+1), "%d for %s", value+1, n.Value)
				}
			}
		case *ast.Ident:
			if n.Name == "true" || n.Name == "false" {
				other := fmt.Sprint(n.Name == "false")
				change(n.Pos(), n.End(), other, "%s for %s", other, n.Name)
			}
		}
		return true
	})
	return all, nil
}

var swapped = map[token.Token]token.Token{
	token.LAND: token.LOR, token.LOR: token.LAND,
	token.LSS: token.LEQ, token.LEQ: token.LSS,
	token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.ADD: token.SUB, token.SUB: token.ADD,
	token.OR: token.AND, token.MUL: token.QUO,
}

func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 60 {
		text = text[:60] + "…"
	}
	return text
}
