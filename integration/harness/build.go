package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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

var buildFlags []string

// Main runs the tests of a suite, inside a lab and with every section built:
//
//	func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
func Main(m *testing.M) int {
	if os.Getenv(programs) == "" && os.Getenv(bazelPrograms) == "" {
		dir, err := build()
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
	return m.Run()
}

// root is the project's top folder, as seen from a package of the suite.
const root = ".."

// Sections returns every section as CHAPTER/SECTION, sorted.
func Sections() ([]string, error) {
	mains, err := filepath.Glob(filepath.Join(root, "*", "*", "main.go"))
	var sections []string
	for _, main := range mains {
		section, _ := filepath.Rel(root, filepath.Dir(main))
		if !strings.HasPrefix(section, "tools") {
			sections = append(sections, filepath.ToSlash(section))
		}
	}
	slices.Sort(sections)
	return sections, err
}

// build builds all sections, with one call of the go command a chapter: two
// mains of one name would overwrite each other.
func build() (dir string, err error) {
	sections, err := Sections()
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
		args := append([]string{"build", "-o", filepath.Join(dir, chapter) + string(filepath.Separator)}, buildFlags...)
		cmd := exec.Command("go", append(args, packages...)...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return dir, nil
}

// Binary returns the path of a section's program, for a test that starts it in a
// way of its own (see Command).
func Binary(t testing.TB, section string) string {
	t.Helper()
	for _, entry := range strings.Fields(os.Getenv(bazelPrograms)) {
		if name, path, _ := strings.Cut(entry, "="); name == section {
			return filepath.Join(os.Getenv("TEST_SRCDIR"), path)
		}
	}
	dir := os.Getenv(programs)
	if dir == "" {
		t.Fatalf("%s is not in the data of this test's target", section)
	}
	// The go command reuses a test's result until a file it opened changes.
	sources, _ := filepath.Glob(filepath.Join(root, section, "*.go"))
	for _, source := range sources {
		os.ReadFile(source)
	}
	path := filepath.Join(dir, section)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	return path
}
