package diagram

import (
	"slices"
	"strings"
	"unicode"
)

// Text returns the diagram for a terminal, with colours or without: never wider
// than that many cells, of which there must be two. Where the parties' boxes have no
// room beside one another it is a list.
func (d Diagram) Text(width int, colour bool) string {
	x, size := d.fit(width)
	if size > width {
		return d.list(width, colour)
	}
	s := sheet{width: size}
	s.add()
	s.add()
	s.add()
	for i, name := range d.Parties {
		left, inner := x[i]-boxCells(name)/2, boxCells(name)-2
		for row, edges := range []string{"┌─┐", "│ │", "└─┘"} {
			edge := []rune(edges)
			s.put(row, left, string(edge[0])+strings.Repeat(string(edge[1]), inner)+string(edge[2]), "")
		}
		s.put(1, left+2, name, "1")
		s.put(2, x[i], "┬", "")
	}
	line := func() (row int) { // a row with nothing but the parties' lines
		row = s.add()
		for _, at := range x {
			s.put(row, at, "│", "")
		}
		return row
	}
	centred := func(text string, left, right int, sgr string) { // between two columns
		for _, part := range Wrap(text, right-left-1) {
			s.put(line(), left+1+(right-left-1-cells(part))/2, part, sgr)
		}
	}
	for _, step := range d.Steps {
		from, to, ok := d.between(step)
		if !ok {
			if len(x) == 1 {
				centred(step.said(), -1, size, "2")
			} else {
				centred(step.said(), x[0], x[len(x)-1], "2")
			}
			continue
		}
		left, right := min(x[from], x[to]), max(x[from], x[to])
		label, slack := " "+step.Label+" ", right-left-1-cells(step.Label)-2
		k, _ := kindOf(step.Label, "")
		if slack < 3 { // "─", and "─►"
			centred(step.Label, left, right, k.sgr)
			label, slack = "", right-left-1
		}
		row := line()
		for at := left + 1; at < right; at++ {
			s.put(row, at, k.cell, k.sgr)
		}
		for _, at := range x {
			if left < at && at < right {
				s.put(row, at, "┼", "")
			}
		}
		if from < to {
			s.put(row, left, "├", "")
			s.put(row, right-1, []string{"►", ">", "►", "╳", "○"}[k.head], k.sgr)
		} else {
			s.put(row, right, "┤", "")
			s.put(row, left+1, []string{"◄", "<", "◄", "╳", "○"}[k.head], k.sgr)
			slack++
		}
		s.put(row, left+1+slack/2, label, k.sgr)
	}
	row := s.add()
	for _, at := range x {
		s.put(row, at, "╵", "")
	}
	return s.text(colour)
}

// fit returns the columns of the parties' lines, and the width of it all: no more
// than a width, if that has room for the boxes.
func (d Diagram) fit(width int) (x []int, size int) {
	last := boxCells(d.Parties[len(d.Parties)-1])
	total := func(gaps []int) int {
		sum := last - last/2
		for _, gap := range gaps {
			sum += gap
		}
		return sum
	}
	// Each line's distance from the one before: with room for the boxes, for the
	// longest word over each arrow, and for all that is to be in it.
	boxes := make([]int, len(d.Parties))
	for i, name := range d.Parties {
		boxes[i] = boxCells(name) / 2
		if i > 0 {
			before := boxCells(d.Parties[i-1])
			boxes[i] = max(12, boxes[i]+before-before/2+1)
		}
	}
	words, labels := slices.Clone(boxes), slices.Clone(boxes)
	for i := 1; i < len(labels); i++ {
		labels[i] = max(24, labels[i])
	}
	widen := func(gaps []int, left, right, want int) {
		have := 0
		for _, gap := range gaps[left+1 : right+1] {
			have += gap
		}
		gaps[right] += max(0, want-have)
	}
	for _, s := range d.byLength() {
		from, to, _ := d.between(s)
		left, right := min(from, to), max(from, to)
		for word := range strings.FieldsSeq(s.Label) {
			widen(words, left, right, cells(word)+1)
		}
		widen(labels, left, right, cells(s.Label)+8)
	}
	for _, s := range d.Steps {
		if _, _, ok := d.between(s); !ok && len(labels) > 1 {
			widen(labels, 0, len(labels)-1, min(cells(s.said())+3, 40)) // a longer one can have more lines
		}
	}
	gaps := boxes
	if total(words) <= width {
		gaps = words
	}
	for more := true; more && total(gaps) < width; { // who wants little gets it
		more = false
		for i := range gaps {
			if gaps[i] < labels[i] && total(gaps) < width {
				gaps[i]++
				more = true
			}
		}
	}
	at := 0
	for _, gap := range gaps {
		at += gap
		x = append(x, at)
	}
	return x, total(gaps)
}

func boxCells(party string) int { return cells(party) + 4 }

// list returns the diagram as a list.
func (d Diagram) list(width int, colour bool) string {
	var s sheet
	s.width = width
	for _, step := range d.Steps {
		sgr := "2"
		if _, _, ok := d.between(step); ok {
			k, _ := kindOf(step.Label, "")
			sgr = k.sgr
		}
		for _, part := range Wrap(step.said(), width) {
			s.put(s.add(), 0, part, sgr)
		}
	}
	return s.text(colour)
}

// sheet is what is drawn upon, of one width: in each cell a letter and its colour.
type sheet struct {
	width int
	rows  [][]cell
}

type cell struct{ letter, sgr string }

// add adds a row.
func (s *sheet) add() (row int) {
	s.rows = append(s.rows, make([]cell, s.width))
	return len(s.rows) - 1
}

func (s *sheet) put(row, at int, text, sgr string) {
	for _, r := range text {
		n := cells(string(r))
		if n == 0 {
			s.rows[row][at-1].letter += string(r)
			continue
		}
		s.rows[row][at] = cell{string(r), sgr}
		if n == 2 {
			s.rows[row][at+1] = cell{"\x00", sgr}
		}
		at += n
	}
}

func (s *sheet) text(colour bool) string {
	var b strings.Builder
	for _, row := range s.rows {
		blanks, now := "", ""
		for _, c := range row {
			switch c.letter {
			case "\x00": // the second half of a wide letter
				continue
			case "", " ":
				blanks += " "
				continue
			}
			b.WriteString(blanks)
			if blanks = ""; colour && c.sgr != now {
				b.WriteString("\x1b[" + c.sgr + "m")
				now = c.sgr
			}
			b.WriteString(c.letter)
		}
		if now != "" {
			b.WriteString("\x1b[m")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Wrap cuts a text into lines of so many cells, between words where it can.
func Wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && cells(line)+1+cells(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		line = ""
		for _, r := range word {
			if line != "" && cells(line)+cells(string(r)) > width {
				lines = append(lines, line)
				line = ""
			}
			line += string(r)
		}
	}
	return append(lines, line)
}

// cells tells how wide a text is where all letters have one width, and Chinese ones
// two.
func cells(text string) (n int) {
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana), '！' <= r && r <= '｠':
			n += 2
		default:
			n++
		}
	}
	return n
}
