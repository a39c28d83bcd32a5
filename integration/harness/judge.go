package harness

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sockets/integration/diagram"
	"example.com/sockets/integration/lab"
)

// Judging is what integration/judge tells a suite that it starts: to run somebody
// else's program in the place of one section's.
type Judging struct {
	Section  string        // CHAPTER/SECTION
	Command  []string      // what is started in its place
	Dir      string        // where
	Patience time.Duration // bounds every wait
}

const judgingEnv = "SOCKETS_JUDGE"

// Env returns what the suite finds it by, for its environment.
func (j Judging) Env() string {
	text, _ := json.Marshal(j)
	return judgingEnv + "=" + string(text)
}

var judging = sync.OnceValue(func() *Judging {
	j := new(Judging)
	if json.Unmarshal([]byte(os.Getenv(judgingEnv)), j) != nil {
		return nil
	}
	return j
})

// Ours skips a test that the judge asks of nobody else's program, and says why: it
// is about Go's or Node's way, or about what only our program promises.
func Ours(t testing.TB, why string) {
	t.Helper()
	if judging() != nil {
		t.Attr(OursAttr, why)
		t.Skip(why)
	}
}

// NotNode is Ours for a program in Node only, which has no way to do what the test
// asks, or does it in another way.
func NotNode(t testing.TB, why string) {
	t.Helper()
	if j := judging(); j != nil && j.node() {
		Ours(t, why)
	}
}

// OnlyNode is Ours for all other programs than those in Node.
func OnlyNode(t testing.TB) {
	t.Helper()
	if j := judging(); j != nil && !j.node() {
		Ours(t, "it is about Node")
	}
}

// language is what a test of the foreign program is called, that may ask of Node's
// something else.
func (j *Judging) language() (name string, in func(testing.TB, *lab.Host) Starter) {
	if j.node() {
		return "Node", Node
	}
	return Yours, Go
}

func (j *Judging) node() bool {
	return strings.TrimSuffix(filepath.Base(j.Command[0]), ".exe") == "node"
}

// Judged tells whether the judge runs the test, of another's program.
func Judged() bool { return judging() != nil }

// Foreign tells whether another's program runs in this section's place.
func Foreign(section string) bool {
	j := judging()
	return j != nil && j.Section == section
}

// Foreign tells whether the program is another's, that may do things its own way.
func (p *Program) Foreign() bool { return p.foreign }

// Report is what a test of the suite tells the judge of a foreign program, as the
// attribute of that name of the test (testing.T.Attr).
type Report struct {
	Started        bool             // the foreign program was
	Steps          []Step           // what was done, and what the program said to it
	Expected, Came string           // the failure, if it was the harness that saw it
	Hint           string           // what it often comes from, see Hint
	Mute           bool             // the failure was that its first line did not come
	Wire           *diagram.Diagram // what crossed it until the failure, where that can be seen
}

// Step is a line of a report.
type Step struct {
	At   time.Duration // since the test began
	Who  string        // whose line it is: a program's name, or "" for what the test did
	Mark string        // "$" where it was started, "!" for stderr, "" for stdout
	Text string
}

// The attributes by which a test tells the judge: its Report, and what Ours was
// called with.
const (
	ReportAttr = "report"
	OursAttr   = "ours"
)

// Yours is what reports and diagrams call the foreign program.
const Yours = "yours"

type record struct {
	t     testing.TB
	begun time.Time
	wires []watch

	mu     sync.Mutex
	ended  time.Time // when the first clean-up began
	report Report
}

var records sync.Map // by the test's name

// recordOf returns a test's record, or nil if nobody judges.
func recordOf(t testing.TB) *record {
	if judging() == nil {
		return nil
	}
	fresh := &record{t: t, begun: time.Now()}
	old, known := records.LoadOrStore(t.Name(), fresh)
	if !known {
		t.Cleanup(fresh.send) // after all others
	}
	return old.(*record)
}

func (r *record) send() {
	records.Delete(r.t.Name())
	r.over()
	report := r.report
	if r.t.Failed() {
		report.Wire = r.wire()
	} else {
		report = Report{Started: report.Started}
	}
	for _, w := range r.wires {
		w.stop()
	}
	text, err := json.Marshal(report)
	if err != nil {
		r.t.Error(err)
	}
	r.t.Attr(ReportAttr, string(text))
}

// over notes when the test was over, and that what happens from now on is its
// tidying up. What programs were about to say when it failed belongs to the report.
func (r *record) over() {
	r.mu.Lock()
	over := !r.ended.IsZero()
	r.mu.Unlock()
	if over {
		return
	}
	if r.t.Failed() {
		time.Sleep(50 * time.Millisecond)
	}
	r.mu.Lock()
	r.ended = time.Now()
	r.mu.Unlock()
}

// fail ends the test with what was expected, and what came instead.
func (r *record) fail(expected, came string) {
	r.t.Helper()
	r.mu.Lock()
	r.report.Expected, r.report.Came = expected, came
	r.mu.Unlock()
	r.t.Fatalf("want %s; %s", expected, came)
}

const mostSteps = 400 // of a report: the first half of them and the last

func (r *record) add(who, mark, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended.IsZero() {
		return
	}
	steps := append(r.report.Steps, Step{time.Since(r.begun), who, mark, cut(strings.TrimSuffix(text, "\n"))})
	if len(steps) > mostSteps {
		steps = slices.Delete(steps, mostSteps/2, mostSteps/2+1)
		steps[mostSteps/2].Text = "…"
	}
	r.report.Steps = steps
}

// Note tells the judge what the test does next, or has seen.
func Note(t testing.TB, format string, args ...any) {
	if r := recordOf(t); r != nil {
		r.add("", "", fmt.Sprintf(format, args...))
	}
}

// Hint tells the judge what it often comes from if the test fails from here on, until
// the next hint.
func Hint(t testing.TB, mistake string) {
	if r := recordOf(t); r != nil {
		r.mu.Lock()
		r.report.Hint = mistake
		r.mu.Unlock()
	}
}

// Over tells the judge that the test tidies up: it is called first thing in a
// clean-up that peers can notice.
func Over(t testing.TB) {
	if r, known := records.Load(t.Name()); known {
		r.(*record).over()
	}
}

// note is for what a program did.
func (p *Program) note(mark, text string) {
	if p.record != nil {
		p.record.add(p.name(), mark, text)
	}
}

// start starts the foreign program on a host.
func (j *Judging) start(t testing.TB, on *lab.Host, args []string) *Program {
	t.Helper()
	cmd := exec.Command(j.Command[0], slices.Concat(j.Command[1:], words(args))...)
	cmd.Dir = j.Dir
	cmd.Env = append(slices.DeleteFunc(cmd.Environ(), func(v string) bool { return strings.HasPrefix(v, "SOCKETS_") }),
		"PYTHONUNBUFFERED=1") // into a pipe it keeps its lines to itself
	group(cmd)
	r := recordOf(t)
	r.report.Started = true
	r.watch(on)
	p := &Program{Section: j.Section, Args: args, t: t, cmd: cmd, foreign: true}
	if j.node() { // as Node's Starter has it
		p.Section, p.Args = "node", slices.Concat(j.Command[1:], args)
	}
	return p.start(on)
}

var flagLike = regexp.MustCompile(`^--?[a-z]`)

// words writes flags as everybody can read them: each is one word, --name=value.
func words(args []string) (words []string) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		if name := strings.TrimLeft(word, "-"); name != word {
			if word = "--" + name; !strings.Contains(word, "=") && i+1 < len(args) && !flagLike.MatchString(args[i+1]) {
				i++
				word += "=" + args[i]
			}
		}
		words = append(words, word)
	}
	return words
}

// most is how many bytes a foreign program may print.
const most = 8 << 20

// take counts what a foreign program prints, and ends one that does not stop.
func (p *Program) take(n int) (ok bool) {
	if !p.foreign {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken += n; p.taken > most && !p.flood {
		p.flood = true
		killGroup(p.cmd)
	}
	return !p.flood
}

// state is why a program says no more.
func (p *Program) state() string {
	switch {
	case p.flood:
		return fmt.Sprintf("it printed more than %d MiB, and was killed", most>>20)
	case p.cmd.ProcessState == nil:
		return "it still runs"
	case p.foreign && len(groupOf(p.Pid())) > 0:
		return fmt.Sprintf("it ended: %v, and what it has started still runs (a signal goes to the command itself: "+
			"it has to pass it on, or give way with exec)", p.cmd.ProcessState)
	}
	return "it ended: " + p.cmd.ProcessState.String()
}

// fail ends the test with what was wanted of the program, and what came instead.
func (p *Program) fail(expected, came string) {
	p.t.Helper()
	if p.record != nil {
		if !p.foreign {
			expected = p.name() + ": " + expected
		}
		p.record.fail(expected, came)
	}
	p.t.Fatalf("%s: want %s; %s", p.Section, expected, came)
}

// failStart ends the test of a program that could not be started.
func (p *Program) failStart(err error) {
	p.t.Helper()
	if !p.foreign {
		p.t.Fatalf("start %s: %v", p.Section, err)
	}
	if system := (*exec.Error)(nil); errors.As(err, &system) {
		err = system.Err
	}
	p.record.report.Mute = true
	p.fail("it starts", cmp.Or(startHint(err), err.Error()))
}

// mute notes that a foreign program's first line did not come, or was another.
func (p *Program) mute() {
	if r := p.record; r != nil && p.foreign && p.next <= 1 {
		r.mu.Lock()
		r.report.Mute = true
		r.mu.Unlock()
	}
}

// Pids returns the ids of its processes: a foreign program may have started others.
func (p *Program) Pids() []int {
	if !p.foreign {
		return []int{p.Pid()}
	}
	return groupOf(p.Pid())
}

var (
	escaped = regexp.MustCompile(`\\([^\pL\d])`)
	classes = strings.NewReplacer(`\S+:\d+`, "IP:PORT", `\d+`, "N", `\S+`, "…", `.*`, "…", `.+`, "…", `\w+`, "…", `\Q`, "", `\E`, "")
	capture = regexp.MustCompile(`\((?:\?:)?([^()|\\]*)\)([^?*+{]|$)`)
)

// Plain is a pattern for people, who need not know the language of patterns.
func Plain(pattern string) string {
	text := capture.ReplaceAllString(classes.Replace(pattern), "$1$2")
	return escaped.ReplaceAllString(text, "$1")
}

// name is what reports call the program.
func (p *Program) name() string {
	if p.foreign {
		return Yours
	}
	return strings.Replace(p.Section, "/", ":", 1)
}
