package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/sockets/integration/harness"
)

// result is what has become of a claim.
type result struct {
	claim
	verdict string // pass, fail, or why it was not asked
	seconds float64
	place   string // of a failure, in the test's source
	report  *harness.Report
}

const (
	pass   = "holds"
	fail   = "fails"
	others = "it starts other programs than yours"
)

// judge asks a command for the claims, tells of each as it is found, and returns
// the exit code.
func judge(ctx context.Context, o options, s suite, claims []claim, command []string, stdout, stderr io.Writer) int {
	var say teller = peopleAt(stdout)
	if o.json {
		say = machine{json.NewEncoder(stdout)}
	}
	say.begin(o, claims)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var sum summary
	var tests []string
	for _, c := range claims {
		if c.idle {
			r := result{claim: c, verdict: others}
			sum.add(r)
			say.found(r)
			continue
		}
		tests = append(tests, c.test)
	}
	cmd := exec.CommandContext(ctx, s.binary, "-test.run=^("+strings.Join(tests, "|")+")$", "-test.v=test2json", "-test.count=1", "-test.timeout=10m")
	cmd.Dir = s.dir
	cmd.Stderr = stderr
	cmd.Env = append(slices.DeleteFunc(os.Environ(), ofTest), harness.Judging{Section: s.section, Command: command, Dir: o.dir, Patience: o.patience}.Env())
	cmd.Env = append(cmd.Env, s.env...)
	apart(cmd)
	runtime.LockOSThread() // the suite ends with the thread that starts it
	defer runtime.UnlockOSThread()
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintf(stderr, "judge: %v\n", err)
		return 2
	}
	p := reading{claims: claims, patience: o.patience, found: func(r result) {
		if ctx.Err() != nil {
			return // the rest fails because it was told to stop
		}
		sum.add(r)
		say.found(r)
		if sum.hopeless(len(tests)) {
			sum.gaveUp = true
			stop()
		}
	}}
	stray := p.read(out)
	err = cmd.Wait()
	interrupted := ctx.Err() != nil && !sum.gaveUp
	harness.Sweep()
	switch {
	case interrupted:
		return 130
	case err != nil && sum.failed == 0: // a panic, or a deadline
		fmt.Fprintf(stderr, "judge: the suite itself has failed: %v\n%s", err, stray)
		return 2
	}
	sum.missing = len(claims) - sum.held - sum.failed - sum.unasked
	say.end(sum)
	if sum.failed > 0 {
		return 1
	} else if sum.held == 0 {
		return 2
	}
	return 0
}

// ofTest tells what Bazel has in the environment of a test, as the judge's own is: the
// suite is none of it.
func ofTest(variable string) bool {
	return strings.HasPrefix(variable, "TEST_") || strings.HasPrefix(variable, "TESTBRIDGE_") || strings.HasPrefix(variable, "XML_OUTPUT_FILE=")
}

// summary is the sum of the results.
type summary struct {
	held, failed, unasked int
	missing               int // were not found out
	mute                  int // failed before the program's first line
	gaveUp                bool
	failures              []result
}

func (s *summary) add(r result) {
	switch r.verdict {
	case pass:
		s.held++
	case fail:
		s.failed++
		s.failures = append(s.failures, r)
		if r.report != nil && r.report.Mute {
			s.mute++
		}
	default:
		s.unasked++
	}
}

// hopeless tells whether there is no use in going on: the program has said nothing
// that a test could go by, however it was started.
func (s *summary) hopeless(asked int) bool {
	return s.held == 0 && s.mute > 0 && s.mute == s.failed && s.mute >= min(3, asked)
}

// reading reads what a suite prints with -test.v=test2json.
type reading struct {
	claims   []claim
	patience time.Duration
	found    func(result)

	test    string              // whose output comes
	said    map[string][]string // by test
	reports map[string]harness.Report
	ours    map[string]string
}

var (
	framing = regexp.MustCompile(`^(=== (?:RUN|PAUSE|CONT|NAME|ATTR)|--- (?:PASS|FAIL|SKIP):)\s+(\S*)(?: (.*))?$`)
	place   = regexp.MustCompile(`^\s*(\w+_test\.go:\d+): (.*)$`)
)

// read reads to the end, and returns what belongs to no test.
func (p *reading) read(r io.Reader) (stray string) {
	p.said, p.reports, p.ours = map[string][]string{}, map[string]harness.Report{}, map[string]string{}
	var rest strings.Builder
	for in := bufio.NewReader(r); ; {
		line, err := in.ReadString('\n')
		text, frame, framed := strings.Cut(line, "\x16") // the frame's own sign
		if m := framing.FindStringSubmatch(strings.TrimSuffix(frame, "\n")); framed && m != nil {
			if text = strings.TrimSpace(text); text != "" {
				p.said[p.test] = append(p.said[p.test], text)
			}
			p.frame(m[1], m[2], m[3])
		} else if line != "" && p.test != "" {
			p.said[p.test] = append(p.said[p.test], strings.TrimSuffix(line, "\n"))
		} else if line != "PASS\n" && line != "FAIL\n" && rest.Len() < 1<<16 {
			rest.WriteString(line)
		}
		if err != nil {
			if p.test != "" { // it broke off
				rest.WriteString(strings.Join(p.said[p.test], "\n"))
			}
			return rest.String()
		}
	}
}

func (p *reading) frame(word, test, rest string) {
	switch word {
	case "=== ATTR":
		key, value, _ := strings.Cut(rest, " ")
		switch key {
		case harness.ReportAttr:
			var report harness.Report
			if json.Unmarshal([]byte(value), &report) == nil {
				p.reports[test] = report
			}
		case harness.OursAttr:
			p.ours[test] = value
		}
		return
	case "=== RUN", "=== PAUSE", "=== CONT", "=== NAME":
		p.test = test
		return
	}
	p.test = test
	for _, c := range p.claims {
		if c.test == test {
			p.found(p.result(c, word, rest))
			p.test = ""
		}
	}
}

// result is a test's, with its subtests.
func (p *reading) result(c claim, word, rest string) result {
	r := result{claim: c}
	r.seconds, _ = strconv.ParseFloat(strings.Trim(rest, "(s)"), 64)
	started, why := false, ""
	for _, test := range p.family(c.test) {
		report := p.reports[test]
		started = started || report.Started
		if why == "" {
			why = p.ours[test]
		}
		// The first failure seen is a subtest's, if it has any.
		if (r.report == nil || r.report.Expected == "" && report.Expected != "") && (report.Steps != nil || report.Expected != "") {
			r.report = &report
		}
	}
	switch {
	case word == "--- FAIL:" && !started:
		r.report = new(harness.Report)
		p.explain(&r)
		r.verdict = "could not be asked: " + strings.TrimSpace(r.report.Expected+" "+r.report.Came)
	case word == "--- FAIL:":
		r.verdict = fail
		if r.report == nil {
			r.report = new(harness.Report)
		}
		p.explain(&r)
		if strings.Contains(r.report.Came, "i/o timeout") {
			late := fmt.Sprintf("nothing moved any more within %v (-patience): the program does not read or write, or takes long for what it has, as one that copies all it has at every read; claims are asked side by side, so alone (-only) this one may hold", p.patience)
			r.report.Hint = strings.TrimPrefix(r.report.Hint+"; or ", "; or ") + late
		}
	case word == "--- SKIP:" && why == "":
		r.verdict = "this machine cannot ask it"
		for _, line := range p.said[c.test] {
			if m := place.FindStringSubmatch(line); m != nil {
				r.verdict = m[2]
			}
		}
	case why != "" && (word == "--- SKIP:" || !started):
		r.verdict = why
	case !started:
		r.verdict = others
	default:
		r.verdict = pass
	}
	return r
}

// family is a test and its subtests, these first.
func (p *reading) family(test string) (all []string) {
	for name := range p.reports {
		if strings.HasPrefix(name, test+"/") {
			all = append(all, name)
		}
	}
	for name := range p.said {
		if _, known := p.reports[name]; !known && strings.HasPrefix(name, test+"/") {
			all = append(all, name)
		}
	}
	return append(all, test)
}

// explain puts a failure into words: the harness's own, or those of an assertion.
func (p *reading) explain(r *result) {
	var lines []string
	for _, test := range p.family(r.test) {
		lines = append(lines, p.said[test]...)
	}
	for i, line := range lines {
		m := place.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		r.place = m[1]
		if r.report.Expected != "" {
			return
		}
		message := m[2]
		for _, more := range lines[i+1:] {
			if place.MatchString(more) || strings.TrimSpace(more) == "" && message == "" {
				break
			}
			message += "\n" + strings.TrimPrefix(more, "        ")
		}
		r.report.Expected, r.report.Came = assertion(strings.TrimSpace(message))
		return
	}
	if r.report.Expected == "" {
		r.report.Came = strings.Join(lines, "\n")
	}
}

var assertions = []struct {
	pattern        *regexp.Regexp
	expected, came string
}{
	{regexp.MustCompile(`(?s)^assertion failed: error is not nil: (.*?)(?:: ([^:]*))?$`), "no error", "$1; $2"},
	{regexp.MustCompile(`(?s)^assertion failed: error is (.*), not (.*)$`), "the error $2", "$1"},
	{regexp.MustCompile(`(?s)^assertion failed: .*?: want (.*?), and (.*)$`), "$1", "$2"},
	{regexp.MustCompile(`(?s)^assertion failed: expression is false: (.*)$`), "$1", "that is not so"},
	{regexp.MustCompile(`(?s)^assertion failed: (.*?) ?(?:\(string\))? != (\S*)(?: \(.*?\))?(?:: (.*))?$`), "$2", "$1"},
	{regexp.MustCompile(`(?s)^timeout hit after (\S+): waiting until (.*)$`), "that $2", "not so after $1"},
	{regexp.MustCompile(`(?s)^(.*) did not cross the wire in time; (.*)$`), "$1 on the wire", "$2"},
}

// assertion takes an assertion's message apart.
func assertion(message string) (expected, came string) {
	for _, a := range assertions {
		if m := a.pattern.FindStringSubmatchIndex(message); m != nil {
			expected = string(a.pattern.ExpandString(nil, a.expected, message, m))
			came = strings.TrimSuffix(string(a.pattern.ExpandString(nil, a.came, message, m)), "; ")
			return cmp.Or(expected, "nothing"), cmp.Or(came, "nothing")
		}
	}
	return "", message
}
