package pages

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// page is a page, line by line.
type page struct {
	lines    []line
	includes []include
	fences   []fence
}

type line struct {
	text   string
	fenced bool // in a fenced block, or the fence itself
	woven  bool // in an include, its two comments counted in
}

// include is what stands between two comments, written by Weave.
type include struct {
	what       string // a path, or the name of a generated block
	begin, end int    // the comments' lines
}

type fence struct {
	language string
	line     int // from 1
	woven    bool
}

var (
	beginLine   = regexp.MustCompile(`^<!-- weave: (bench .*\S|\S+) -->$`)
	endLine     = "<!-- end -->"
	markerLike  = regexp.MustCompile(`<!--\s*(weave|end\s*-->)`)
	fenceLine   = regexp.MustCompile("^[\\s>]*(?:(?:[-*+]|\\d+\\.)\\s+)?(`{3,}|~{3,})\\s*([^\\s`]*)[^`]*$")
	headingLine = regexp.MustCompile(`^(#{1,6})\s+(.*?)\s*$`)
)

// scan reads a page. An error is about includes that are not well formed; the
// page is returned all the same.
func scan(text string) (*page, error) {
	p := &page{}
	var failed error
	fail := func(i int, format string, args ...any) {
		if failed == nil {
			failed = fmt.Errorf("line %d: "+format, append([]any{i + 1}, args...)...)
		}
	}
	inside, open := false, "" // an include; the fence that a block began with
	for i, text := range strings.Split(text, "\n") {
		l := line{text: text, woven: inside}
		begin := beginLine.FindStringSubmatch(text)
		switch {
		case inside && text == endLine:
			p.includes[len(p.includes)-1].end = i
			inside, open = false, ""
		case inside && begin != nil:
			fail(i, "an include within an include: is <!-- end --> missing above?")
		case open != "":
			l.fenced = true
			if bare := strings.TrimLeft(text, " \t>"); strings.HasPrefix(bare, open) && strings.Trim(bare, open[:1]+" \t") == "" {
				open = ""
			}
		case begin != nil:
			l.woven, inside = true, true
			p.includes = append(p.includes, include{what: begin[1], begin: i})
		case text == endLine:
			fail(i, "<!-- end --> without a <!-- weave: … --> above")
		case markerLike.MatchString(blankSpans(text)):
			fail(i, "an include wants lines of its own, as in <!-- weave: PATH -->, <!-- end -->")
		default:
			if m := fenceLine.FindStringSubmatch(text); m != nil {
				l.fenced, open = true, m[1]
				p.fences = append(p.fences, fence{language: strings.ToLower(m[2]), line: i + 1, woven: inside})
			}
		}
		p.lines = append(p.lines, l)
	}
	if inside {
		last := p.includes[len(p.includes)-1]
		fail(last.begin, "no <!-- end --> after <!-- weave: %s -->", last.what)
		p.includes = p.includes[:len(p.includes)-1]
	}
	return p, failed
}

// prose returns the page's lines with blanks for whatever is code: fenced blocks
// and code spans.
func (p *page) prose() []string {
	lines := make([]string, len(p.lines))
	for i, l := range p.lines {
		if !l.fenced {
			lines[i] = l.text
		}
	}
	paragraphs := strings.Split(strings.Join(lines, "\n"), "\n\n") // no span goes beyond one
	for i := range paragraphs {
		paragraphs[i] = blankSpans(paragraphs[i])
	}
	return strings.Split(strings.Join(paragraphs, "\n\n"), "\n")
}

// blankSpans replaces what stands in code spans, and the backquotes, by blanks.
func blankSpans(text string) string {
	out := []byte(text)
	for i := 0; i < len(text); {
		if text[i] != '`' {
			i++
			continue
		}
		n := ticks(text[i:])
		end := -1
		for j := i + n; j < len(text); {
			if m := ticks(text[j:]); m == n {
				end = j + n
				break
			} else {
				j += max(m, 1)
			}
		}
		if end < 0 { // no span begins here
			i += n
			continue
		}
		for ; i < end; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	return string(out)
}

// ticks counts the backquotes that text begins with.
func ticks(text string) int { return len(text) - len(strings.TrimLeft(text, "`")) }

type heading struct {
	level int
	text  string
	line  int // from 1
}

func (p *page) headings() (all []heading) {
	for i, l := range p.lines {
		if m := headingLine.FindStringSubmatch(l.text); m != nil && !l.fenced {
			all = append(all, heading{len(m[1]), m[2], i + 1})
		}
	}
	return all
}

// under returns what stands under a heading of the second level, up to the next.
func (p *page) under(text string) (body string, ok bool) {
	all := p.headings()
	at := slices.IndexFunc(all, func(h heading) bool { return h.level == 2 && h.text == text })
	if at < 0 {
		return "", false
	}
	end := len(p.lines)
	if next := slices.IndexFunc(all[at+1:], func(h heading) bool { return h.level <= 2 }); next >= 0 {
		end = all[at+1+next].line - 1
	}
	return strings.TrimSpace(joinTexts(p.lines[all[at].line:end])), true
}

var id = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)

// anchors returns what a link to the page may name behind a #.
func (p *page) anchors() map[string]bool {
	anchors := map[string]bool{}
	for _, h := range p.headings() {
		slug := Anchor(h.text)
		for base, n := slug, 1; anchors[slug]; n++ {
			slug = fmt.Sprintf("%s-%d", base, n)
		}
		anchors[slug] = true
	}
	for _, line := range p.prose() {
		for _, m := range id.FindAllStringSubmatch(line, -1) {
			anchors[m[1]] = true
		}
	}
	return anchors
}

// Anchor makes of a heading the anchor that GitHub makes.
func Anchor(heading string) string {
	text := link.ReplaceAllString(heading, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Pc):
			return unicode.ToLower(r)
		}
		return -1
	}, text)
}

type target struct {
	to   string
	line int // from 1
}

var linkTo = regexp.MustCompile(`\]\(<?([^()\s<>]+(?:\([^()\s]*\))?)>?(?:\s+"[^"]*")?\)|^\[[^\]]+\]:\s*(\S+)|(?:href|src)="([^"]+)"`)

// links returns where the page's links and pictures lead.
func (p *page) links() (all []target) {
	for i, line := range p.prose() {
		for _, m := range linkTo.FindAllStringSubmatch(line, -1) {
			all = append(all, target{m[1] + m[2] + m[3], i + 1})
		}
	}
	return all
}
