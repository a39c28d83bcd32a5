// Package diagram draws who said what to whom: as Mermaid, as SVG and, for a
// terminal, as text. What crossed a link becomes a Diagram in integration/wire.
package diagram

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Diagram is a sequence diagram.
type Diagram struct {
	Parties []string // from left to right, in words without blanks and of few signs: see Parse
	Steps   []Step   // from top to bottom
}

// Step is an arrow from one party to another or, from nobody, a note.
type Step struct{ From, To, Label string }

// Note is a step that is said of all parties.
func Note(text string) Step { return Step{Label: text} }

// between returns the parties that an arrow joins; ok is false of a note.
func (d Diagram) between(s Step) (from, to int, ok bool) {
	from, to = slices.Index(d.Parties, s.From), slices.Index(d.Parties, s.To)
	return from, to, from >= 0 && to >= 0 && from != to
}

// byLength returns the arrows, the shortest first.
func (d Diagram) byLength() (arrows []Step) {
	length := func(s Step) int {
		from, to, _ := d.between(s)
		return max(from-to, to-from)
	}
	for _, s := range d.Steps {
		if _, _, ok := d.between(s); ok {
			arrows = append(arrows, s)
		}
	}
	slices.SortStableFunc(arrows, func(a, b Step) int { return length(a) - length(b) })
	return arrows
}

// Mermaid returns the diagram in Mermaid's language.
func (d Diagram) Mermaid() string {
	var b strings.Builder
	b.WriteString("sequenceDiagram\n")
	for _, p := range d.Parties {
		fmt.Fprintf(&b, "    participant %s\n", p)
	}
	for _, s := range d.Steps {
		if _, _, ok := d.between(s); ok {
			fmt.Fprintf(&b, "    %s->>%s: %s\n", s.From, s.To, s.Label)
		} else {
			fmt.Fprintf(&b, "    Note over %s,%s: %s\n", d.Parties[0], d.Parties[len(d.Parties)-1], s.Label)
		}
	}
	return b.String()
}

var (
	participant = regexp.MustCompile(`^    participant ([\pL\d_.]+)$`)
	arrow       = regexp.MustCompile(`^    ([\pL\d_.]+)->>([\pL\d_.]+): (\S.*)$`)
	note        = regexp.MustCompile(`^    Note over ([\pL\d_.]+),([\pL\d_.]+): (\S.*)$`)
)

// Parse reads what Mermaid wrote, and nothing else.
func Parse(mmd string) (d Diagram, err error) {
	lines := strings.SplitAfter(mmd, "\n")
	for i, line := range lines[:len(lines)-1] {
		line = strings.TrimSuffix(line, "\n")
		wrong := func(why string) (Diagram, error) {
			return Diagram{}, fmt.Errorf("line %d: %s: %q", i+1, why, line)
		}
		if i == 0 {
			if line != "sequenceDiagram" {
				return wrong("no sequence diagram")
			}
		} else if m := participant.FindStringSubmatch(line); m != nil {
			if len(d.Steps) > 0 || slices.Contains(d.Parties, m[1]) {
				return wrong("a participant too late or twice")
			}
			d.Parties = append(d.Parties, m[1])
		} else if m := arrow.FindStringSubmatch(line); m != nil {
			step := Step{m[1], m[2], m[3]}
			if _, _, ok := d.between(step); !ok {
				return wrong("not from one participant to another")
			}
			d.Steps = append(d.Steps, step)
		} else if m := note.FindStringSubmatch(line); m != nil {
			if n := len(d.Parties); n == 0 || m[1] != d.Parties[0] || m[2] != d.Parties[n-1] {
				return wrong("a note that is not over all participants")
			}
			d.Steps = append(d.Steps, Note(m[3]))
		} else {
			return wrong("neither participant nor arrow nor note")
		}
	}
	if rest := lines[len(lines)-1]; rest != "" || len(d.Parties) == 0 {
		return Diagram{}, fmt.Errorf("line %d: it ends too early: %q", len(lines), rest)
	}
	return d, nil
}
