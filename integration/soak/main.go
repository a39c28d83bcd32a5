// Soak runs the suite again and again, in another order each time, several at
// once and beside a load that comes and goes, and lists the tests that failed.
//
//	./bazelw run //integration/soak -- -for 1h
//	go run ./integration/soak -for 10m -run HalfOpen -race
//
// It needs the go command, ends by itself, and exits with 1 if anything failed.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/sockets/integration/harness"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "soak runs the suite for as long as it is told and lists the tests that failed.")
		flag.PrintDefaults()
	}
	length := flag.Duration("for", time.Hour, "how `long` to begin new runs")
	jobs := flag.Int("jobs", 2, "how many runs at once")
	load := flag.Int("load", runtime.NumCPU(), "how many processors' worth of other work, half of the time")
	run := flag.String("run", ".", "run the tests whose name matches this `regexp`")
	race := flag.Bool("race", false, "build the suite and the programs with the race detector")
	logs := flag.String("logs", filepath.Join(os.TempDir(), "soak"), "where to put the output of runs that failed, a `folder`")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case *length <= 0:
		misuse("-for %v is not positive", *length)
	case *jobs < 1:
		misuse("-jobs %d is not positive", *jobs)
	case *load < 0:
		misuse("-load %d is negative", *load)
	}
	if dir := os.Getenv("BUILD_WORKSPACE_DIRECTORY"); dir != "" {
		os.Chdir(dir) // bazel run starts programs elsewhere
	}
	if err := os.MkdirAll(*logs, 0o777); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}

	var flags []string
	if *race {
		flags = append(flags, "-race")
	}
	os.Exit(soak(*length, *jobs, *load, *run, flags, *logs))
}

func soak(length time.Duration, jobs, load int, run string, flags []string, logs string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "soak")
	defer os.RemoveAll(dir)
	if err == nil {
		err = harness.Build(dir, flags...)
	}
	if err == nil {
		var out []byte
		args := append([]string{"test", "-c", "-o", dir + string(filepath.Separator)}, flags...)
		if out, err = exec.CommandContext(ctx, "go", append(args, "./integration/...")...).CombinedOutput(); err != nil {
			err = fmt.Errorf("build the tests: %w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 1
	}
	s := &tally{began: time.Now(), logs: logs, tests: map[string]*record{}}
	suites, _ := filepath.Glob(filepath.Join(dir, "*.test")) // CHAPTER.test
	for range load {
		go burn(ctx)
	}
	var all sync.WaitGroup
	for range jobs {
		all.Go(func() {
			for {
				for _, i := range rand.Perm(len(suites)) {
					if time.Since(s.began) >= length || ctx.Err() != nil {
						return
					}
					if err := s.once(ctx, suites[i], run); err != nil {
						fmt.Fprintln(os.Stderr, "soak:", err)
						stop()
					}
				}
			}
		})
	}
	all.Wait()
	if !s.report() {
		return 1
	}
	return 0
}

// burn works and rests, each for some milliseconds, so that no two runs find the
// machine alike.
func burn(ctx context.Context) {
	for ctx.Err() == nil {
		for until := time.Now().Add(rand.N(200 * time.Millisecond)); time.Now().Before(until); {
		}
		time.Sleep(rand.N(200 * time.Millisecond))
	}
}

// tally is what became of all tests in all runs.
type tally struct {
	began time.Time
	logs  string

	mu    sync.Mutex
	runs  int
	tests map[string]*record
}

// record is what became of a test in all runs.
type record struct {
	passed, skipped, failed int
	slowest                 float64 // seconds
	log                     string  // of the first failure
}

// event is a line of what test2json prints of a test, see go doc test2json.
type event struct {
	Action, Test, Output string
	Elapsed              float64
}

// once runs one chapter's tests once. A run that is interrupted does not count.
func (s *tally) once(ctx context.Context, suite, run string) error {
	dir, chapter := filepath.Dir(suite), strings.TrimSuffix(filepath.Base(suite), ".test")
	cmd := exec.CommandContext(ctx, "go", "tool", "test2json", "-t", suite, "-test.v=test2json", "-test.shuffle=on", "-test.run", run)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = filepath.Join("integration", chapter)
	cmd.Env = append(os.Environ(), "SOCKETS_PROGRAMS="+dir)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var ends []event
	output := map[string]*strings.Builder{}
	for lines := json.NewDecoder(bufio.NewReader(out)); ; {
		var e event
		if err := lines.Decode(&e); err != nil {
			if err != io.EOF {
				fmt.Fprintln(os.Stderr, "soak: go test:", err)
			}
			break
		}
		test, _, _ := strings.Cut(e.Test, "/")
		switch e.Action {
		case "output":
			if output[test] == nil {
				output[test] = &strings.Builder{}
			}
			output[test].WriteString(e.Output)
		case "pass", "skip", "fail":
			if test == e.Test {
				ends = append(ends, e)
			}
		}
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return nil
	}
	if len(ends) == 0 {
		return fmt.Errorf("the tests of %s: %w\n%s", chapter, errors.Join(err, errors.New("no test ran")), &said)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	red := 0
	for _, e := range ends {
		if e.Test == "" && (e.Action != "fail" || red > 0) {
			continue // the chapter as a whole: of interest only if no test tells why
		}
		name := strings.TrimSuffix(chapter+"."+e.Test, ".")
		r := s.tests[name]
		if r == nil {
			r = &record{}
			s.tests[name] = r
		}
		r.slowest = max(r.slowest, e.Elapsed)
		switch e.Action {
		case "pass":
			r.passed++
		case "skip":
			r.skipped++
		case "fail":
			red++
			r.failed++
			log := filepath.Join(s.logs, fmt.Sprintf("%s.%d.txt", name, s.runs))
			if text := output[e.Test]; text != nil {
				os.WriteFile(log, []byte(text.String()), 0o666)
			}
			r.log = cmp.Or(r.log, log)
			fmt.Printf("FAIL %s, see %s\n", name, log)
		}
	}
	fmt.Printf("%v: run %d, %d tests of %s, %d failed\n", time.Since(s.began).Round(time.Second), s.runs, len(ends)-1, chapter, red)
	return nil
}

// report prints the sum of it all and tells whether nothing failed.
func (s *tally) report() bool {
	passed, skipped, failed := 0, 0, 0
	var flakes []string
	for name, r := range s.tests {
		passed += r.passed
		skipped += r.skipped
		if failed += r.failed; r.failed > 0 {
			flakes = append(flakes, name)
		}
	}
	fmt.Printf("\n%d runs in %v: %d tests passed, %d were skipped, %d failed\n",
		s.runs, time.Since(s.began).Round(time.Second), passed, skipped, failed)
	slow := slices.SortedFunc(maps.Keys(s.tests), func(a, b string) int {
		return cmp.Compare(s.tests[b].slowest, s.tests[a].slowest)
	})
	for _, name := range slow[:min(5, len(slow))] {
		fmt.Printf("slowest: %6.1f s  %s\n", s.tests[name].slowest, name)
	}
	slices.Sort(flakes)
	for _, name := range flakes {
		r := s.tests[name]
		fmt.Printf("FAILED %d of %d: %s, see %s\n", r.failed, r.failed+r.passed, name, r.log)
	}
	return failed == 0
}

func misuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "soak: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
