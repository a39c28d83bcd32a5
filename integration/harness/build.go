package harness

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"example.com/sockets/integration/lab"
	"example.com/sockets/tools/pages"
)

// The sections' programs come from one of three places: what Bazel built, whose
// paths among its runfiles are in bazelPrograms with blanks between; a folder
// that holds them as CHAPTER/SECTION, named in programs; or go build, which is
// asked for a chapter when its first program is wanted.
const (
	programs      = "SOCKETS_PROGRAMS"
	bazelPrograms = "SOCKETS_BAZEL_PROGRAMS"
)

var buildFlags []string // of a suite that is itself built with the race detector

// Race tells whether the programs are built with the race detector.
func Race() bool { return slices.Contains(buildFlags, "-race") }

// Main runs the tests of a suite inside a lab:
//
//	func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
func Main(m interface{ Run() int }) int {
	if code, done := lab.Enter(); done {
		return code
	}
	if signal.Ignored(os.Interrupt) { // as a shell's background job: programs would inherit that
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
	os.Unsetenv("NODE_EXTRA_CA_CERTS") // certificates, which nobody here needs: to read them takes Node longer than to start
	if lab.Isolated() {                // tests wait rather than work: more of them at once than there are cores
		flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
	}
	debug.SetGCPercent(400) // each collection stops every host's thread
	return m.Run()
}

// sections is every section in the tree as CHAPTER/SECTION.
var sections = sync.OnceValue(func() (all []string) {
	root, err := pages.Top()
	if err != nil {
		return nil
	}
	chapters, _ := pages.Chapters(os.DirFS(root)) // also where their order is in doubt
	for _, chapter := range chapters {
		for _, section := range chapter.Sections {
			all = append(all, section.Path())
		}
	}
	return all
})

// Build builds all sections into a folder, each as CHAPTER/SECTION, with the go
// command's flags, if any. What is there already and up to date stays as it is.
func Build(dir string, flags ...string) error {
	chapters := map[string]bool{}
	for _, section := range sections() {
		chapter, _, _ := strings.Cut(section, "/")
		chapters[chapter] = true
	}
	for chapter := range chapters {
		if err := buildChapter(dir, chapter, flags...); err != nil {
			return err
		}
	}
	return nil
}

// buildChapter is one call of go build for a chapter: two mains of one name would
// overwrite each other.
func buildChapter(dir, chapter string, flags ...string) error {
	root, err := pages.Top()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	args := append([]string{"build", "-buildvcs=false", "-o", filepath.Join(dir, chapter) + string(filepath.Separator)}, flags...)
	cmd := exec.Command("go", append(args, "./"+chapter+"/...")...)
	cmd.Dir = root
	// On the same disk a finished program takes its place in one step, whoever
	// else builds or runs it at the moment.
	cmd.Env = append(os.Environ(), "GOTMPDIR="+dir)
	if !slices.Contains(flags, "-race") { // pure Go, as Bazel builds them: what is linked with C takes half as long again to start
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// Runfiles returns the folder of what Bazel built: for a test it is in the
// environment, for a program beside it.
func Runfiles() string {
	for _, name := range []string{"TEST_SRCDIR", "RUNFILES_DIR"} {
		if dir := os.Getenv(name); dir != "" {
			return dir
		}
	}
	self, _ := os.Executable()
	return self + ".runfiles"
}

// bazelSection returns the section whose program rules_go has put at a path,
// CHAPTER/SECTION of …/CHAPTER/SECTION/SECTION_/SECTION, or whose main.js is there, for
// a test that knows the section and does not start its program.
func bazelSection(file string) (section string, program bool) {
	dir := path.Dir(file)
	if program = path.Base(file) != "main.js"; program {
		dir = path.Dir(dir)
	}
	return path.Join(path.Base(path.Dir(dir)), path.Base(dir)), program
}

// prebuilt returns the programs that are there already, by section, or "" for one that
// is only known; nil where they are to be built.
var prebuilt = sync.OnceValue(func() map[string]string {
	paths, bazel := os.LookupEnv(bazelPrograms)
	dir := os.Getenv(programs)
	if !bazel && dir == "" {
		return nil
	}
	built := map[string]string{}
	for path := range strings.FieldsSeq(paths) {
		section, program := bazelSection(path)
		built[section] = ""
		if program {
			built[section] = filepath.Join(Runfiles(), path)
		}
	}
	if dir != "" {
		paths, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
		for _, path := range paths {
			name, _ := filepath.Rel(dir, path)
			built[strings.TrimSuffix(filepath.ToSlash(name), ".exe")] = path
		}
	}
	return built
})

var (
	mu       sync.Mutex
	chapters = map[string]error{} // that go build has been asked for
)

// Path returns the path of a section's program, built if need be. What go build
// makes is kept between runs, so that it builds only what has changed.
func Path(section string) (string, error) {
	if built := prebuilt(); built != nil {
		if path := built[section]; path != "" {
			return path, nil
		}
		return "", fmt.Errorf("%s has not been built: name it in what this target starts, see tools/README.md", section)
	}
	root, err := pages.Top()
	if err != nil {
		return "", err
	}
	if !slices.Contains(sections(), section) {
		return "", fmt.Errorf("there is no section %s", section)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	key := sha256.Sum256(fmt.Append(nil, root, buildFlags))
	dir := filepath.Join(cache, "sockets", fmt.Sprintf("programs-%x", key[:6]))
	chapter, name, _ := strings.Cut(section, "/")

	mu.Lock()
	defer mu.Unlock()
	err, asked := chapters[chapter]
	if !asked {
		err = buildChapter(dir, chapter, buildFlags...)
		chapters[chapter] = err
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, chapter, name), err
}

// Sections returns every section that this suite knows, as CHAPTER/SECTION, sorted.
func Sections() []string {
	if built := prebuilt(); built != nil {
		return slices.Sorted(maps.Keys(built))
	}
	return slices.Sorted(slices.Values(sections()))
}

// Binary returns the path of a section's program, for a test that starts it in a
// way of its own (see Command).
func Binary(t testing.TB, section string) string {
	t.Helper()
	if Foreign(section) {
		Ours(t, "it starts our program in a way of its own")
	}
	path, err := Path(section)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if name := os.Getenv("SOCKETS_STARTS"); name != "" {
		noteStart(t, name, section)
	}
	if _, before := noted.LoadOrStore(section, true); before {
		return path
	}
	// The go command reuses a test's result until a file it opened changes.
	if root, err := pages.Top(); err == nil {
		sources, _ := filepath.Glob(filepath.Join(root, section, "*.go"))
		for _, source := range sources {
			os.ReadFile(source)
		}
	}
	return path
}

var noted sync.Map // the sections whose sources have been opened
