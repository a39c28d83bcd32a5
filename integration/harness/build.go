package harness

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/sockets/integration/lab"
)

// programs is set in the environment of the suite to the folder that holds the
// built programs, each as CHAPTER/SECTION; bazelPrograms to what Bazel built,
// as CHAPTER/SECTION=RLOCATIONPATH with blanks between.
const (
	programs      = "SOCKETS_PROGRAMS"
	bazelPrograms = "SOCKETS_BAZEL_PROGRAMS"
)

var buildFlags []string // of a suite that is itself built with the race detector

// Race tells whether the programs are built with the race detector.
func Race() bool { return slices.Contains(buildFlags, "-race") }

// Main runs the tests of a suite, inside a lab and with every section built:
//
//	func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
func Main(m interface{ Run() int }) int {
	if os.Getenv(programs) == "" && os.Getenv(bazelPrograms) == "" {
		dir, err := Build(buildFlags...)
		if dir != "" {
			defer os.RemoveAll(dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "harness: build the sections:", err)
			return 1
		}
		os.Setenv(programs, dir)
	}
	if code, done := lab.Enter(); done {
		return code
	}
	if signal.Ignored(os.Interrupt) { // as a shell's background job: programs would inherit that
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
	if lab.Isolated() { // tests wait rather than work: more of them at once than there are cores
		flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
	}
	return m.Run()
}

// top returns the project's top folder: the nearest that has a go.mod.
func top() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not inside the project: no go.mod here or above")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// sections returns every section in the tree as CHAPTER/SECTION, sorted.
func sections(root string) ([]string, error) {
	mains, err := filepath.Glob(filepath.Join(root, "*", "*", "main.go"))
	var sections []string
	for _, main := range mains {
		section, _ := filepath.Rel(root, filepath.Dir(main))
		if !strings.HasPrefix(section, "tools") && !strings.HasPrefix(section, "integration") {
			sections = append(sections, filepath.ToSlash(section))
		}
	}
	slices.Sort(sections)
	return sections, err
}

// Build builds all sections into a new folder, each as CHAPTER/SECTION, with the
// go command's flags, if any. It needs one call of go build a chapter: two mains
// of one name would overwrite each other. Even with an error the folder is to be
// removed.
func Build(flags ...string) (dir string, err error) {
	root, err := top()
	if err != nil {
		return "", err
	}
	sections, err := sections(root)
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "sockets"); err != nil {
		return "", err
	}
	chapters := map[string][]string{}
	for _, section := range sections {
		chapter, _, _ := strings.Cut(section, "/")
		chapters[chapter] = append(chapters[chapter], "./"+section)
	}
	for chapter, packages := range chapters {
		args := append([]string{"build", "-o", filepath.Join(dir, chapter) + string(filepath.Separator)}, flags...)
		cmd := exec.Command("go", append(args, packages...)...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return dir, nil
}

// runfiles returns the folder of what Bazel built: for a test it is in the
// environment, for a program beside it.
func runfiles() string {
	for _, name := range []string{"TEST_SRCDIR", "RUNFILES_DIR"} {
		if dir := os.Getenv(name); dir != "" {
			return dir
		}
	}
	self, _ := os.Executable()
	return self + ".runfiles"
}

// Built returns every section that has been built, as CHAPTER/SECTION, and the
// path of its program.
func Built() map[string]string {
	built := map[string]string{}
	for _, entry := range strings.Fields(os.Getenv(bazelPrograms)) {
		name, path, _ := strings.Cut(entry, "=")
		built[name] = filepath.Join(runfiles(), path)
	}
	if dir := os.Getenv(programs); dir != "" {
		paths, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
		for _, path := range paths {
			name, _ := filepath.Rel(dir, path)
			built[strings.TrimSuffix(filepath.ToSlash(name), ".exe")] = path
		}
	}
	return built
}

// Binary returns the path of a section's program, for a test that starts it in a
// way of its own (see Command).
func Binary(t testing.TB, section string) string {
	t.Helper()
	path, ok := Built()[section]
	if !ok {
		t.Fatalf("%s has not been built: is it in the data of this test's target?", section)
	}
	if name := os.Getenv("SOCKETS_STARTS"); name != "" {
		noteStart(t, name, section)
	}
	// The go command reuses a test's result until a file it opened changes.
	if root, err := top(); err == nil {
		sources, _ := filepath.Glob(filepath.Join(root, section, "*.go"))
		for _, source := range sources {
			os.ReadFile(source)
		}
	}
	return path
}
