package pages

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// What pages and programs may measure.
const (
	sectionLines      = 150
	chapterLines      = 60 // that are not woven: its table grows with its sections
	programLines      = 90
	contributingWords = 400
	toolsLines        = 120
)

// sectionHeadings are those of a section's page, in order.
var sectionHeadings = map[string][]string{
	"README.md":       {"Node and Go", "Try it", "On the wire", "What surprises people", "Your turn", "Proof"},
	"README.zh-CN.md": {"Node 与 Go", "动手试试", "网络上的样子", "容易出错的地方", "练习", "测试"},
}

const (
	optional  = 2 // of sectionHeadings: not every lesson is on the wire
	exercises = 4
	proof     = 5
)

var (
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	testName = regexp.MustCompile(`(-run[ =]['"^(]*)?\b((?:Test|Fuzz)[A-Z]\w*)`)
	runTests = regexp.MustCompile("go test \\./integration/(\\w+) -run '?([^\\s`']+)")
	noNode   = regexp.MustCompile(`(?m)^<!-- no-node: \S.*-->$`)
	note     = regexp.MustCompile(`<!--\s*(?:place|anchor|no-node)\b`)
	todo     = regexp.MustCompile(`\bTODO\b`)
)

// typed are the languages of blocks that only Weave may write.
var typed = []string{"go", "golang", "js", "javascript", "mjs", "cjs", "jsx", "node", "ts", "typescript"}

// Tests are the names of a source's tests.
func Tests(source string) (names []string) {
	for _, m := range testFunc.FindAllStringSubmatch(source, -1) {
		names = append(names, m[1])
	}
	return names
}

// Inventory lists what is amiss in the tree, a line for each thing, that says what
// to do.
func Inventory(tree fs.FS) ([]string, error) {
	all, err := Weave(tree)
	if err != nil {
		return nil, err
	}
	i := inventory{tree: tree, pages: map[string]*page{}, texts: map[string]string{}, tests: map[string][]string{}, failed: map[string]bool{}}
	for _, p := range all {
		i.failed[p.Name] = p.Err != nil
		i.texts[p.Name] = p.Text
		i.pages[p.Name], _ = scan(p.Text) // Weave has told what is wrong with it
	}
	if i.measured, err = measured(tree); err != nil {
		return nil, err
	}
	testFiles, err := files(tree, "_test.go")
	if err != nil {
		return nil, err
	}
	for _, name := range testFiles {
		i.tests[name] = Tests(i.read(name))
	}

	chapters, places := Chapters(tree)
	if places != nil {
		i.say("%v", places)
	}
	i.root()
	for _, c := range chapters {
		i.chapter(c)
		for _, s := range c.Sections {
			i.section(s)
		}
		i.owners(c)
	}
	i.entries(chapters)
	for _, p := range all {
		if places != nil && p.Err != nil && strings.HasSuffix(p.Err.Error(), places.Error()) {
			p.Woven, p.Err = p.Text, nil // it has been said
		}
		i.page(p)
	}
	return i.amiss, nil
}

type inventory struct {
	tree     fs.FS
	pages    map[string]*page
	texts    map[string]string
	failed   map[string]bool     // pages that cannot be woven
	tests    map[string][]string // by file
	amiss    []string
	measured []Measured
}

func (i *inventory) say(format string, args ...any) {
	i.amiss = append(i.amiss, fmt.Sprintf(format, args...))
}

func (i *inventory) read(name string) string {
	data, err := fs.ReadFile(i.tree, name)
	if err != nil {
		i.say("%v", err)
	}
	return string(data)
}

func (i *inventory) exists(name string) bool {
	_, err := fs.Stat(i.tree, name)
	return err == nil
}

// root looks at the pages that are there once.
func (i *inventory) root() {
	for _, name := range Languages {
		if i.needPage(name) {
			i.needInclude(name, "chapters")
			i.needInclude(name, "path")
			i.commands(name)
		}
	}
	i.pair(".")
	if i.needPage("CONTRIBUTING.md") {
		if n := len(strings.Fields(i.texts["CONTRIBUTING.md"])); n > contributingWords {
			i.say("CONTRIBUTING.md has %d words: %d are enough, tools/README.md has room", n, contributingWords)
		}
	}
	if i.needPage("tools/README.md") {
		i.atMost("tools/README.md", i.texts["tools/README.md"], toolsLines)
	}
}

func (i *inventory) chapter(c Chapter) {
	for _, language := range Languages {
		name := path.Join(c.Name, language)
		if !i.needPage(name) {
			continue
		}
		i.begins(name, c.heads[language])
		i.needInclude(name, "sections")
		own := slices.DeleteFunc(slices.Clone(i.pages[name].lines), func(l line) bool { return l.woven })
		if n := len(own) - 1; n > chapterLines { // the last is empty
			i.say("%s has %d lines of its own: it may have %d", name, n, chapterLines)
		}
		i.commands(name)
		i.todos(name, i.pages[name].lines)
	}
	i.pair(c.Name)
}

func (i *inventory) section(s Section) {
	dir := s.Path()
	proofs := "integration/" + s.Chapter
	without := noNode.MatchString(i.texts[dir+"/README.md"])
	for _, language := range Languages {
		name := path.Join(dir, language)
		if !i.needPage(name) {
			continue
		}
		text, h := i.texts[name], s.heads[language]
		i.begins(name, h)
		if h.section != s.Name {
			i.say("%s: its title must be \"# %s: \" and Node's names", name, s.Name)
		}
		if h.summary == "" {
			i.say("%s: under its title a text must say what the section shows: its first sentence is the chapter's row", name)
		}
		i.atMost(name, text, sectionLines)
		if language == "README.md" && h.place > 0 && h.level == 0 {
			i.say("%s: its first line must be <!-- place: %d, level: N -->, N from 1, first steps, to 5, hard", name, h.place)
		}
		i.headings(name, language)
		i.exercises(name, language, s)
		i.todos(name, i.pages[name].lines)
		i.commands(name)
		if run := "./bazelw run //" + s.Chapter + ":" + s.Name; !regexp.MustCompile(regexp.QuoteMeta(run)+`\b`).MatchString(text) && !i.failed[name] {
			i.say("%s: it must say how to run the program: %s", name, run)
		}
		i.sources(name, s, without)
		i.reasons(name, s)
		if own := i.sectionTests(s); len(own) > 0 && !slices.ContainsFunc(own, func(test string) bool {
			return regexp.MustCompile(`\b` + test + `\b`).MatchString(text)
		}) {
			i.say("%s: it must name a test of its own, as %s", name, own[0])
		}
	}
	i.pair(dir)

	switch script := i.exists(dir + "/main.js"); {
	case !script && !without:
		i.say("%s has no main.js: write it, or why there is none into %[1]s/README.md, as <!-- no-node: REASON -->", dir)
	case script && without:
		i.say("%s/README.md says no-node, but there is a main.js: take one of them away", dir)
	}
	for _, name := range i.sectionFiles(s) {
		text := i.read(name)
		if path.Base(name) == "main.go" {
			i.atMost(name, text, programLines)
		}
		for n, line := range strings.Split(text, "\n") {
			i.todo(name, n, line)
		}
	}
	if test := proofs + "/" + s.Name + "_test.go"; !i.exists(test) {
		i.say("%s is missing: the proofs of %s", test, dir)
	}
}

// sectionFiles are a section's sources and tests.
func (i *inventory) sectionFiles(s Section) (names []string) {
	for _, pattern := range []string{s.Path() + "/*.go", s.Path() + "/*.js"} {
		found, _ := fs.Glob(i.tree, pattern)
		names = append(names, found...)
	}
	for _, system := range []string{"", "_linux", "_unix", "_darwin", "_windows", "_other"} {
		if name := "integration/" + s.Chapter + "/" + s.Name + system + "_test.go"; i.exists(name) {
			names = append(names, name)
		}
	}
	return names
}

func (i *inventory) sectionTests(s Section) (tests []string) {
	for _, name := range i.sectionFiles(s) {
		tests = append(tests, i.tests[name]...)
	}
	return tests
}

// owners looks whether a section's tests are the section's by their names, too: so
// tools/sections.bzl tells them apart.
func (i *inventory) owners(c Chapter) {
	for _, s := range c.Sections {
		for _, test := range i.sectionTests(s) {
			owner := "" // the longest name: TestCloseEvent… are close_event's, not close's
			for _, other := range c.Sections {
				begins := strings.HasPrefix(strings.ToLower(test), "test"+strings.ReplaceAll(other.Name, "_", ""))
				if begins && len(other.Name) > len(owner) {
					owner = other.Name
				}
			}
			if owner != s.Name {
				i.say("%s is among the tests of %s/%s: its name must begin with %s, for Bazel to run it there", test, c.Name, s.Name, TestName(s.Name))
			}
		}
	}
}

// begins looks at the first lines of a page: its place, title, and links.
func (i *inventory) begins(name string, h head) {
	p := i.pages[name]
	switch english := path.Base(name) == "README.md"; {
	case english && h.place == 0:
		i.say("%s: its first line must be <!-- place: N -->, N its position among the others, with gaps", name)
	case !english && h.place > 0:
		i.say("%s: README.md tells the place: take it away here", name)
	}
	nav := slices.IndexFunc(p.includes, func(in include) bool { return in.what == "nav" })
	if headings := p.headings(); len(headings) == 0 || headings[0].level != 1 {
		i.say("%s: it must have a title, \"# …\", above all other headings", name)
	} else if title := headings[0].line; nav < 0 || p.includes[nav].begin < title ||
		strings.TrimSpace(joinTexts(p.lines[title:p.includes[nav].begin])) != "" {
		i.say("%s: below its title must come <!-- weave: nav -->, <!-- end -->", name)
	}
}

func joinTexts(lines []line) string {
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.text)
	}
	return strings.Join(texts, "\n")
}

// headings looks at a section's headings of the second level.
func (i *inventory) headings(name, language string) {
	p := i.pages[name]
	var have []string
	for at, all := 0, p.headings(); at < len(all); at++ {
		if all[at].level != 2 {
			continue
		}
		have = append(have, all[at].text)
		if all[at].text == sectionHeadings[language][proof] {
			if body, _ := p.under(all[at].text); !strings.HasPrefix(body, "<details>") || !strings.HasSuffix(body, "</details>") {
				i.say("%s: all under \"## %s\" must be inside <details> … </details>", name, all[at].text)
			}
		}
	}
	want := slices.Clone(sectionHeadings[language])
	if !slices.Contains(have, want[optional]) {
		want = slices.Delete(want, optional, optional+1)
	}
	if !slices.Equal(have, want) {
		i.say("%s: its headings are %q, and must be %q", name, have, want)
	}
}

// exercises looks for what a reader needs: who judges a program of one's own, which
// claims fall when ours is changed, and something to open when one is stuck.
func (i *inventory) exercises(name, language string, s Section) {
	heading := sectionHeadings[language][exercises]
	body, ok := i.pages[name].under(heading)
	if !ok {
		return // headings has said so
	}
	if judged := "integration/judge " + s.Chapter + ":" + s.Name + " -- "; !strings.Contains(body, judged) {
		i.say("%s: \"## %s\" must say how one's own program is judged: go run ./%sCOMMAND", name, heading, judged)
	}
	proofs := slices.ContainsFunc(runTests.FindAllStringSubmatch(body, -1), func(m []string) bool {
		run, err := regexp.Compile(m[2])
		return err == nil && m[1] == s.Chapter && slices.ContainsFunc(i.sectionTests(s), run.MatchString)
	})
	if !proofs {
		i.say("%s: \"## %s\" must have a command that runs the section's proofs: go test ./integration/%s -run %s", name, heading, s.Chapter, TestName(s.Name))
	}
	if !strings.Contains(body, "<details>") {
		i.say("%s: \"## %s\" must have a hint or an answer, folded: <details><summary>…</summary>…</details>", name, heading)
	}
}

// sources looks for what a section's page must show of its files.
func (i *inventory) sources(name string, s Section, without bool) {
	p := i.pages[name]
	var shown, excerpts []string
	transcript := false
	for _, in := range p.includes {
		file, _, excerpted := included(name, in.what)
		shown = append(shown, file)
		if excerpted {
			excerpts = append(excerpts, file)
		}
		if path.Dir(file) == "integration/"+s.Chapter+"/testdata" && path.Ext(file) == ".txt" {
			transcript = true
		}
	}
	var linked []string
	for _, l := range p.links() {
		to, _, _ := strings.Cut(l.to, "#")
		linked = append(linked, path.Join(path.Dir(name), to))
	}
	for _, file := range []string{"main.go", "main.js"} {
		if full := path.Join(s.Path(), file); !slices.Contains(excerpts, full) && !(file == "main.js" && without) {
			i.say("%s: it must show an excerpt: <!-- weave: %s#NAME -->", name, file)
		}
	}
	if !transcript {
		i.say("%s: it must show a transcript: <!-- weave: integration/%s/testdata/%s.txt -->", name, s.Chapter, s.Name)
	}
	if !slices.Contains(linked, s.Path()+"/main.go") {
		i.say("%s: it must link to the whole program: [main.go](main.go)", name)
	}
	others, _ := fs.Glob(i.tree, s.Path()+"/*.go")
	for _, file := range others {
		if path.Base(file) != "main.go" && !slices.Contains(shown, file) && !slices.Contains(linked, file) {
			i.say("%s: it must include or link to %s", name, path.Base(file))
		}
	}
}

// reasons looks for a section's poor figures: its page cites them, and goes on to
// say why.
func (i *inventory) reasons(name string, s Section) {
	p := i.pages[name]
	for _, m := range i.measured {
		if m.Section != s.Chapter+":"+s.Name || !m.slow() {
			continue
		}
		at := slices.IndexFunc(p.includes, func(in include) bool { return in.what == m.include() })
		if at < 0 {
			i.say("%s: it must cite where it is slow, and say why: <!-- weave: %s -->", name, m.include())
		} else if after := p.lines[min(p.includes[at].end+1, len(p.lines)-1)].text; after == "" || strings.HasPrefix(after, "<!--") {
			i.say("%s: under what it cites of %q it must say why", name, m.Contest)
		}
	}
}

// pair looks whether both languages of a page have the same includes.
func (i *inventory) pair(dir string) {
	var have [2][]string
	for n, language := range Languages {
		p := i.pages[path.Join(dir, language)]
		if p == nil {
			return
		}
		for _, in := range p.includes {
			have[n] = append(have[n], in.what)
		}
	}
	if !slices.Equal(have[0], have[1]) {
		i.say("%s and README.zh-CN.md must have the same includes in one order: %q and %q", path.Join(dir, "README.md"), have[0], have[1])
	}
}

func (i *inventory) needPage(name string) bool {
	if i.pages[name] == nil {
		i.say("%s is missing", name)
	}
	return i.pages[name] != nil
}

func (i *inventory) needInclude(name, what string) {
	if !slices.ContainsFunc(i.pages[name].includes, func(in include) bool { return in.what == what }) {
		i.say("%s: it must have <!-- weave: %s -->, <!-- end -->", name, what)
	}
}

func (i *inventory) atMost(name, text string, most int) {
	if n := strings.Count(text, "\n"); n > most {
		i.say("%s has %d lines: it may have %d", name, n, most)
	}
}

// todos looks at what was typed: what was woven stands elsewhere.
func (i *inventory) todos(name string, lines []line) {
	for n, l := range lines {
		if !l.woven {
			i.todo(name, n, l.text)
		}
	}
}

func (i *inventory) todo(name string, n int, line string) {
	if todo.MatchString(line) {
		i.say("%s: TODO on line %d", name, n+1)
	}
}

// commands looks for commands that only some readers could type.
func (i *inventory) commands(name string) {
	var on []int
	for n, l := range i.pages[name].lines {
		if strings.Contains(l.text, "bazel run") {
			on = append(on, n+1)
		}
	}
	if on != nil {
		i.say("%s: bazel run, in lines %v, must be ./bazelw run: not everybody has a bazel", name, on)
	}
}

// page looks at what holds for all pages there are.
func (i *inventory) page(woven Page) {
	name, p := woven.Name, i.pages[woven.Name]
	switch {
	case woven.Err != nil:
		i.say("%v", woven.Err)
	case woven.Woven != woven.Text:
		i.say("%s is out of date: ./bazelw run //tools/weave", name)
	}
	for _, f := range p.fences {
		if !f.woven && slices.Contains(typed, f.language) {
			i.say("%s: the code on line %d is typed, and nobody has run it: include it, as <!-- weave: PATH#NAME -->", name, f.line)
		}
	}
	for n, text := range p.prose() {
		for _, m := range note.FindAllString(text, -1) {
			line := p.lines[n].text
			if !(n == 0 && placeLine.MatchString(line)) && !anchorLine.MatchString(line) && !noNode.MatchString(line) {
				i.say("%s: %s on line %d: a comment is <!-- place: N --> on the first line, or <!-- anchor: NAME --> or <!-- no-node: REASON --> on one of its own", name, m, n+1)
			}
		}
	}
	for _, l := range p.links() {
		if reason := i.broken(name, l.to); reason != "" {
			i.say("%s: the link %s on line %d: %s", name, l.to, l.line, reason)
		}
	}
	tests := i.testsFor(name)
	for n, l := range p.lines {
		for _, m := range testName.FindAllStringSubmatch(l.text, -1) {
			matches := func(test string) bool { return test == m[2] || m[1] != "" && strings.HasPrefix(test, m[2]) }
			if !slices.ContainsFunc(tests, matches) {
				i.say("%s: line %d names %s, and there is no such test", name, n+1, m[2])
			}
		}
	}
}

// testsFor returns the tests that a page may name: of its chapter and of all
// sections, if it is a section's, or else any.
func (i *inventory) testsFor(page string) (tests []string) {
	chapter, _, nested := strings.Cut(page, "/")
	own := "integration/" + chapter + "/"
	if !nested || !i.exists(chapter+"/README.md") || readHead(i.texts[chapter+"/README.md"]).place == 0 {
		own = ""
	}
	for file, names := range i.tests {
		if strings.HasPrefix(file, own) || strings.HasPrefix(file, "integration/all/") {
			tests = append(tests, names...)
		}
	}
	return tests
}

var scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:|^//`)

// broken tells what is wrong with a link, or "".
func (i *inventory) broken(page, to string) string {
	if scheme.MatchString(to) {
		return ""
	}
	file, anchor, anchored := strings.Cut(to, "#")
	file, err1 := url.PathUnescape(file)
	anchor, err2 := url.PathUnescape(anchor)
	if err1 != nil || err2 != nil {
		return "a % in it escapes nothing"
	}
	switch {
	case file == "":
		file = page
	case strings.HasPrefix(file, "/"):
		file = path.Clean(file[1:])
	default:
		file = path.Join(path.Dir(page), file)
	}
	if !fs.ValidPath(file) || !i.exists(file) {
		return "there is no " + file
	}
	if !anchored {
		return ""
	}
	on := i.pages[file]
	if on == nil {
		on = i.pages[path.Join(file, "README.md")]
	}
	switch {
	case on == nil:
		return "only pages have headings to link to"
	case !on.anchors()[anchor]:
		return "no heading there has that name"
	}
	return ""
}
