package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/golden"

	"example.com/sockets/integration/diagram"
)

// Transcript compares what the programs printed, and the commands that a
// reader would type to see the same, with testdata/NAME, from which the pages
// are woven. The flag -update rewrites the file.
//
// So that two runs give one text, the ports that the system chose count up
// from 50001, and the times in a program's output by a second from one moment.
// Two sockets with one port would have one name: a test that has several has to
// see to it that they differ.
func Transcript(t *testing.T, name string, programs ...*Program) {
	t.Helper()
	if judging() != nil {
		return // which lines have to come, the test has said
	}
	var b strings.Builder
	for i, p := range programs {
		if i > 0 {
			b.WriteString("\n")
		}
		chapter, section, _ := strings.Cut(p.Section, "/")
		fmt.Fprintf(&b, "$ ./bazelw run //%s:%s", chapter, section)
		for j, arg := range p.Args {
			if j == 0 {
				b.WriteString(" --")
			}
			if strings.ContainsAny(arg, " []*?\n") { // to a shell
				arg = "'" + arg + "'"
			}
			b.WriteString(" " + arg)
		}
		b.WriteString("\n" + normaliseTimes(strings.Join(p.Lines(), "")))
	}
	if golden.FlagUpdate() {
		if err := os.MkdirAll(filepath.Join("testdata", filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join("testdata", name)); err != nil && !golden.FlagUpdate() {
		t.Fatalf("testdata/%s is not there: run this test with -update, and read what it writes", name)
	}
	golden.Assert(t, normalisePorts(b.String()), filepath.FromSlash(name))
}

// Drawn compares a diagram with testdata/NAME.mmd, from which the pages are woven. The
// flag -update rewrites the file.
func Drawn(t *testing.T, name string, d diagram.Diagram) {
	t.Helper()
	r := recordOf(t)
	if r == nil {
		golden.Assert(t, d.Mermaid(), name+".mmd")
		return
	}
	want, err := diagram.Parse(string(golden.Get(t, name+".mmd")))
	if err != nil {
		t.Fatal(err)
	}
	for i := range max(len(d.Steps), len(want.Steps)) {
		switch {
		case i >= len(d.Steps):
			r.fail("on the wire\n"+want.Text(70, false), "no more after that, and "+arrow(want.Steps[i])+" is due")
		case i >= len(want.Steps):
			r.fail("on the wire\n"+want.Text(70, false), "one more: "+arrow(d.Steps[i]))
		case d.Steps[i] != want.Steps[i]:
			r.fail("on the wire\n"+want.Text(70, false), arrow(d.Steps[i])+" where "+arrow(want.Steps[i])+" is due")
		}
	}
}

func arrow(s diagram.Step) string { return fmt.Sprintf("%q from %s to %s", s.Label, s.From, s.To) }

var (
	timeOfDay = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	port      = regexp.MustCompile(`:(\d{5})\b`)
)

func normaliseTimes(text string) string {
	n := 4
	return timeOfDay.ReplaceAllStringFunc(text, func(string) string {
		n++
		return fmt.Sprintf("2026-01-02 15:04:%02d", n)
	})
}

func normalisePorts(text string) string {
	seen := map[string]string{}
	return port.ReplaceAllStringFunc(text, func(p string) string {
		if n, _ := strconv.Atoi(p[1:]); n < 32768 { // not an ephemeral port
			return p
		}
		if seen[p] == "" {
			seen[p] = fmt.Sprintf(":%d", 50001+len(seen))
		}
		return seen[p]
	})
}
