package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/template"
	"time"

	"example.com/sockets/tools/pages"
)

// report is all that README.md and the plot are made of.
type report struct {
	Machine []string
	Began   string
	Took    time.Duration
	Results []result
}

// result is what came of a contest.
type result struct {
	Name, Unit  string
	Less, Alone bool
	Rows        []row // ours first
}

type row struct {
	Name   string
	Aim    float64
	Absent string
	Scores []score // one a round
}

// score is what one measurement found.
type score struct {
	Value float64
	CPU   float64 // of the program, for each unit, in µs; 0 if not measured
}

// spread is a median with the least and the most.
type spread struct{ Median, Min, Max float64 }

func spreadOf(v []float64) spread {
	slices.Sort(v)
	n := len(v)
	return spread{(v[(n-1)/2] + v[n/2]) / 2, v[0], v[n-1]}
}

// against tells whether a ratio meets an aim, or that the noise hides it.
func (s spread) against(aim float64) string {
	switch {
	case s.Min >= aim:
		return "met"
	case s.Max < aim:
		return "missed"
	}
	return "hidden by noise"
}

// values returns one of the things that the scores tell.
func (r row) values(of func(score) float64) (values []float64) {
	for _, s := range r.Scores {
		values = append(values, of(s))
	}
	return values
}

func value(s score) float64 { return s.Value }
func cpu(s score) float64   { return s.CPU }

// ratio tells how many times as good as row j row i is, by comparing the two in
// each round: more is better, whatever the unit.
func (r result) ratio(i, j int) (s spread, ok bool) {
	var ratios []float64
	for n := range min(len(r.Rows[i].Scores), len(r.Rows[j].Scores)) {
		ratio := r.Rows[i].Scores[n].Value / r.Rows[j].Scores[n].Value
		if r.Less {
			ratio = 1 / ratio
		}
		ratios = append(ratios, ratio)
	}
	if i == j || r.Alone || len(ratios) == 0 {
		return s, false
	}
	return spreadOf(ratios), true
}

// cells are a row as people read it: who, how much, its processor time, how ours
// compares, the aim.
func (r result) cells(i int) [5]string {
	row := r.Rows[i]
	cells := [5]string{row.Name, "absent: " + row.Absent}
	if row.Absent != "" {
		return cells
	}
	s := spreadOf(row.values(value))
	cells[1] = fmt.Sprintf("%s (%s … %s)", number(s.Median), number(s.Min), number(s.Max))
	if s := spreadOf(row.values(cpu)); s.Median > 0 {
		cells[2] = number(s.Median) + " µs"
	}
	s, ok := r.ratio(0, i)
	if !ok {
		return cells
	}
	cells[3] = fmt.Sprintf("%.2f× (%.2f … %.2f)", s.Median, s.Min, s.Max)
	if row.Aim == 0 {
		return cells
	}
	cells[4] = fmt.Sprintf("%g×: %s", row.Aim, s.against(row.Aim))
	if s.Max < row.Aim {
		for j := range r.Rows {
			if limit, ok := r.ratio(j, i); ok && strings.HasPrefix(r.Rows[j].Name, "limit") && limit.Median < row.Aim {
				cells[4] += fmt.Sprintf(", the limit is %.2f×", limit.Median)
			}
		}
	}
	return cells
}

// number shows three figures, or all before the point.
func number(x float64) string {
	if x < 1000 {
		return fmt.Sprintf("%.*f", max(0, 2-int(math.Floor(math.Log10(max(x, 0.01))))), x)
	}
	digits := fmt.Sprintf("%.0f", x)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func (r result) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s\n", r.Name, r.Unit)
	for i := range r.Rows {
		c := r.cells(i)
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("  %-42s %-32s %9s   %-23s %s", c[0], c[1], c[2], c[3], c[4]), " "))
	}
	return b.String()
}

// weave puts the results between the README's markers.
func (d *report) weave(readme []byte) ([]byte, error) {
	before, rest, begins := bytes.Cut(readme, []byte("<!-- results -->\n"))
	_, after, ends := bytes.Cut(rest, []byte("<!-- end of results -->\n"))
	if !begins || !ends {
		return nil, errors.New("the lines <!-- results --> and <!-- end of results --> are not there")
	}
	var b bytes.Buffer
	b.Write(before)
	fmt.Fprintf(&b, "<!-- results -->\nOn %s UTC, in %v.\n\n", d.Began, d.Took)
	for _, line := range d.Machine {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\n| | median (least … most) | CPU for each | ours is … times as good | aim |\n|---|--:|--:|--:|---|\n")
	for _, r := range d.Results {
		fmt.Fprintf(&b, "| **%s**, %s | | | | |\n", r.Name, r.Unit)
		for i := range r.Rows {
			c := r.cells(i)
			fmt.Fprintf(&b, "| %s |\n", strings.Join(c[:], " | "))
		}
	}
	b.WriteString("<!-- end of results -->\n")
	b.Write(after)
	return b.Bytes(), nil
}

// json is what pages may cite, see tools/pages: each ratio in which a section
// stands, by contest and row.
func (d *report) json() ([]byte, error) {
	var all []pages.Measured
	for _, r := range d.Results {
		for i, row := range r.Rows {
			if s, ok := r.ratio(0, i); ok {
				all = append(all, pages.Measured{Section: r.Rows[0].Name, Contest: r.Name, Against: row.Name, Times: s.Median, Least: s.Min, Most: s.Max, Rounds: len(row.Scores)})
			}
		}
	}
	data, err := json.MarshalIndent(all, "", "  ")
	return append(data, '\n'), err
}

//go:embed plot.svg.tmpl
var plotTemplate string

// plot draws the ratios on a logarithmic scale.
func (d *report) plot() []byte {
	const left, top, step, decade = 330, 50, 18, 190 // in pixels
	x := func(ratio float64) int {                   // from 1/10 to 100
		return left + int(decade*(math.Log10(min(max(ratio, 0.1), 100))+1))
	}
	type mark struct {
		Y, Aim, Median, Min, Max int
		Label, Value, Colour     string
	}
	type title struct {
		Y    int
		Text string
	}
	type tick struct {
		X    int
		Text string
	}
	var p struct {
		Width, Height, Top, Left int
		Titles                   []title
		Marks                    []mark
		Ticks                    []tick
	}
	y := top
	for _, r := range d.Results {
		titled := false
		for i, row := range r.Rows {
			s, ok := r.ratio(0, i)
			if !ok {
				continue
			}
			if !titled {
				titled = true
				y += step / 2
				p.Titles = append(p.Titles, title{y, r.Name})
				y += step
			}
			m := mark{Y: y, Median: x(s.Median), Min: x(s.Min), Max: x(s.Max), Label: row.Name, Value: fmt.Sprintf("%.2f×", s.Median), Colour: "#777"}
			if row.Aim > 0 {
				m.Aim = x(row.Aim)
				switch s.against(row.Aim) {
				case "met":
					m.Colour = "#1a7f37"
				case "missed":
					m.Colour = "#cf222e"
				}
			}
			p.Marks = append(p.Marks, m)
			y += step
		}
	}
	for _, ratio := range []float64{0.1, 0.3, 1, 3, 10, 30, 100} {
		p.Ticks = append(p.Ticks, tick{x(ratio), fmt.Sprintf("%g×", ratio)})
	}
	p.Width, p.Height, p.Top, p.Left = x(100)+70, y+step, top, left
	var b bytes.Buffer
	if err := template.Must(template.New("plot").Parse(plotTemplate)).Execute(&b, p); err != nil {
		panic(err) // the template is our own
	}
	return b.Bytes()
}
