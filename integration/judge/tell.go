package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/sockets/integration/diagram"
	"example.com/sockets/integration/harness"
)

// teller tells of what was found.
type teller interface {
	begin(o options, claims []claim)
	found(r result)
	end(s summary)
}

// people is the teller for people.
type people struct {
	w      io.Writer
	colour bool
	width  int

	o       options
	claims  []claim
	failed  bool // one has, and was told at length
	begun   time.Time
	unasked []result
}

// peopleAt is for a terminal of 60 columns or more, or a file.
func peopleAt(w io.Writer) *people {
	p := &people{w: w, width: 100}
	if f, ok := w.(*os.File); ok {
		var columns int
		if columns, p.colour = harness.Terminal(f); columns > 0 {
			p.width = max(60, columns)
		}
	}
	return p
}

const (
	red   = "31"
	green = "32"
	faint = "2"
	bold  = "1"
)

func (p *people) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (p *people) begin(o options, claims []claim) {
	p.o, p.claims, p.begun = o, claims, time.Now()
	fmt.Fprintf(p.w, "%s: %s for %s\n\n", p.paint(bold, colon(o.section)), count(len(claims), "claim"), p.paint(bold, strings.Join(o.command, " ")))
}

func (p *people) found(r result) {
	switch r.verdict {
	case pass:
		p.claim(p.paint(green, "✓"), r.text)
	case fail:
		p.claim(p.paint(red, "✗"), r.text)
		if !p.failed {
			p.atLength(r)
		} else {
			p.verdict(r)
		}
		p.failed = true
	default:
		p.unasked = append(p.unasked, r)
	}
}

// claim writes a claim behind its sign.
func (p *people) claim(sign, text string) {
	for i, line := range diagram.Wrap(text, p.width-2) {
		if i > 0 {
			sign = " "
		}
		fmt.Fprintf(p.w, "%s %s\n", sign, line)
	}
}

// verdict writes what was expected and what came.
func (p *people) verdict(r result) {
	p.field("expected", r.report.Expected)
	p.field("came", r.report.Came)
	p.field("often", r.report.Hint)
}

// mostRunes are shown of a line: a program may print all that it was sent as one.
const mostRunes = 500

func short(line string, most int, note string) string {
	if whole := []rune(line); len(whole) > most {
		return string(whole[:most]) + "…" + note
	}
	return line
}

func (p *people) field(name, text string) {
	if text == "" {
		return
	}
	first := true
	for line := range strings.Lines(text) {
		line = short(strings.TrimRight(line, "\n"), mostRunes, " (-json has the rest)")
		parts := []string{line} // as it is: it may be of a drawing
		if utf8.RuneCountInString(line) > p.width-14 {
			parts = diagram.Wrap(line, p.width-14)
		}
		for _, part := range parts {
			if !first {
				name = ""
			}
			fmt.Fprintf(p.w, "    %s%s\n", p.paint(bold, fmt.Sprintf("%-10s", name)), part)
			first = false
		}
	}
}

// atLength writes all there is to know of a failure.
func (p *people) atLength(r result) {
	fmt.Fprintln(p.w)
	if len(r.report.Steps) > 0 {
		fmt.Fprintf(p.w, "    %s\n", p.paint(bold, "what was done, and what was said"))
		for i, s := range r.report.Steps {
			const head, tail = 6, 24
			switch left := len(r.report.Steps) - tail; {
			case i < head || i >= left:
				p.step(s)
			case i == head:
				fmt.Fprintf(p.w, "    %s\n", p.paint(faint, fmt.Sprintf("%12s  %d more; -json has them", "…", left-head)))
			}
		}
		fmt.Fprintln(p.w)
	}
	p.verdict(r)
	if r.place != "" {
		p.field("asked by", r.test+", "+r.place)
	}
	if r.report.Wire != nil {
		fmt.Fprintf(p.w, "\n    %s\n", p.paint(bold, "what crossed the wire"))
		for line := range strings.Lines(r.report.Wire.Text(p.width-4, p.colour)) {
			fmt.Fprint(p.w, "    ", line)
		}
	}
	if len(p.claims) > 1 {
		fmt.Fprintln(p.w)
	}
}

func (p *people) step(s harness.Step) {
	text := s.Text
	switch {
	case s.Mark == "$":
		text = "$ " + text
	case s.Who != "":
		text = s.Who + map[string]string{"!": " ! ", "": " | "}[s.Mark] + text
	}
	for i, line := range strings.Split(text, "\n") {
		line = short(line, 2*p.width, "")
		if s.Who == "" {
			line = p.paint(faint, line)
		}
		at := fmt.Sprintf("%6d ms", s.At.Milliseconds())
		if i > 0 {
			at = strings.Repeat(" ", len(at))
		}
		fmt.Fprintf(p.w, "    %s  %s\n", p.paint(faint, at), line)
	}
}

func (p *people) end(s summary) {
	fmt.Fprintln(p.w)
	if s.gaveUp {
		fmt.Fprintf(p.w, "%s: your program has not said what it has to say first, so nothing else can be asked of it.\n", p.paint(red, "stopped"))
		fmt.Fprintf(p.w, "What a program has to do and to print: integration/judge/README.md\n")
		return
	}
	asked := s.held + s.failed
	switch {
	case asked == 0:
		fmt.Fprintln(p.w, "nothing could be asked")
	case s.failed == 0:
		fmt.Fprintf(p.w, "%s, in %.1f s\n", p.paint(green, "holds: "+count(asked, "claim")), time.Since(p.begun).Seconds())
	default:
		fmt.Fprintf(p.w, "%s of %s, in %.1f s\n", p.paint(red, fmt.Sprintf("fails: %d", s.failed)), count(asked, "claim"), time.Since(p.begun).Seconds())
		if asked > 1 {
			for _, r := range s.failures {
				p.claim(p.paint(red, "✗"), r.text+" "+p.paint(faint, "("+r.test+")"))
			}
			fmt.Fprintf(p.w, "\nthe first alone: -only %s\n", s.failures[0].test)
		}
	}
	if len(p.unasked) > 0 {
		fmt.Fprintf(p.w, "%s not asked of your program:\n", count(len(p.unasked), "claim"))
		for _, r := range p.unasked {
			p.claim(p.paint(faint, "–"), p.paint(faint, r.text+" ("+r.verdict+")"))
		}
	}
	if s.missing > 0 {
		fmt.Fprintf(p.w, "%s not reached\n", count(s.missing, "claim"))
	}
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// machine is the teller for programs.
type machine struct{ *json.Encoder }

func (machine) begin(options, []claim) {}

func (m machine) found(r result) {
	type told struct {
		Claim    string           `json:"claim"`
		Test     string           `json:"test"`
		Result   string           `json:"result"` // pass, fail or skip
		Why      string           `json:"why,omitempty"`
		Seconds  float64          `json:"seconds"`
		Expected string           `json:"expected,omitempty"`
		Came     string           `json:"came,omitempty"`
		Hint     string           `json:"hint,omitempty"`
		At       string           `json:"at,omitempty"`
		Steps    []harness.Step   `json:"steps,omitempty"`
		Wire     *diagram.Diagram `json:"wire,omitempty"`
	}
	t := told{Claim: r.text, Test: r.test, Seconds: r.seconds}
	switch r.verdict {
	case pass:
		t.Result = "pass"
	case fail:
		t.Result, t.At = "fail", r.place
		t.Expected, t.Came, t.Hint, t.Steps, t.Wire = r.report.Expected, r.report.Came, r.report.Hint, r.report.Steps, r.report.Wire
	default:
		t.Result, t.Why = "skip", r.verdict
	}
	m.Encode(t)
}

func (m machine) end(s summary) {
	m.Encode(struct {
		Passed     int  `json:"passed"`
		Failed     int  `json:"failed"`
		Skipped    int  `json:"skipped"`
		NotReached int  `json:"notReached"`
		GaveUp     bool `json:"gaveUp"` // the program has not said its first line
	}{s.held, s.failed, s.unasked, s.missing, s.gaveUp})
}

// list writes a section's claims.
func list(w io.Writer, o options, s suite) int {
	p := peopleAt(w)
	for _, c := range s.matching(o.only) {
		if o.json {
			json.NewEncoder(w).Encode(map[string]string{"claim": c.text, "test": c.test})
			continue
		}
		p.claim("·", c.text+" "+p.paint(faint, "("+c.test+")"))
	}
	return 0
}
