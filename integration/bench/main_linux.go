// Bench measures the sections as they stand on the pages, side by side with
// Node's counterparts, the usual tools and the least that the kernel can be asked.
//
//	./bazelw run //integration/bench
//	go run ./integration/bench -only echo
//
// Everything runs on hosts of the lab: no port is taken and nothing leaves.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"example.com/sockets/integration/harness"
)

var (
	rounds = flag.Int("rounds", 5, "how often to measure everyone, taking turns")
	length = flag.Duration("time", 700*time.Millisecond, "how `long` one measurement takes")
	only   = flag.String("only", "", "run the contests whose name matches this `regexp`")
	out    = flag.String("o", "", "also rewrite README.md, results.svg and results.json in this `folder`")
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		bare(os.Args[2:]) // a contestant in a process of its own
		return
	}
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "bench measures the sections against Node, the usual tools and the kernel's limit.")
		flag.PrintDefaults()
	}
	flag.Parse()
	filter, err := regexp.Compile(*only)
	switch {
	case err != nil:
		misuse("-only: %v", err)
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case *rounds < 1:
		misuse("-rounds %d is not positive", *rounds)
	case *length <= 0 || *length > 10*time.Second:
		misuse("-time %v is not between 0 and 10s", *length)
	}
	if dir := os.Getenv("BUILD_WORKSPACE_DIRECTORY"); dir != "" {
		os.Chdir(dir) // bazel run starts programs elsewhere
	}
	// Both selves hear a Ctrl+C; the outer one only waits for the inner.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(harness.Main(run(func() int { return bench(ctx, filter) })))
}

// run is what harness.Main runs inside the lab.
type run func() int

func (r run) Run() int { return r() }

func bench(ctx context.Context, filter *regexp.Regexp) int {
	began := time.Now()
	doc := report{Machine: machine(), Began: began.Format("2006-01-02 15:04")}
	for _, c := range contests() {
		if !filter.MatchString(c.name) {
			continue
		}
		result, ok := c.run(ctx)
		if !ok {
			fmt.Fprintln(os.Stderr, "bench: interrupted")
			return 130
		}
		fmt.Println(result.text())
		doc.Results = append(doc.Results, result)
	}
	doc.Took = time.Since(began).Round(time.Second)
	fmt.Printf("%v in all\n", doc.Took)
	if *out != "" {
		if err := doc.write(*out); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 1
		}
	}
	return 0
}

// run measures everyone once a round, each time in another order, so that what
// the machine does meanwhile meets them all alike.
func (c contest) run(ctx context.Context) (result, bool) {
	r := result{Name: c.name, Unit: c.unit, Less: c.less, Alone: c.alone}
	for _, e := range c.entries {
		r.Rows = append(r.Rows, row{Name: e.name, Aim: e.aim, Absent: e.absent})
	}
	for n := range *rounds {
		for i := range c.entries {
			i = (i + n) % len(c.entries)
			if r.Rows[i].Absent != "" {
				continue
			}
			var got score
			var err error
			for range 2 { // a machine may be too busy once
				s := &harness.Stage{Command: "bench"}
				got, err = c.entries[i].measure(s)
				s.End()
				if ctx.Err() != nil {
					return r, false
				}
				if err == nil {
					break
				}
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "bench: %s: %s: %v\n", c.name, r.Rows[i].Name, err)
				r.Rows[i].Absent, _, _ = strings.Cut(err.Error(), "\n")
				r.Rows[i].Scores = nil
				continue
			}
			r.Rows[i].Scores = append(r.Rows[i].Scores, got)
		}
	}
	return r, true
}

func misuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}

// write rewrites the generated part of the README, the plot, and what pages cite.
func (d *report) write(dir string) error {
	readme := filepath.Join(dir, "README.md")
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	text, err = d.weave(text)
	if err != nil {
		return fmt.Errorf("%s: %w", readme, err)
	}
	if err := os.WriteFile(readme, text, 0o644); err != nil {
		return err
	}
	figures, err := d.json()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "results.json"), figures, 0o644), os.WriteFile(filepath.Join(dir, "results.svg"), d.plot(), 0o644))
}
