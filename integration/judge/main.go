// Judge runs a section's proofs against any program: yours, in whichever language.
//
//	./bazelw run //integration/judge -- tcp_server:half_open -- node my_half_open.js
//	go run ./integration/judge tcp_server:half_open -- python3 my_half_open.py
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"example.com/sockets/integration/harness"
)

// options are what the command line says.
type options struct {
	only     *regexp.Regexp
	watch    bool
	json     bool
	list     bool
	patience time.Duration

	section string   // CHAPTER/SECTION
	command []string // as typed
	dir     string   // where the user stands
}

const usage = `judge runs the proofs of a section against your program, in whichever language:

  judge tcp_server:half_open -- node my_half_open.js
  judge -only 'reset' -watch tcp_server:half_open -- python3 my_half_open.py
  judge -list tcp_server:half_open

Your program is started with the flags of the section's own, as in --addr=127.0.0.1:0,
and has to print its lines: see integration/judge/README.md. The exit status is 0 if
every claim holds, 1 if one does not, and 2 if nothing could be judged.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	harness.Adopt()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	harness.Sweep()
	os.Exit(code)
}

// run is main, without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	complain := func(err error) int {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(stderr, "judge: %v\n", err)
		}
		return 2
	}
	o, err := parse(args, stderr)
	if err != nil {
		return complain(err)
	}
	suite, err := findSuite(ctx, o.section)
	if err != nil {
		return complain(err)
	}
	if o.list {
		return list(stdout, o, suite)
	}
	claims := suite.matching(o.only)
	if len(claims) == 0 {
		return complain(fmt.Errorf("no claim of %s matches %v; judge -list %[1]s shows them", colon(o.section), o.only))
	}
	once := func(ctx context.Context) {
		if command, err := find(o); err != nil {
			code = complain(err)
		} else {
			code = judge(ctx, o, suite, claims, command, stdout, stderr)
		}
	}
	if !o.watch {
		once(ctx)
	}
	for o.watch && ctx.Err() == nil {
		files := watched(o)
		same, changed := context.WithCancel(ctx)
		go func() {
			files.await(same)
			changed()
		}()
		once(same)
		if same.Err() == nil && !o.json {
			fmt.Fprintf(stdout, "\nwaiting for a change of %s; Ctrl+C ends\n", strings.Join(files.names(), ", "))
		}
		<-same.Done()
		if ctx.Err() == nil && !o.json {
			fmt.Fprint(stdout, "\n— changed —\n\n")
		}
		changed()
	}
	if ctx.Err() != nil {
		return 130 // as a shell has it for SIGINT
	}
	return code
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("judge", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	only := flags.String("only", "", "judge the claims whose words, or whose test's name, match this `regexp`")
	flags.BoolVar(&o.watch, "watch", false, "judge again whenever a file of the command changes")
	flags.BoolVar(&o.json, "json", false, "a line of JSON for each claim, and one for the sum")
	flags.BoolVar(&o.list, "list", false, "list the claims, and judge nothing")
	flags.DurationVar(&o.patience, "patience", 10*time.Second, "how `long` to wait for what has to come")
	if err := flags.Parse(args); err != nil {
		return o, errors.Join(flag.ErrHelp, err) // it has been said
	}
	rest := flags.Args()
	if len(rest) > 0 {
		o.section, rest = strings.Replace(strings.TrimPrefix(rest[0], "//"), ":", "/", 1), rest[1:]
	}
	if len(rest) > 0 && rest[0] == "--" {
		rest = rest[1:]
	}
	o.command = rest
	switch {
	case o.section == "":
		flags.Usage()
		return o, errors.New("which section?")
	case len(o.command) == 0 && !o.list:
		if err := known(o.section); err != nil {
			return o, err
		}
		return o, fmt.Errorf("and which program? As in: judge %s -- python3 my.py", colon(o.section))
	case o.patience <= 0:
		return o, fmt.Errorf("-patience %v: want more than nothing", o.patience)
	}
	if *only != "" {
		if o.only, err = regexp.Compile("(?i)" + *only); err != nil {
			return o, fmt.Errorf("-only: %w", err)
		}
	}
	o.dir, err = filepath.Abs(harness.UserDir())
	return o, err
}

// find returns the command as it is to be started: its first word is what a shell
// in the user's folder would run.
func find(o options) ([]string, error) {
	name := o.command[0]
	path := name
	if strings.ContainsRune(filepath.ToSlash(name), '/') && !filepath.IsAbs(name) {
		path = filepath.Join(o.dir, name)
	}
	path, err := exec.LookPath(path)
	if err == nil && !filepath.IsAbs(path) {
		path, err = filepath.Abs(path)
	}
	if err == nil {
		for _, word := range o.command[1:] { // a script that is not there: its interpreter would say so, each time
			if script(word) {
				if _, err := os.Stat(harness.UserPath(word)); err != nil {
					return nil, fmt.Errorf("%s is not there, seen from %s", word, o.dir)
				}
			}
		}
		return append([]string{path}, o.command[1:]...), nil
	}
	if strings.HasPrefix(name, "-") {
		return nil, fmt.Errorf("%s stands after the section: the judge's own flags come before it", name)
	}
	here := harness.UserPath(name)
	switch info, missing := os.Stat(here); {
	case missing == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a folder", name)
	case missing == nil && !strings.ContainsRune(name, '/'):
		return nil, fmt.Errorf("%s is in this folder, and not a command: give ./%[1]s, or its interpreter, as in %s", name, interpreted(name))
	case missing == nil:
		return nil, fmt.Errorf("%s is not executable: chmod +x it, or give its interpreter, as in %s", name, interpreted(name))
	case strings.ContainsRune(name, '/'):
		return nil, fmt.Errorf("%s is not there, seen from %s", name, o.dir)
	}
	return nil, fmt.Errorf("there is no command %s on the PATH", name)
}

// script tells a word of a command that is surely a file's name.
func script(word string) bool {
	switch filepath.Ext(word) {
	case ".py", ".js", ".mjs", ".cjs", ".ts", ".sh", ".bash", ".rb", ".pl", ".php", ".lua", ".jar":
		return !strings.HasPrefix(word, "-")
	}
	return false
}

func interpreted(name string) string {
	return cmp.Or(map[string]string{".py": "python3 ", ".js": "node ", ".sh": "bash ", ".rb": "ruby "}[filepath.Ext(name)], "python3 ") + name
}

func colon(section string) string { return strings.ReplaceAll(section, "/", ":") }
