// Package harness starts a section's program on a host of the lab, waits for
// what it prints, signals it and judges how it ends.
//
// Nothing here sleeps. A wait watches three things: the line it is for, the
// program's end, and the deadline; the failure tells which of them came.
package harness

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/sockets/integration/lab"
)

// Patience bounds every wait, 30 s, and two minutes with the race detector: it is
// for a busy machine, no test relies on it. The judge has its own.
func Patience() time.Duration {
	if j := judging(); j != nil {
		return j.Patience
	}
	if Race() {
		return 2 * time.Minute
	}
	return 30 * time.Second
}

// Program is a program under test, started.
type Program struct {
	Section string
	Args    []string

	t       testing.TB
	cmd     *exec.Cmd
	foreign bool    // somebody else's, see Judging
	record  *record // of what it does, for the judge
	stdin   io.WriteCloser
	exited  chan struct{} // closed once the program has ended and all it printed is here

	mu     sync.Mutex
	lines  []string      // of stdout
	rest   []byte        // of it, behind the last line
	next   int           // the first line that no call has returned
	stderr bytes.Buffer  // all of it
	heard  int           // of it, what Complaint has returned for
	more   chan struct{} // closed when a line or something on stderr is added
	taken  int           // bytes of a foreign program's output
	flood  bool          // they were too many
}

// Start starts a section, as in "multicast/server", on a host. When the test
// ends the program must have ended too (see Stop and Exit).
func Start(t testing.TB, on *lab.Host, section string, args ...string) *Program {
	t.Helper()
	if j := judging(); j != nil && j.Section == section {
		return j.start(t, on, args)
	}
	cmd := exec.Command(Binary(t, section), args...)
	cmd.Dir = t.TempDir() // for what it may write
	return (&Program{Section: section, Args: args, t: t, cmd: cmd}).start(on)
}

// noteStart appends a line "TEST SECTION" to a file: which tests try what.
func noteStart(t testing.TB, name, section string) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	test, _, _ := strings.Cut(t.Name(), "/")
	fmt.Fprintln(file, test, section)
}

// Run starts a section that ends by itself and waits for that.
func Run(t testing.TB, on *lab.Host, section string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	p := Start(t, on, section, args...)
	code = p.Wait()
	return strings.Join(p.Lines(), ""), p.complaints(), code
}

// Command starts any other command on a host, under the same rules. If its Stdout is
// set the harness hears none of it.
func Command(t testing.TB, on *lab.Host, cmd *exec.Cmd) *Program {
	t.Helper()
	return (&Program{Section: filepath.Base(cmd.Path), Args: cmd.Args[1:], t: t, cmd: cmd}).start(on)
}

func (p *Program) start(on *lab.Host) *Program {
	p.t.Helper()
	p.exited, p.more = make(chan struct{}), make(chan struct{})
	p.record = recordOf(p.t)
	cmd := p.cmd
	called := p.name()
	if p.foreign {
		called = filepath.Base(cmd.Path)
	}
	p.note("$", strings.Join(append([]string{called}, cmd.Args[1:]...), " "))
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	if cmd.Stdout == nil {
		cmd.Stdout = (*stdout)(p)
	}
	cmd.Stderr = (*stderr)(p)
	// What it has said is handed on when this process gets round to it. But what it has
	// started and left behind may hold its output open.
	cmd.WaitDelay = Patience()
	if p.foreign {
		cmd.WaitDelay = time.Second
	}
	if err := on.Start(cmd); err != nil {
		p.failStart(err)
	}
	go func() {
		defer close(p.exited)
		cmd.Wait() // its verdict is in ProcessState
		if len(p.rest) > 0 && !p.flood {
			p.add(func() { p.lines = append(p.lines, string(p.rest)) })
		}
	}()
	p.t.Cleanup(p.cleanup)
	return p
}

// stdout is the Program as what its standard output is written to.
type stdout Program

func (o *stdout) Write(text []byte) (int, error) {
	p := (*Program)(o)
	n := len(text)
	if !p.take(n) {
		return n, nil
	}
	for {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			p.rest = append(p.rest, text...)
			break
		}
		line := string(append(p.rest, text[:end+1]...))
		p.rest, text = p.rest[:0], text[end+1:]
		p.note("", line)
		p.add(func() { p.lines = append(p.lines, line) })
	}
	return n, nil
}

// add lets those who wait look again.
func (p *Program) add(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
	close(p.more)
	p.more = make(chan struct{})
}

// stderr is the Program as what its standard error is written to.
type stderr Program

func (e *stderr) Write(text []byte) (int, error) {
	p := (*Program)(e)
	if p.take(len(text)) {
		p.note("!", string(text))
		p.add(func() { p.stderr.Write(text) })
	}
	return len(text), nil
}

func (p *Program) complaints() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

func (p *Program) cleanup() {
	Over(p.t)
	p.stdin.Close()
	select {
	case <-p.exited:
	default:
		if p.foreign {
			killGroup(p.cmd)
		}
		p.cmd.Process.Kill()
		<-p.exited
		if p.t.Skipped() {
			return
		}
		if judging() == nil || !p.t.Failed() {
			p.t.Errorf("%s was still running when the test ended", p.Section)
		}
	}
	if p.foreign {
		killGroup(p.cmd) // what it has left behind
	}
	if !p.t.Failed() || judging() != nil { // to the judge all this is reported
		return
	}
	log := fmt.Sprintf("$ %s %s\n%s%s(%v)\n", p.Section, cut(strings.Join(p.Args, " ")),
		strings.Join(p.lines, ""), p.complaints(), p.cmd.ProcessState)
	p.t.Log("\n" + log)
	if dir := os.Getenv("TEST_UNDECLARED_OUTPUTS_DIR"); dir != "" {
		name := strings.NewReplacer("/", "_").Replace(fmt.Sprintf("%s.%s.%d.txt", p.t.Name(), p.Section, p.Pid()))
		os.WriteFile(filepath.Join(dir, name), []byte(log), 0o644)
	}
}

// cut keeps a failure readable where a flag is a datagram's worth of text.
func cut(text string) string {
	if len(text) > 500 {
		return text[:500] + "…"
	}
	return text
}

// deadline is when a wait that begins now gives up: early enough for the test
// to say why.
func (p *Program) deadline() <-chan time.Time {
	wait := Patience()
	if t, ok := p.t.(interface{ Deadline() (time.Time, bool) }); ok {
		if end, ok := t.Deadline(); ok {
			wait = min(wait, time.Until(end)*9/10)
		}
	}
	return time.After(wait)
}

// Line waits for the next line on stdout, demands that all of it matches the
// pattern, and returns the submatches.
func (p *Program) Line(pattern string) []string {
	p.t.Helper()
	return p.find(pattern, true)
}

// Await waits for a line that matches all of the pattern, passing over others.
func (p *Program) Await(pattern string) []string {
	p.t.Helper()
	return p.find(pattern, false)
}

func (p *Program) find(pattern string, next bool) []string {
	p.t.Helper()
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	deadline := p.deadline()
	want := fmt.Sprintf("the line %q", pattern)
	if judging() != nil {
		want = "the line: " + Plain(pattern)
	}
	for exited := false; ; {
		p.mu.Lock()
		for p.next < len(p.lines) {
			line := strings.TrimSuffix(p.lines[p.next], "\n")
			p.next++
			if m := re.FindStringSubmatch(line); m != nil {
				p.mu.Unlock()
				return m[1:]
			} else if next {
				p.mu.Unlock()
				p.mute()
				p.fail(want, fmt.Sprintf("it printed %q", cut(line)))
			}
		}
		more := p.more
		p.mu.Unlock()
		if exited {
			p.mute()
			p.fail(want, p.state()+", "+cmp.Or(cut(p.complaints()), "without a word on stderr"))
		}
		select {
		case <-more:
		case <-p.exited:
			exited = true
		case <-deadline:
			p.mute()
			waited := Patience().String()
			if judging() != nil {
				waited += " (-patience)"
			}
			p.fail(want, fmt.Sprintf("no such line in %s, and %s", waited, p.state()))
		}
	}
}

// Complaint waits until all of stderr matches the pattern. A program may print
// a connection's error at any time after the peer has caused it, and ends
// without it when it is told to end. A foreign program's words are its own: it
// has to say something.
func (p *Program) Complaint(pattern string) {
	p.t.Helper()
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	want := fmt.Sprintf("stderr %q", pattern)
	if p.foreign {
		want = "a line on stderr that tells what went wrong, in whichever words"
	}
	deadline := p.deadline()
	for exited := false; ; {
		p.mu.Lock()
		got, more := p.stderr.String(), p.more
		if p.foreign && (len(got) > p.heard || pattern == "") {
			p.heard = len(got)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		if re.MatchString(got) {
			return
		} else if exited {
			p.fail(want, fmt.Sprintf("%s, stderr %q", p.state(), got))
		}
		select {
		case <-more:
		case <-p.exited:
			exited = true
		case <-deadline:
			p.fail(want, fmt.Sprintf("stderr %q after %v", got, Patience()))
		}
	}
}

// Ready waits for the line "listening on IP:PORT" and returns the address.
func (p *Program) Ready() string {
	p.t.Helper()
	return p.Line(`listening on (\S+:\d+)`)[0]
}

// Lines returns all that the program has printed on stdout so far.
func (p *Program) Lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// Pid returns the process id.
func (p *Program) Pid() int { return p.cmd.Process.Pid }

// Write writes to the program's standard input.
func (p *Program) Write(data string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, data); err != nil {
		p.t.Fatalf("write to %s: %v", p.Section, err)
	}
}

// Signal sends a signal.
func (p *Program) Signal(sig os.Signal) {
	p.t.Helper()
	Note(p.t, "%v to %s", sig, p.name())
	err := p.cmd.Process.Signal(sig)
	if p.foreign && forAll(sig) {
		err = signalGroup(p.cmd, sig.(syscall.Signal))
	}
	if err != nil {
		p.fail(fmt.Sprintf("a running program, to send it the signal %v", sig), p.state())
	}
}

// Wait waits for the program's end and returns its exit code, or -1 if a signal
// ended it.
func (p *Program) Wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-p.deadline():
		p.fail("its end", fmt.Sprintf("it still runs after %v", Patience()))
	}
	return p.cmd.ProcessState.ExitCode()
}

// Exit waits for the program's end and demands that exit code, nothing on
// stderr, and no line on stdout that the test has not seen.
func (p *Program) Exit(code int) {
	p.t.Helper()
	p.ExitSaying(code, "")
}

// ExitSaying is Exit for a program of whose stderr all must match the pattern. A
// foreign program's stderr is its own affair, and so is which exit code it has for
// a failure.
func (p *Program) ExitSaying(code int, pattern string) {
	p.t.Helper()
	got, stderr := p.Wait(), p.complaints()
	right := got == code && regexp.MustCompile("^(?:"+pattern+")$").MatchString(stderr)
	want := fmt.Sprintf("exit status %d, stderr %q", code, pattern)
	if p.foreign {
		right = (got == 0) == (code == 0)
		want = map[bool]string{true: "exit status 0", false: "an exit status other than 0"}[code == 0]
	}
	if !right {
		p.fail(want, fmt.Sprintf("%v, stderr %q", p.cmd.ProcessState, cut(stderr)))
	}
	if p.next < len(p.lines) {
		p.fail("no more lines", cut(fmt.Sprintf("it also printed %q", p.lines[p.next:])))
	}
}

// Stop sends SIGTERM and demands a clean end: the line "closed", after others
// it may still print, and exit code 0.
func (p *Program) Stop() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	p.Await("closed")
	p.Exit(0)
}
