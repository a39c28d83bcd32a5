package main

import (
	"cmp"
	"fmt"
	"html"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
	"github.com/dlclark/regexp2/v2"
)

// A lexer gives each of its patterns a quarter of a second, and then takes it that the
// pattern does not match. Where the machine is busy that much is gone without any work, so
// the clock that is asked for it ticks once an hour.
func init() { regexp2.SetTimeoutCheckPeriod(time.Hour) }

// colour returns a source's lines in HTML, of which few words are coloured: a page
// has to stay small, and calm.
func colour(file, source string) (lines []string, err error) {
	lexer := lexerOf(cmp.Or(path.Ext(file), path.Base(file)))
	if lexer == nil {
		lexer = cmp.Or(lexers.Analyse(source), lexers.Fallback)
	}
	tokens, err := chroma.Coalesce(lexer).Tokenise(nil, source)
	if err != nil {
		return nil, err
	}
	for _, line := range chroma.SplitTokensIntoLines(tokens.Tokens()) {
		var b strings.Builder
		for _, t := range line {
			text := html.EscapeString(strings.TrimSuffix(t.Value, "\n"))
			if rest := strings.TrimRight(b.String(), " "); t.Type.InCategory(chroma.Comment) && rest != "" && len(rest) < b.Len()-1 {
				gap := b.String()[len(rest):] // comments of several lines stand below each other
				b.Reset()
				fmt.Fprintf(&b, `%s<span class="g">%s</span>`, rest, gap)
			}
			if class := classOf(t.Type); class != "" && text != "" {
				text = fmt.Sprintf(`<span class="%s">%s</span>`, class, text)
			}
			b.WriteString(text)
		}
		lines = append(lines, b.String())
	}
	return lines, nil
}

// lexerOf returns the lexer for files that end so, or nil. To find one takes long: each
// language's names and patterns are tried.
func lexerOf(ending string) chroma.Lexer {
	if known, ok := lexersOf.Load(ending); ok {
		lexer, _ := known.(chroma.Lexer)
		return lexer
	}
	lexer := lexers.Get(strings.TrimPrefix(ending, "."))
	if lexer == nil {
		lexer = lexers.Match("file" + ending)
	}
	lexersOf.Store(ending, lexer)
	return lexer
}

var lexersOf sync.Map

func classOf(t chroma.TokenType) string {
	switch {
	case t == chroma.KeywordType:
		return ""
	case t.InCategory(chroma.Keyword):
		return "k"
	case t.InCategory(chroma.Comment) && t != chroma.CommentPreproc && t != chroma.CommentHashbang:
		return "c"
	case t.InSubCategory(chroma.LiteralString):
		return "s"
	}
	return ""
}

// commentLine is a line with nothing but a comment: what stands before its words,
// and these.
var commentLine = regexp.MustCompile(`^(\s*//[ ]?)(.*)$`)

// coded is what code returns: the pages of two languages show the same programs, and
// go on showing most of them when the site is built again.
var coded sync.Map

// code returns a program's source in rows: below what is said of some lines stand
// these lines. The text of it all is the source, to the letter.
func code(file, source string) (string, error) {
	rows, _ := coded.LoadOrStore([2]string{path.Ext(file), source}, sync.OnceValues(func() (string, error) { return rowsOf(file, source) }))
	return rows.(func() (string, error))()
}

func rowsOf(file, source string) (string, error) {
	colours, err := colour(file, source)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	plain := strings.Split(strings.TrimSuffix(source, "\n"), "\n")
	for i := 0; i < len(plain); {
		b.WriteString(`<span class="row">`)
		if isNote(plain[i]) {
			b.WriteString(`<span class="note">`)
			for ; i < len(plain) && isNote(plain[i]); i++ {
				m := commentLine.FindStringSubmatch(plain[i])
				class := ""
				if m[2] == "" {
					class = ` class="gap"`
				} else if strings.TrimLeft(m[2], " \t") != m[2] {
					class = ` class="pre"`
				}
				fmt.Fprintf(&b, "<span%s><i>%s</i>%s\n</span>", class, m[1], html.EscapeString(m[2]))
			}
			b.WriteString(`</span>`)
		}
		b.WriteString(`<span class="src">`)
		for ; i < len(plain) && !isNote(plain[i]); i++ {
			class := ""
			if isMarker(plain[i]) { // copied with the rest, and not shown
				class = ` class="marker"`
			}
			fmt.Fprintf(&b, "<span%s>%s\n</span>", class, colours[i])
		}
		b.WriteString("</span></span>")
	}
	return b.String(), nil
}

// isNote tells a comment on a line of its own.
func isNote(line string) bool {
	return commentLine.MatchString(line) && !isMarker(line)
}

// isMarker tells a line that only says where an excerpt begins or ends.
func isMarker(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "//weave:") }
