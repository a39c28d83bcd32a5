package pages

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Languages are the names of a page in its two languages, English first.
var Languages = []string{"README.md", "README.zh-CN.md"}

// Chapter is a folder of sections: one at the top of the tree whose README.md
// begins with a place.
type Chapter struct {
	Name     string
	Place    int
	Sections []Section // in order
	heads    map[string]head
}

// Section is a folder of a chapter with a main.go.
type Section struct {
	Chapter, Name string
	Place         int // 0 while its page has none: it then comes last
	heads         map[string]head
}

// Path is the section's folder, seen from the top.
func (s Section) Path() string { return path.Join(s.Chapter, s.Name) }

// Title is the chapter's name in one of Languages.
func (c Chapter) Title(language string) string { return cmp.Or(c.heads[language].title, c.Name) }

// Names are what the section's title says that it is in Node.
func (s Section) Names(language string) string { return s.heads[language].names }

// Summary is the first sentence of the section's page.
func (s Section) Summary(language string) string { return s.heads[language].summary }

// Level is how hard the section is, from 1, first steps, to 5.
func (s Section) Level() int { return s.heads["README.md"].level }

// Sources are the section's programs, Node's first.
func (s Section) Sources(tree fs.FS) (names []string) {
	for _, pattern := range []string{"*.js", "main.go", "*.go"} {
		found, _ := fs.Glob(tree, path.Join(s.Path(), pattern)) // the pattern is well formed
		for _, name := range found {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// TestName is how the names of a section's tests begin: TestHalfOpen for half_open.
func TestName(section string) string {
	var b strings.Builder
	b.WriteString("Test")
	for word := range strings.SplitSeq(section, "_") {
		switch word {
		case "":
		case "tcp", "udp", "ttl", "ip":
			b.WriteString(strings.ToUpper(word))
		case "ipv4", "ipv6":
			b.WriteString("IP" + word[2:])
		default:
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// Chapters returns the chapters of the tree and their sections, in the order of
// their places. With an error about places the chapters are returned all the same.
func Chapters(tree fs.FS) (chapters []Chapter, amiss error) {
	readmes, err := fs.Glob(tree, "*/README.md")
	if err != nil {
		return nil, err
	}
	for _, readme := range readmes {
		chapter := Chapter{Name: path.Dir(readme)}
		chapter.heads = readHeads(tree, chapter.Name)
		chapter.Place = chapter.heads["README.md"].place
		if chapter.Place == 0 {
			continue
		}
		mains, err := fs.Glob(tree, chapter.Name+"/*/main.go")
		if err != nil {
			return nil, err
		}
		for _, main := range mains {
			section := Section{Chapter: chapter.Name, Name: path.Base(path.Dir(main))}
			section.heads = readHeads(tree, section.Path())
			section.Place = section.heads["README.md"].place
			chapter.Sections = append(chapter.Sections, section)
		}
		slices.SortStableFunc(chapter.Sections, func(a, b Section) int { return byPlace(a.Place, b.Place) })
		for i, s := range chapter.Sections {
			if i > 0 && s.Place > 0 && s.Place == chapter.Sections[i-1].Place {
				amiss = cmp.Or(amiss, samePlace(chapter.Sections[i-1].Path(), s.Path(), s.Place))
			}
		}
		chapters = append(chapters, chapter)
	}
	slices.SortStableFunc(chapters, func(a, b Chapter) int { return byPlace(a.Place, b.Place) })
	for i, c := range chapters {
		if i > 0 && c.Place == chapters[i-1].Place {
			amiss = cmp.Or(amiss, samePlace(chapters[i-1].Name, c.Name, c.Place))
		}
	}
	if len(chapters) == 0 {
		amiss = errors.New("there is no chapter: no folder's README.md begins with <!-- place: N -->")
	}
	return chapters, amiss
}

// byPlace sorts what has no place, 0, behind what has one.
func byPlace(a, b int) int { return cmp.Compare(uint(a)-1, uint(b)-1) }

func samePlace(a, b string, at int) error {
	return fmt.Errorf("%s/README.md and %s/README.md both have the place %d: give one of them another number", a, b, at)
}

// head is what other pages need to know of a page.
type head struct {
	place   int      // of the comment on its first line, 0 if there is none
	level   int      // a section's, there too
	title   string   // all of the first heading
	section string   // of it, what stands before the colon
	names   string   // and behind: Node's names
	summary string   // the first sentence of the text under it
	anchors []string // of headings that people have linked to, and that were here once
}

var (
	placeLine  = regexp.MustCompile(`^<!-- place: ([1-9][0-9]*)(?:, level: ([1-5]))? -->$`)
	titleLine  = regexp.MustCompile(`^(\w+)(?:: |：)\s*(\S.*)$`)
	anchorLine = regexp.MustCompile(`^<!-- anchor: (\S+) -->$`)
	comment    = regexp.MustCompile(`^<!--.*-->$`)
	clauseEnd  = regexp.MustCompile(`[:;] |[：；]`)
	link       = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

func readHeads(tree fs.FS, dir string) map[string]head {
	heads := map[string]head{}
	for _, language := range Languages {
		if text, err := fs.ReadFile(tree, path.Join(dir, language)); err == nil {
			heads[language] = readHead(string(text))
		}
	}
	return heads
}

func readHead(text string) (h head) {
	p, _ := scan(text) // what is wrong with it, Weave tells
	if m := placeLine.FindStringSubmatch(p.lines[0].text); m != nil {
		h.place, _ = strconv.Atoi(m[1])
		h.level, _ = strconv.Atoi(m[2])
	}
	var paragraph []string
	below, over := false, false
	for _, l := range p.lines {
		if l.fenced || l.woven {
			over = over || paragraph != nil
			continue
		}
		if m := anchorLine.FindStringSubmatch(l.text); m != nil {
			h.anchors = append(h.anchors, m[1])
		}
		heading := headingLine.FindStringSubmatch(l.text)
		switch {
		case over:
		case !below:
			if heading != nil && len(heading[1]) == 1 {
				h.title, below = heading[2], true
			}
		case heading != nil, strings.TrimSpace(l.text) == "" && paragraph != nil:
			over = true
		case strings.TrimSpace(l.text) != "" && !comment.MatchString(l.text):
			paragraph = append(paragraph, strings.TrimSpace(l.text))
		}
	}
	if m := titleLine.FindStringSubmatch(h.title); m != nil {
		h.section, h.names = m[1], m[2]
	}
	h.summary = firstSentence(link.ReplaceAllString(joinLines(paragraph), "$1"))
	return h
}

// joinLines joins the lines of a paragraph, with blanks only where a reader
// would: not between two Chinese characters.
func joinLines(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			before, after := []rune(lines[i-1]), []rune(line)
			if !Chinese(before[len(before)-1]) || !Chinese(after[0]) {
				b.WriteByte(' ')
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// Chinese tells characters of full width, punctuation included.
func Chinese(r rune) bool { return r >= 0x2e80 }

// firstSentence returns the text up to its first ". " or "。", those in code spans
// apart.
func firstSentence(text string) string {
	bare := blankSpans(text)
	end := len(text)
	if i := strings.Index(bare, ". "); i >= 0 {
		end = i + 1
	}
	if i := strings.Index(bare, "。"); i >= 0 {
		end = min(end, i+len("。"))
	}
	return text[:end]
}

// firstClause returns a sentence up to its first colon or semicolon, those in code
// spans apart, without its stop.
func firstClause(sentence string) string {
	if at := clauseEnd.FindStringIndex(blankSpans(sentence)); at != nil {
		sentence = sentence[:at[0]]
	}
	return strings.TrimRight(sentence, ".。")
}
