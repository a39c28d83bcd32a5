// Coverage tells which lines of the sections' programs the suite runs, and
// lists those that it does not.
//
//	./bazelw run //tools/coverage     or    go run ./coverage
//
// It needs the go command, builds everything outside the tree, and changes
// nothing in it. A program that a signal kills leaves no count.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/sockets/tools/pages"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("coverage: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "coverage tells how much of each section the suite runs, and lists what it does not.")
		flag.PrintDefaults()
	}
	tests := flag.String("run", ".", "run only the tests that match this `regexp`")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "coverage: unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	if err := coverage(*tests); err != nil {
		log.Fatal(err)
	}
}

func coverage(tests string) error {
	top, err := pages.Top()
	if err != nil {
		return err
	}
	if err := os.Chdir(top); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "coverage")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	counts, profile, suites := filepath.Join(dir, "counts"), filepath.Join(dir, "profile"), filepath.Join(dir, "suites")
	if err := os.Mkdir(counts, 0o755); err != nil {
		return err
	}
	chapters, err := pages.Chapters(os.DirFS("."))
	if err != nil {
		return err
	}
	for _, chapter := range chapters {
		programs := filepath.Join(dir, "programs", chapter.Name) + string(filepath.Separator)
		if err := run("go", "build", "-cover", "-o", programs, "./"+chapter.Name+"/..."); err != nil {
			return err
		}
	}
	if err := run("go", "test", "-c", "-o", suites+string(filepath.Separator), "./integration/..."); err != nil {
		return err
	}
	all, err := filepath.Glob(filepath.Join(suites, "*.test")) // CHAPTER.test
	if err != nil {
		return err
	}

	// FuzzCommandLine lets the programs open nothing, and so write no count, of
	// which they would complain.
	for _, suite := range all {
		chapter := strings.TrimSuffix(filepath.Base(suite), ".test")
		cmd := exec.Command(suite, "-test.run", tests, "-test.skip", "^FuzzCommandLine$")
		cmd.Dir = filepath.Join("integration", chapter)
		cmd.Env = append(os.Environ(), "GOCOVERDIR="+counts, "SOCKETS_PROGRAMS="+filepath.Join(dir, "programs"))
		if out, err := cmd.CombinedOutput(); err != nil {
			log.Printf("the tests of %s: %v\n%s", chapter, err, out) // what they have run is counted all the same
		}
	}
	if err := run("go", "tool", "covdata", "textfmt", "-i="+counts, "-o="+profile); err != nil {
		return err
	}
	return report(profile)
}

// block is a stretch of statements that run one after the other, as the profile
// has it: FILE:LINE.COLUMN,LINE.COLUMN STATEMENTS COUNT.
var block = regexp.MustCompile(`(?m)^[^/\n]+/[^/\n]+/(.+):(\d+)\.(\d+),\S+ (\d+) (\d+)$`)

func report(profile string) error {
	data, err := os.ReadFile(profile)
	if err != nil {
		return err
	}
	all, reached := map[string]int{}, map[string]int{}
	missed := map[string][]string{}
	blocks := block.FindAllStringSubmatch(string(data), -1)
	number := func(text string) int { n, _ := strconv.Atoi(text); return n }
	slices.SortStableFunc(blocks, func(a, b []string) int { return number(a[2]) - number(b[2]) })
	for _, m := range blocks {
		file, line, statements := m[1], number(m[2]), number(m[4])
		section := filepath.ToSlash(filepath.Dir(file))
		all[section] += statements
		if m[5] != "0" {
			reached[section] += statements
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		text := strings.TrimSpace(strings.Split(string(source), "\n")[line-1])
		missed[section] = append(missed[section], fmt.Sprintf("    %s:%d: %s", file, line, text))
	}
	sections := slices.Sorted(maps.Keys(all))
	sum, of := 0, 0
	for _, section := range sections {
		sum, of = sum+reached[section], of+all[section]
		fmt.Printf("%5.1f%%  %s\n", 100*float64(reached[section])/float64(all[section]), section)
		for _, line := range missed[section] {
			fmt.Println(line)
		}
	}
	if of == 0 {
		return errors.New("no program has left a count")
	}
	fmt.Printf("%5.1f%%  of %d statements in %d sections\n", 100*float64(sum)/float64(of), of, len(sections))
	return nil
}

func run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
