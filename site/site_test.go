package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/net/html/atom"
	"gotest.tools/v3/assert"

	dom "golang.org/x/net/html"

	"example.com/sockets/tools/pages"
)

// tree is the project: its top folder is the one above, also under Bazel, where it
// holds what //:sources names.
var tree = os.DirFS("..")

// built is the site, made once for all tests.
var built = sync.OnceValues(func() (map[string][]byte, error) {
	return Build(tree, Links{Source: "https://source.example/us/sockets", Site: "https://site.example"})
})

func site(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := built()
	assert.NilError(t, err)
	return files
}

// parsed is a page as a tree, made once for all tests.
func parsed(t *testing.T, page []byte) *dom.Node {
	t.Helper()
	if n, ok := trees.Load(&page[0]); ok {
		return n.(*dom.Node)
	}
	n, err := dom.Parse(bytes.NewReader(page))
	assert.NilError(t, err)
	trees.Store(&page[0], n)
	return n
}

var trees sync.Map // by a page's first byte

// htmlFiles are the site's pages, in order.
func htmlFiles(files map[string][]byte) (names []string) {
	for name := range files {
		if strings.HasSuffix(name, ".html") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func ids(doc *dom.Node) map[string]int {
	all := map[string]int{}
	for n := range doc.Descendants() {
		if id := get(n, "id"); id != "" {
			all[id]++
		}
	}
	return all
}

func elements(doc *dom.Node, tags ...atom.Atom) (found []*dom.Node) {
	for n := range doc.Descendants() {
		if slices.Contains(tags, n.DataAtom) {
			found = append(found, n)
		}
	}
	return found
}

// Every link within the site leads to a file of it, and every # to a place there.
func TestLinks(t *testing.T) {
	t.Parallel()
	files := site(t)
	places := map[string]map[string]int{}
	for _, name := range htmlFiles(files) {
		places[name] = ids(parsed(t, files[name]))
		for id, n := range places[name] {
			if n > 1 {
				t.Errorf("%s has the id %s %d times", name, id, n)
			}
		}
	}
	leads := func(from, href string) {
		u, err := url.Parse(href)
		if err != nil {
			t.Errorf("%s: %v", from, err)
			return
		}
		if u.IsAbs() || u.Host != "" {
			if u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "data" {
				t.Errorf("%s: the link %s", from, href)
			}
			return
		}
		to := from
		if u.Path != "" {
			to = path.Join(path.Dir(from), u.Path)
		}
		if _, ok := files[to]; !ok || strings.HasPrefix(u.Path, "/") {
			t.Errorf("%s: the link %s: there is no %s", from, href, to)
		} else if u.Fragment != "" && places[to][u.Fragment] == 0 {
			t.Errorf("%s: the link %s: nothing in %s has that id", from, href, to)
		}
	}
	for _, name := range htmlFiles(files) {
		for n := range parsed(t, files[name]).Descendants() {
			for _, key := range []string{"href", "src"} {
				if to := get(n, key); to != "" {
					leads(name, to)
				}
			}
		}
	}
	for _, lang := range languages {
		for _, e := range searchEntries(t, files, lang.Tag) {
			leads("index.html", e[0])
		}
	}
	_, ok := files["tools/index.html"]
	assert.Assert(t, ok, "pages that are linked are built")
}

// searchEntries reads a part of the search's index.
func searchEntries(t *testing.T, files map[string][]byte, lang string) (rows [][4]string) {
	t.Helper()
	call := string(files["search."+lang+".js"])
	list, ok := strings.CutPrefix(call, fmt.Sprintf("searchIndex(%q, ", lang))
	assert.Assert(t, ok, "search.%s.js", lang)
	assert.NilError(t, json.Unmarshal([]byte(strings.TrimSuffix(list, ")\n")), &rows))
	return rows
}

// Pages need nothing of another host: no script, style, picture or font.
func TestNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	files := site(t)
	for _, name := range htmlFiles(files) {
		for n := range parsed(t, files[name]).Descendants() {
			used := get(n, "src")
			if n.DataAtom == atom.Link && !slices.Contains([]string{"canonical", "alternate"}, get(n, "rel")) {
				used = get(n, "href")
			}
			if n.DataAtom == atom.Style && regexp.MustCompile(`url\(|@import`).MatchString(textOf(n)) {
				t.Errorf("%s: %s", name, textOf(n))
			}
			if used != "" && scheme.MatchString(used) && !strings.HasPrefix(used, "data:") {
				t.Errorf("%s uses %s", name, used)
			}
		}
	}
	for _, name := range []string{"style.css", "script.js"} {
		assert.Assert(t, !regexp.MustCompile(`url\(|@import|https?://`).Match(files[name]), name)
	}
}

// A page, with its style, script and pictures, has at most 100 kB in at most five
// files, the search's index among these.
func TestSizes(t *testing.T) {
	t.Parallel()
	files := site(t)
	for _, name := range htmlFiles(files) {
		used := map[string]bool{name: true}
		for n := range parsed(t, files[name]).Descendants() {
			to := get(n, "src")
			if n.DataAtom == atom.Link && get(n, "rel") == "stylesheet" {
				to = get(n, "href")
			}
			if to != "" && !strings.HasPrefix(to, "data:") {
				used[path.Join(path.Dir(name), to)] = true
			}
		}
		size := 0
		for file := range used {
			size += len(files[file])
		}
		if size > 100_000 || len(used)+1 > 5 {
			t.Errorf("%s is %d bytes in %d files: %q", name, size, len(used), slices.Sorted(maps.Keys(used)))
		}
	}
}

// phrasing elements may stand in a line of text, and hold only their like.
var phrasing = []atom.Atom{
	atom.A, atom.B, atom.Br, atom.Button, atom.Code, atom.Del, atom.Em, atom.I, atom.Img, atom.Input, atom.Mark,
	atom.Samp, atom.Small, atom.Span, atom.Strong, atom.Svg, atom.Wbr,
}

// lines hold phrasing elements and nothing else.
var lines = []atom.Atom{
	atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.Pre, atom.Summary, atom.Span, atom.Code, atom.B, atom.Strong,
	atom.Em, atom.I, atom.Samp, atom.Small, atom.Button, atom.Del, atom.Mark, atom.Dt, atom.A,
}

// only are the elements whose children are told by name.
var only = map[atom.Atom][]atom.Atom{
	atom.Ul: {atom.Li}, atom.Ol: {atom.Li}, atom.Dl: {atom.Div},
	atom.Table: {atom.Thead, atom.Tbody}, atom.Thead: {atom.Tr}, atom.Tbody: {atom.Tr}, atom.Tr: {atom.Td, atom.Th},
}

// The pages are HTML as the standard wants it: what a parser reads is what is
// written, no element is where it may not be, and no attribute stands twice.
func TestMarkup(t *testing.T) {
	t.Parallel()
	files := site(t)
	for _, name := range htmlFiles(files) {
		doc := parsed(t, files[name])
		var again bytes.Buffer
		assert.NilError(t, dom.Render(&again, doc))
		written, read := tokens(t, files[name]), tokens(t, again.Bytes())
		for i := range min(len(written), len(read)) {
			if written[i] != read[i] {
				t.Errorf("%s: %s is read as %s, after %s", name, written[i], read[i], written[max(0, i-3):i])
				break
			}
		}
		assert.Equal(t, len(written), len(read), name)
		for n := range doc.Descendants() {
			if n.Type != dom.ElementNode || n.Namespace != "" || n.DataAtom == 0 {
				if n.Type == dom.ElementNode && n.Namespace == "" {
					t.Errorf("%s: <%s> is no element of HTML", name, n.Data)
				}
				continue
			}
			for child := range n.ChildNodes() {
				if child.Type != dom.ElementNode {
					if want := only[n.DataAtom]; want != nil && strings.TrimSpace(child.Data) != "" {
						t.Errorf("%s: text in <%s>: %q", name, n.Data, child.Data)
					}
					continue
				}
				if slices.Contains(lines, n.DataAtom) && !slices.Contains(phrasing, child.DataAtom) {
					t.Errorf("%s: <%s> in <%s>", name, child.Data, n.Data)
				}
				if want := only[n.DataAtom]; want != nil && !slices.Contains(want, child.DataAtom) {
					t.Errorf("%s: <%s> in <%s>", name, child.Data, n.Data)
				}
			}
			for up := n.Parent; up != nil; up = up.Parent {
				if n.DataAtom == atom.A && up.DataAtom == atom.A || n.DataAtom == atom.Button && up.DataAtom == atom.A {
					t.Errorf("%s: <%s> in <a>", name, n.Data)
				}
			}
		}
		level := 0
		for _, h := range elements(doc, atom.H1, atom.H2, atom.H3, atom.H4) {
			l := int(h.Data[1] - '0')
			if l > level+1 {
				t.Errorf("%s: <%s> %q after a heading of level %d", name, h.Data, textOf(h), level)
			}
			level = l
		}
		assert.Equal(t, len(elements(doc, atom.H1)), 1, name)
		assert.Equal(t, len(elements(doc, atom.Main)), 1, name)
		for _, img := range elements(doc, atom.Img) {
			assert.Assert(t, get(img, "alt") != "", name)
		}
	}
}

// tokens are a page's tags and texts, as they are written.
func tokens(t *testing.T, page []byte) (all []string) {
	t.Helper()
	z := dom.NewTokenizer(bytes.NewReader(page))
	z.AllowCDATA(true)
	for z.Next() != dom.ErrorToken {
		token := z.Token()
		seen := map[string]bool{}
		for _, a := range token.Attr {
			if seen[a.Key] {
				t.Errorf("<%s> has %s twice", token.Data, a.Key)
			}
			seen[a.Key] = true
		}
		slices.SortFunc(token.Attr, func(a, b dom.Attribute) int { return strings.Compare(a.Key, b.Key) })
		switch {
		case token.Type == dom.TextToken && strings.TrimSpace(token.Data) == "":
			continue
		case token.Type == dom.TextToken:
			token.Data = strings.TrimSpace(token.Data)
		case token.Type == dom.SelfClosingTagToken:
			token.Type = dom.StartTagToken
		}
		// In SVG a tag may close itself: <path/> is <path></path>.
		if token.Type == dom.EndTagToken && len(all) > 0 && strings.HasPrefix(all[len(all)-1], "<"+token.Data) {
			continue
		}
		all = append(all, token.String())
	}
	return all
}

// Each page says what it is, in which language, and where the same is in the other.
func TestHeads(t *testing.T) {
	t.Parallel()
	files := site(t)
	titles := map[string]string{}
	for _, name := range htmlFiles(files) {
		doc := parsed(t, files[name])
		head := map[string]string{}
		for n := range doc.Descendants() {
			switch n.DataAtom {
			case atom.Html:
				head["lang"] = get(n, "lang")
			case atom.Title:
				if n.Namespace == "" {
					head["title"] = textOf(n)
				}
			case atom.Meta:
				head[get(n, "name")+get(n, "property")] = get(n, "content")
			case atom.Link:
				head[get(n, "rel")+get(n, "hreflang")] = get(n, "href")
			}
		}
		for _, key := range []string{"lang", "title", "description", "viewport", "og:title", "og:description", "og:type", "og:site_name", "og:locale", "og:url", "canonical"} {
			if strings.TrimSpace(head[key]) == "" {
				t.Errorf("%s has no %s", name, key)
			}
		}
		assert.Equal(t, head["og:url"], "https://site.example/"+strings.TrimSuffix(name, "index.html"))
		if other, ok := titles[head["lang"]+head["title"]]; ok {
			t.Errorf("%s and %s both have the title %q", name, other, head["title"])
		}
		titles[head["lang"]+head["title"]] = name
		for _, pair := range [][2]string{{"index.html", "zh.html"}, {"zh.html", "index.html"}} {
			other := path.Join(path.Dir(name), pair[1])
			if path.Base(name) != pair[0] || files[other] == nil {
				continue
			}
			want := map[string]string{"index.html": "en", "zh.html": "zh-CN"}
			assert.Equal(t, head["lang"], want[pair[0]], name)
			for file, lang := range map[string]string{name: want[pair[0]], other: want[pair[1]]} {
				assert.Equal(t, head["alternate"+lang], "https://site.example/"+strings.TrimSuffix(file, "index.html"), name)
			}
			switched := slices.ContainsFunc(elements(doc, atom.A), func(a *dom.Node) bool {
				return get(a, "class") == "language" && get(a, "href") == pair[1] && get(a, "hreflang") == want[pair[1]]
			})
			assert.Assert(t, switched, "%s has no link to %s", name, other)
		}
	}
}

// Both languages have the start, every chapter and every section, and each section
// the same programs, terminals and diagrams in both.
func TestBothLanguages(t *testing.T) {
	t.Parallel()
	files := site(t)
	chapters, err := pages.Chapters(tree)
	assert.NilError(t, err)
	dirs := []string{"."}
	for _, c := range chapters {
		dirs = append(dirs, c.Name)
		for _, s := range c.Sections {
			dirs = append(dirs, s.Path())
		}
	}
	for _, dir := range dirs {
		shown := map[string]string{}
		for _, name := range []string{"index.html", "zh.html"} {
			file := path.Join(dir, name)
			assert.Assert(t, files[file] != nil, "there is no %s", file)
			doc := parsed(t, files[file])
			for _, figure := range elements(doc, atom.Figure) {
				shown[name] += get(figure, "class") + " "
			}
			shown[name] = fmt.Sprintf("%s, %d headings", shown[name], len(elements(doc, atom.H2)))
		}
		assert.Equal(t, shown["index.html"], shown["zh.html"], dir)
	}
}

// What a page shows of a program can be copied: it is the file, or what weave took
// of it, to the letter.
func TestCodeIsTheFile(t *testing.T) {
	t.Parallel()
	files := site(t)
	chapters, err := pages.Chapters(tree)
	assert.NilError(t, err)
	for _, c := range chapters {
		for _, s := range c.Sections {
			for _, language := range pages.Languages {
				name := path.Join(s.Path(), language)
				doc := parsed(t, files[(&builder{tree: tree}).target(name)])
				found := map[string]bool{}
				var shown []string
				for _, figure := range elements(doc, atom.Figure) {
					of := elements(figure, atom.Code)
					if len(of) == 0 || get(figure, "class") == "diagram" {
						continue
					}
					text := textOf(of[0])
					if id := get(figure, "id"); id != "" {
						source, err := fs.ReadFile(tree, path.Join(s.Path(), id))
						assert.NilError(t, err)
						assert.Equal(t, text, string(source))
						found[id] = true
					} else if get(figure, "class") != "terminal" {
						shown = append(shown, text)
					}
				}
				for _, source := range s.Sources(tree) {
					assert.Assert(t, found[path.Base(source)], "%s does not have the whole %s", name, source)
				}
				text, err := fs.ReadFile(tree, name)
				assert.NilError(t, err)
				var want []string
				for _, m := range regexp.MustCompile("(?ms)^```(?:go|js|sh)\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
					want = append(want, m[1])
				}
				slices.Sort(want)
				slices.Sort(shown)
				assert.DeepEqual(t, shown, want)
			}
		}
	}
	for name, page := range files {
		file := strings.TrimSuffix(name, ".html")
		if strings.HasPrefix(file, "github/") {
			file = "." + file
		}
		info, err := fs.Stat(tree, file)
		if file == name || err != nil || info.IsDir() {
			continue
		}
		source, err := fs.ReadFile(tree, file)
		assert.NilError(t, err)
		assert.Equal(t, textOf(elements(parsed(t, page), atom.Code)[1]), string(source), name)
	}
}

// No line of a transcript is lost.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files := site(t)
	woven, err := pages.Weave(tree)
	assert.NilError(t, err)
	lines := 0
	for _, p := range woven {
		page, ok := files[(&builder{tree: tree}).target(p.Name)]
		if !ok {
			continue // no page links to it
		}
		var shown strings.Builder
		for _, figure := range elements(parsed(t, page), atom.Figure) {
			if get(figure, "class") == "terminal" {
				shown.WriteString(textOf(figure) + "\n")
			}
		}
		for _, m := range regexp.MustCompile("(?ms)^```console\n(.*?)^```").FindAllStringSubmatch(p.Text, -1) {
			for line := range strings.Lines(m[1]) {
				lines++
				if line = strings.TrimSpace(line); !strings.Contains(shown.String(), line) {
					t.Errorf("%s: its page lacks the line %q", p.Name, line)
				}
			}
		}
	}
	assert.Assert(t, lines > 100)
}

// Node stands to the left, Go to the right, and there is nothing in either column but
// programs; of two programs in one language neither stands beside the other. No colon above
// them leads to another paragraph.
func TestCompare(t *testing.T) {
	t.Parallel()
	pairs := 0
	for _, page := range site(t) {
		for n := range parsed(t, page).Descendants() {
			if get(n, "class") != "compare" {
				continue
			}
			var sides []string
			for side := range n.ChildNodes() {
				var held []string
				for child := range side.ChildNodes() {
					held = append(held, get(child, "class"))
				}
				sides = append(sides, strings.Join(slices.Compact(held), ", "))
			}
			assert.DeepEqual(t, sides, []string{"code js", "code go"})
			for said := n.PrevSibling; said != nil && said.PrevSibling != nil; said = said.PrevSibling {
				before := textOf(said.PrevSibling)
				assert.Assert(t, said.DataAtom != atom.P || !strings.HasSuffix(before, ":") && !strings.HasSuffix(before, "："), "%q announces what is not next", before)
			}
			pairs++
		}
	}
	assert.Assert(t, pairs > 80, pairs)
}

// On a section's page Node stands beside Go, a terminal beside another, the diagram
// is a picture that can be read out, and the proofs lead to their tests.
func TestSectionPage(t *testing.T) {
	t.Parallel()
	files := site(t)
	for _, name := range []string{"tcp_server/half_open/index.html", "tcp_server/half_open/zh.html"} {
		doc := parsed(t, files[name])
		has := func(class string) (found []*dom.Node) {
			for n := range doc.Descendants() {
				if slices.Contains(strings.Fields(get(n, "class")), class) {
					found = append(found, n)
				}
			}
			return found
		}
		assert.Equal(t, len(has("compare")), 1)
		var sides []string
		for side := range has("compare")[0].ChildNodes() {
			var programs []string
			for _, figure := range elements(side, atom.Figure) {
				programs = append(programs, get(figure, "class"))
			}
			sides = append(sides, strings.Join(slices.Compact(programs), ", "))
		}
		assert.DeepEqual(t, sides, []string{"code js", "code go"})
		summary := textOf(elements(has("wholes")[0], atom.Summary)[0])
		assert.Assert(t, regexp.MustCompile(`^(The whole program: main\.js, \d+ lines|完整程序：main\.js，\d+ 行)$`).MatchString(summary), summary)
		assert.Equal(t, len(elements(has("terminals")[0], atom.Figure)), 2)
		assert.Equal(t, textOf(elements(has("terminal")[0], atom.Code)[0]), "./bazelw run //tcp_server:half_open")

		picture := elements(has("diagram")[0], atom.Svg)[0]
		assert.Equal(t, get(picture, "role"), "img")
		var hover []string
		for n := range picture.Descendants() {
			if n.Data == "title" && n.Parent.Data == "g" {
				hover = append(hover, textOf(n))
			}
		}
		assert.Equal(t, len(hover), 7)
		for _, flag := range []string{"SYN", "ACK", "FIN"} {
			assert.Assert(t, strings.Contains(strings.Join(hover, "\n"), flag))
		}
		assert.Assert(t, bytes.Contains(files[name], []byte(`<a href="../../integration/tcp_server/half_open_test.go.html#TestHalfOpenReplies"><code>TestHalfOpenReplies</code></a>`)))
		assert.Assert(t, bytes.Contains(files[name], []byte(`<a href="https://source.example/us/sockets/edit/main/tcp_server/half_open/README`)))
	}
}

// Each row of the table from Node to Go leads to a section.
func TestNodeTable(t *testing.T) {
	t.Parallel()
	files := site(t)
	for _, name := range []string{"index.html", "zh.html"} {
		rows := 0
		for _, table := range elements(parsed(t, files[name]), atom.Table) {
			if heads := elements(table, atom.Th); len(heads) == 0 || textOf(heads[0]) != "Node" {
				continue
			}
			for _, row := range elements(table, atom.Tr)[1:] {
				first := elements(row, atom.Td)[0]
				assert.Assert(t, len(elements(first, atom.A)) > 0, "%s: no section has %s in its title", name, textOf(first))
				rows++
			}
		}
		assert.Assert(t, rows > 10, name)
	}
}

// The start shows in both languages a diagram, what its arrows are, how to get the
// project and two commands before anything else.
func TestStart(t *testing.T) {
	t.Parallel()
	files := site(t)
	for _, name := range []string{"index.html", "zh.html"} {
		var hero *dom.Node
		for n := range parsed(t, files[name]).Descendants() {
			if get(n, "class") == "hero" {
				hero = n
			}
		}
		assert.Assert(t, hero != nil)
		assert.Equal(t, len(elements(hero, atom.H1)), 1)
		assert.Equal(t, len(elements(hero, atom.Svg)), 1)
		typed := elements(hero, atom.Code)
		blocks := slices.DeleteFunc(typed, func(n *dom.Node) bool { return n.Parent.DataAtom != atom.Pre })
		assert.Equal(t, textOf(blocks[0]), "git clone https://source.example/us/sockets\ncd sockets\n")
		assert.Equal(t, strings.Count(textOf(blocks[1]), "./bazelw"), 2)
		caption := textOf(elements(hero, atom.Figcaption)[0])
		assert.Assert(t, strings.HasPrefix(caption, map[string]string{"index.html": "half_open: A", "zh.html": "half_open：一"}[name]), caption)
		for _, word := range []string{"SYN", "seq", "FIN", "ACK"} {
			assert.Assert(t, strings.Contains(caption, word), caption)
		}
	}
}

// Who goes on from each page comes through all sections in the first page's order.
func TestPath(t *testing.T) {
	t.Parallel()
	files := site(t)
	for _, start := range []string{"index.html", "zh.html"} {
		var want, went []string
		for _, a := range elements(elements(parsed(t, files[start]), atom.Ol)[0], atom.A) {
			want = append(want, get(a, "href"))
		}
		assert.Assert(t, len(want) > 40)
		for file := want[0]; file != "" && len(went) <= len(want); {
			went = append(went, file)
			next := ""
			for _, a := range elements(parsed(t, files[file]), atom.A) {
				if get(a, "class") == "step" {
					next = path.Join(path.Dir(file), get(a, "href"))
				}
			}
			file = next
		}
		assert.DeepEqual(t, went, want)
	}
}

// A chapter's page begins with its sections, all of them.
func TestChapterPage(t *testing.T) {
	t.Parallel()
	files := site(t)
	chapters, err := pages.Chapters(tree)
	assert.NilError(t, err)
	for _, c := range chapters {
		for _, name := range []string{"index.html", "zh.html"} {
			first := elements(parsed(t, files[c.Name+"/"+name]), atom.Section)[0]
			for _, s := range c.Sections {
				assert.Assert(t, slices.ContainsFunc(elements(first, atom.A), func(a *dom.Node) bool {
					return get(a, "href") == s.Name+"/"+name
				}), "%s/%s does not begin with a list that has %s", c.Name, name, s.Name)
			}
		}
	}
}

var han = regexp.MustCompile(`\p{Han}`)

// An English page has Chinese in code only, and in what is said to be Chinese.
func TestEnglish(t *testing.T) {
	t.Parallel()
	for name, page := range site(t) {
		if path.Base(name) != "index.html" {
			continue
		}
		for n := range parsed(t, page).Descendants() {
			if n.Type != dom.TextNode || !han.MatchString(n.Data) {
				continue
			}
			up := n.Parent
			for ; up.DataAtom != atom.Html && up.DataAtom != atom.Code && up.DataAtom != atom.Samp && get(up, "lang") == ""; up = up.Parent {
			}
			assert.Assert(t, up.DataAtom != atom.Html, "%s: %s", name, n.Data)
		}
	}
}

// A Chinese page says of each link to an English page that it is one.
func TestEnglishIsTold(t *testing.T) {
	t.Parallel()
	files := site(t)
	told := 0
	for name, page := range files {
		if path.Base(name) != "zh.html" {
			continue
		}
		for _, a := range elements(parsed(t, page), atom.A) {
			to, _, _ := strings.Cut(path.Join(path.Dir(name), get(a, "href")), "#")
			if files[to] == nil || !strings.HasSuffix(to, "index.html") && to != "CONTRIBUTING.html" ||
				bytes.Contains(files[to], []byte(`<body class="source">`)) {
				continue
			}
			assert.Equal(t, get(a, "hreflang"), "en", "%s: %s", name, textOf(a))
			told++
		}
	}
	assert.Assert(t, told > 150, told) // on each page the switch of the language, and the menu
}

// The index of the search knows what people look for, in both languages.
func TestSearchIndex(t *testing.T) {
	t.Parallel()
	files := site(t)
	for lang, words := range map[string][]string{
		"en":    {"allowHalfOpen", "CloseWrite", "half-close"},
		"zh-CN": {"allowHalfOpen", "CloseWrite", "半关闭"},
	} {
		for _, word := range words {
			assert.Assert(t, slices.ContainsFunc(searchEntries(t, files, lang), func(e [4]string) bool {
				return strings.HasPrefix(e[0], "tcp_server/half_open/") && strings.Contains(e[1]+e[2]+e[3], word)
			}), "%s %s", lang, word)
		}
	}
}

// In Chinese text a line's end is no blank; beside other words it is.
func TestJoinLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"一\n二":       "一二",
		"一，\n二":      "一，二",
		"a\nb":       "a\nb",
		"一\na":       "一\na",
		"`a`\n`b`":   "a\nb",
		"一\n**二**":   "一二",
		"a:\n[b](#)": "a:\nb",
	} {
		b := &builder{tree: tree, texts: map[string]string{}, out: map[string][]byte{}}
		doc := b.markdown("x.md", text)
		assert.Equal(t, strings.TrimSpace(textOf(parse(doc.html)[0])), want)
	}
}

// A page that has changed is made anew when it is asked for; what cannot be made is
// told, and mended again.
func TestServe(t *testing.T) {
	t.Parallel()
	copied := fstest.MapFS{}
	assert.NilError(t, fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && name != "." && entry.Name() == ".git" {
			return fs.SkipDir
		}
		if info, err := fs.Stat(tree, name); err == nil && info.Mode().IsRegular() {
			data, err := fs.ReadFile(tree, name)
			copied[name] = &fstest.MapFile{Data: data}
			return err
		}
		return nil
	}))
	s := &server{tree: copied}
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	change := func(name, text string) {
		t.Helper()
		before, err := fingerprint(copied)
		assert.NilError(t, err)
		copied[name] = &fstest.MapFile{Data: []byte(text), ModTime: time.Now()}
		after, err := fingerprint(copied)
		assert.NilError(t, err)
		assert.Assert(t, before != after, name)
	}
	assert.Equal(t, get("/").Code, http.StatusOK)
	assert.Assert(t, !strings.Contains(get("/").Body.String(), "git clone"), "nobody has said from where")
	assert.Equal(t, get("/tcp_server/close").Header().Get("Location"), "/tcp_server/close/")
	assert.Equal(t, get("/style.css").Header().Get("Content-Type"), "text/css; charset=utf-8")
	assert.Equal(t, get("/nothing").Code, http.StatusNotFound)
	assert.Equal(t, get("/../../etc/passwd").Code, http.StatusNotFound)

	const page = "tcp_server/close/README.md"
	before := string(copied[page].Data)
	change(page, strings.Replace(before, "## Try it", "A new sentence.\n\n## Try it", 1))
	change("tcp_server/close/main.go", "package main // new\n")
	change(".github/workflows/site.yml", "# newer\n")
	assert.Assert(t, strings.Contains(get("/tcp_server/close/").Body.String(), "A new sentence."))
	assert.Assert(t, strings.Contains(get("/tcp_server/close/").Body.String(), "// new"))
	assert.Assert(t, strings.Contains(get("/github/workflows/site.yml.html").Body.String(), "# newer"))
	change(page, before+"\n[x](nowhere.md)\n")
	assert.Assert(t, strings.Contains(get("/").Body.String(), "nowhere.md"))
	change(page, before)
	assert.Equal(t, get("/tcp_server/close/index.html").Code, http.StatusOK)
}
