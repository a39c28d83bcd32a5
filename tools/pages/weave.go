// Package pages knows what the project's pages promise: that the code and the
// transcripts on them are those of the source and of the tests' golden files,
// that each section has its page, and that links lead somewhere.
//
// It knows no list of chapters or sections: the tree is the list.
package pages

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// Page is a page of the tree, and what Weave makes of it.
type Page struct {
	Name        string
	Text, Woven string
	Err         error // then Woven is empty
}

// Weave weaves every page of the tree. An include is a comment, what Weave
// writes, and a closing comment:
//
//	<!-- weave: main.go#serve -->
//	```go
//	...
//	```
//	<!-- end -->
//
// See tools/README.md for what can stand in the first one.
func Weave(tree fs.FS) ([]Page, error) {
	names, err := files(tree, ".md")
	if err != nil {
		return nil, err
	}
	w := newWeaver(tree)
	var all []Page
	for _, name := range names {
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, err
		}
		p := Page{Name: name, Text: string(text)}
		if p.Woven, p.Err = w.weave(name, p.Text); p.Err != nil {
			p.Err = fmt.Errorf("%s: %w", name, p.Err)
		}
		all = append(all, p)
	}
	return all, nil
}

// files returns the names of the tree's files that end so, those in hidden
// folders and in Bazel's links apart.
func files(tree fs.FS, ending string) (names []string, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "bazel-")):
			return fs.SkipDir
		case !entry.IsDir() && strings.HasSuffix(name, ending):
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

type weaver struct {
	tree     fs.FS
	root     map[string]head
	chapters []Chapter
	places   error // why chapters are in no good order
}

func newWeaver(tree fs.FS) *weaver {
	w := &weaver{tree: tree, root: readHeads(tree, ".")}
	w.chapters, w.places = Chapters(tree)
	return w
}

// weave returns the page with its includes as they ought to be.
func (w *weaver) weave(name, text string) (string, error) {
	p, err := scan(text)
	if err != nil {
		return "", err
	}
	var out []string
	from := 0
	for _, include := range p.includes {
		body, err := w.include(name, include.what)
		if err != nil {
			return "", fmt.Errorf("include of %s: %w", include.what, err)
		}
		for _, l := range p.lines[from : include.begin+1] {
			out = append(out, l.text)
		}
		out = append(out, body)
		from = include.end
	}
	for _, l := range p.lines[from:] {
		out = append(out, l.text)
	}
	return strings.Join(out, "\n"), nil
}

// fenceOf is the language of a fenced block with such a file.
var fenceOf = map[string]string{".go": "go", ".js": "js", ".mmd": "mermaid", ".txt": "console"}

func (w *weaver) include(page, what string) (string, error) {
	switch what {
	case "nav":
		return w.nav(page)
	case "sections":
		return w.sections(page)
	case "chapters":
		return w.chapterTable(page)
	case "path":
		return w.path(page)
	case "entries":
		return w.entryTables(page)
	}
	if strings.HasPrefix(what, "bench ") {
		return w.bench(page, what)
	}
	file, name, excerpted := included(page, what)
	if excerpted && name == "" {
		return "", fmt.Errorf("no name follows the #")
	}
	source, err := fs.ReadFile(w.tree, file)
	if err != nil {
		if path.Base(path.Dir(file)) == "testdata" {
			return "", fmt.Errorf("there is no such file: go test ./%s -update writes it", path.Dir(path.Dir(file)))
		}
		return "", fmt.Errorf("there is no such file: a path begins at the project's top folder, or, with no slash in it, in the page's own")
	}
	language, ok := fenceOf[path.Ext(file)]
	if !ok {
		return "", fmt.Errorf("no language for that ending")
	}
	body := strings.TrimRight(string(source), "\n")
	if excerpted || language == "go" || language == "js" {
		if body, err = excerpt(file, body, name); err != nil {
			return "", err
		}
	}
	if strings.Contains(body, "```") {
		return "", fmt.Errorf("it holds a fence")
	}
	return "```" + language + "\n" + body + "\n```", nil
}

// included returns the path of an included file, seen from the top, and what is
// behind the #, if there is one.
func included(page, what string) (file, name string, excerpted bool) {
	file, name, excerpted = strings.Cut(what, "#")
	if !strings.Contains(file, "/") {
		file = path.Join(path.Dir(page), file)
	}
	return file, name, excerpted
}

// words of the generated blocks, for each language.
var words = map[string]struct {
	other, otherPage, sections, chapters, colon string
	levels                                      [5]string // from easy to hard
}{
	"README.md": {
		other: "中文", otherPage: "README.zh-CN.md",
		sections: "| section | in Node | what it shows |",
		chapters: "| chapter | sections |",
		colon:    ": ",
		levels:   [5]string{"First steps", "Basics", "Further on", "Into the kernel", "Hard"},
	},
	"README.zh-CN.md": {
		other: "English", otherPage: "README.md",
		sections: "| 节 | Node 中 | 内容 |",
		chapters: "| 章 | 节 |",
		colon:    "：",
		levels:   [5]string{"入门", "基础", "进阶", "深入内核", "难点"},
	},
}

// nav is a line of links: to the other language, to the page above, to what comes
// before and after.
func (w *weaver) nav(page string) (string, error) {
	dir, language := path.Dir(page), path.Base(page)
	type stop struct{ dir, title string }
	var road []stop // all chapters, or the sections of all of them
	above, at := stop{".", w.root[language].title}, -1
	for _, c := range w.chapters {
		chapter := stop{c.Name, c.Title(language)}
		if path.Dir(dir) == "." {
			if c.Name == dir {
				at = len(road)
			}
			road = append(road, chapter)
			continue
		}
		for _, s := range c.Sections {
			title := s.Name
			if c.Name != path.Dir(dir) {
				title = c.Name + ":" + s.Name
			}
			if s.Path() == dir {
				above, at = chapter, len(road)
			}
			road = append(road, stop{s.Path(), title})
		}
	}
	if at < 0 || words[language].other == "" {
		return "", fmt.Errorf("only README.md and README.zh-CN.md of a chapter or section have it; a chapter's README.md begins with <!-- place: N -->")
	} else if w.places != nil {
		return "", w.places
	}
	to := func(s stop) string {
		return fmt.Sprintf("[%s](%s)", s.title, Relative(page, path.Join(s.dir, language)))
	}
	parts := []string{fmt.Sprintf("[%s](%s)", words[language].other, words[language].otherPage), to(above)}
	if at > 0 {
		parts = append(parts, "← "+to(road[at-1]))
	}
	if at < len(road)-1 {
		parts = append(parts, to(road[at+1])+" →")
	}
	return strings.Join(parts, " · "), nil
}

// sections is the table of a chapter's sections.
func (w *weaver) sections(page string) (string, error) {
	language := path.Base(page)
	for _, c := range w.chapters {
		if c.Name != path.Dir(page) || words[language].sections == "" {
			continue
		} else if w.places != nil {
			return "", w.places
		}
		rows := []string{words[language].sections, "|---|---|---|"}
		for _, s := range c.Sections {
			h := s.heads[language]
			ids := ""
			for _, anchor := range h.anchors {
				ids += fmt.Sprintf(`<a id="%s"></a>`, anchor)
			}
			rows = append(rows, fmt.Sprintf("| %s[%s](%s) | %s | %s |", ids, s.Name,
				Relative(page, path.Join(s.Path(), language)), cell(h.names), cell(h.summary)))
		}
		return strings.Join(rows, "\n"), nil
	}
	return "", fmt.Errorf("only README.md and README.zh-CN.md of a chapter have it; its README.md begins with <!-- place: N -->")
}

// chapterTable is the table of all chapters.
func (w *weaver) chapterTable(page string) (string, error) {
	language := path.Base(page)
	if path.Dir(page) != "." || words[language].chapters == "" {
		return "", fmt.Errorf("only README.md and README.zh-CN.md at the top have it")
	} else if w.places != nil {
		return "", w.places
	}
	rows := []string{words[language].chapters, "|---|---|"}
	for _, c := range w.chapters {
		var sections []string
		for _, s := range c.Sections {
			sections = append(sections, fmt.Sprintf("[%s](%s)", s.Name, path.Join(s.Path(), language)))
		}
		rows = append(rows, fmt.Sprintf("| [%s](%s) | %s |", cell(c.Title(language)), path.Join(c.Name, language), strings.Join(sections, ", ")))
	}
	return strings.Join(rows, "\n"), nil
}

// path is all sections from easy to hard, those of one level in the chapters' order,
// each with how its page begins.
func (w *weaver) path(page string) (string, error) {
	language := path.Base(page)
	if path.Dir(page) != "." || words[language].other == "" {
		return "", fmt.Errorf("only README.md and README.zh-CN.md at the top have it")
	} else if w.places != nil {
		return "", w.places
	}
	var lines []string
	for i, title := range words[language].levels {
		lines = append(lines, fmt.Sprintf("%d. **%s**", i+1, title))
		for _, c := range w.chapters {
			for _, s := range c.Sections {
				if s.Level() == i+1 {
					lines = append(lines, fmt.Sprintf("   - [%s:%s](%s)%s%s", c.Name, s.Name, path.Join(s.Path(), language),
						words[language].colon, firstClause(s.heads[language].summary)))
				}
			}
		}
	}
	return strings.Join(lines, "\n"), nil
}

// Relative is how a file of the tree, or of the site, links to another.
func Relative(from, file string) string {
	to, err := filepath.Rel(path.Dir(from), file)
	if err != nil {
		return file // both are within the tree
	}
	return filepath.ToSlash(to)
}

// cell is a text fit for a table: a bar would end it.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, `\|`, `|`), `|`, `\|`)
}
