package main

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"example.com/sockets/tools/pages"
)

// Links are where the site leads beyond itself, if it is known.
type Links struct {
	Source string // the repository
	Site   string // the folder where the site will stand
}

// builder makes the site, page by page: the first page, what that links to, and so on.
type builder struct {
	tree     fs.FS
	links    Links
	texts    map[string]string // the tree's pages, woven
	chapters []pages.Chapter
	template *template.Template
	sources  map[string]*pages.Section // of each program's file
	tests    map[string][]string       // the files with a test of that name
	nodeAPI  map[string]*pages.Section // of each name in a section's title

	queue []string // of the tree: pages, other files and folders
	out   map[string][]byte
	index map[string][]entry // for the search, by language
	err   error              // the first
}

// Build returns the site's files.
func Build(tree fs.FS, links Links) (map[string][]byte, error) {
	b := &builder{
		tree: tree, links: links, texts: map[string]string{}, out: map[string][]byte{},
		sources: map[string]*pages.Section{}, nodeAPI: map[string]*pages.Section{},
		index: map[string][]entry{},
	}
	woven, err := pages.Weave(tree)
	if err != nil {
		return nil, err
	}
	for _, p := range woven {
		b.texts[p.Name] = cmp.Or(p.Woven, p.Text) // what is wrong with it, weave tells
	}
	if b.chapters, err = pages.Chapters(tree); err != nil {
		return nil, err
	}
	for _, c := range b.chapters {
		for _, s := range c.Sections {
			for _, name := range s.Sources(tree) {
				b.sources[name] = &s
			}
			for _, name := range apiNames(s.Names("README.md")) {
				if b.nodeAPI[name] == nil {
					b.nodeAPI[name] = &s
				}
			}
		}
	}
	if b.tests, err = findTests(tree); err != nil {
		return nil, err
	}
	if b.template, err = template.ParseFS(tree, "site/page.html"); err != nil {
		return nil, err
	}

	for _, language := range pages.Languages {
		b.add(language)
	}
	for len(b.queue) > 0 && b.err == nil {
		name := b.queue[0]
		b.queue = b.queue[1:]
		if _, ok := b.texts[name]; ok {
			b.page(name)
		} else {
			b.source(name)
		}
	}
	for _, name := range []string{"style.css", "script.js"} {
		data, err := fs.ReadFile(tree, "site/"+name)
		if err != nil {
			return nil, err
		}
		b.out[name] = data
	}
	for lang, entries := range b.index {
		b.out["search."+lang+".js"] = searchIndex(lang, entries)
	}
	return b.out, b.err
}

// findTests finds the suite's tests.
func findTests(tree fs.FS) (map[string][]string, error) {
	tests := map[string][]string{}
	files, err := fs.Glob(tree, "integration/*/*_test.go")
	for _, file := range files {
		source, err := fs.ReadFile(tree, file)
		if err != nil {
			return nil, err
		}
		for _, test := range pages.Tests(string(source)) {
			tests[test] = append(tests[test], file)
		}
	}
	return tests, err
}

// apiWord is a name of Node's API, or an event in quotes.
var apiWord = regexp.MustCompile(`'\w+'|[a-zA-Z]\w*`)

// apiNames are the names in "socket.address, remoteAddress", without what stands
// before the dot.
func apiNames(title string) (names []string) {
	for part := range strings.SplitSeq(title, ",") {
		words := apiWord.FindAllString(part, -1)
		if len(words) > 0 {
			names = append(names, words[len(words)-1])
		}
	}
	return names
}

// target is the file of the site that something of the tree becomes.
func (b *builder) target(name string) string {
	file := strings.TrimPrefix(name, ".") // who publishes a site leaves hidden folders out
	dir, base := path.Split(file)
	switch {
	case base == "README.md":
		return dir + "index.html"
	case base == "README.zh-CN.md":
		return dir + "zh.html"
	case strings.HasSuffix(base, ".md"):
		return strings.TrimSuffix(file, ".md") + ".html"
	case path.Ext(base) == ".svg":
		return file
	}
	if info, err := fs.Stat(b.tree, name); err == nil && info.IsDir() {
		return file + "/index.html"
	}
	return file + ".html"
}

// add queues what is linked to, once, and returns its file of the site.
func (b *builder) add(name string) string {
	file := b.target(name)
	if _, ok := b.out[file]; !ok {
		b.out[file] = nil
		b.queue = append(b.queue, name)
		if text, err := fs.ReadFile(b.tree, name); err == nil && b.texts[name] == "" && path.Ext(name) != ".svg" {
			go code(name, string(text)) // most of the work, so that all cores share it
		}
	}
	return file
}

var scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:|^//`)

// link turns a page's link into the site's. It also returns the language of what
// it leads to, where that is another one.
func (b *builder) link(page, href string) (to, language string) {
	if scheme.MatchString(href) {
		return href, ""
	}
	file, anchor, _ := strings.Cut(href, "#")
	if anchor != "" {
		anchor = "#" + anchor
	}
	if file == "" {
		return anchor, ""
	}
	file = path.Join(path.Dir(page), file)
	info, err := fs.Stat(b.tree, file)
	if err != nil {
		b.fail("%s: link %s: %v", page, href, err)
		return href, ""
	}
	if readme := path.Join(file, "README.md"); info.IsDir() && b.texts[readme] != "" {
		file = readme
	}
	if s := b.sources[file]; s != nil && anchor == "" { // it stands on the section's page
		file, anchor = path.Join(s.Path(), languageOf(page).readme), "#"+path.Base(file)
	}
	if _, ok := b.texts[file]; ok && languageOf(file) != languageOf(page) {
		language = languageOf(file).Tag
	}
	if b.target(file) == b.target(page) && anchor != "" {
		return anchor, language
	}
	return pages.Relative(b.target(page), b.add(file)) + anchor, language
}

func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

// data is what the template gets.
type data struct {
	*words
	Links              Links
	Kind               string // start, chapter, section, page or source
	Path               string // of the page, in the tree
	File, Other        string // of the site: the page, and the same in the other language
	ID                 string // of the title
	Title, Description string
	Crumbs             []anchor
	Previous, Next     *anchor
	Step               *anchor // the next on the path from easy to hard
	Chapters           []chapter
	Pages              []anchor // that the first page links to, chapters and sections apart
	Body               template.HTML
}

// Root is the way to the site's top folder.
func (d *data) Root() string { return strings.Repeat("../", strings.Count(d.File, "/")) }

// Relative is how the page links to a file of the site.
func (d *data) Relative(file string) string { return pages.Relative(d.File, file) }

// Absolute is the same with the site's address in front, if that is known.
func (d *data) Absolute(file string) string {
	if d.Links.Site == "" {
		return d.Relative(file)
	}
	return strings.TrimSuffix(d.Links.Site, "/") + "/" + strings.TrimSuffix(file, "index.html")
}

// Start is the first page.
func (d *data) Start() string {
	return map[string]string{"en": "index.html", "zh-CN": "zh.html"}[d.Tag]
}

// Tab is the title with where the page is.
func (d *data) Tab() string {
	tab := d.Title
	for _, crumb := range slices.Backward(d.Crumbs) {
		tab += " · " + crumb.Text
	}
	return tab
}

// Parts are the two of a section's title: its name, and Node's names.
func (d *data) Parts() []string {
	name, names, _ := strings.Cut(strings.Replace(d.Title, "：", ": ", 1), ": ")
	return []string{name, names}
}

type anchor struct {
	To, Text string
	Language string // of what it leads to, where that is another one
}

type chapter struct {
	anchor
	Sections []section
}

type section struct {
	anchor
	Here bool
}

// page renders a page of the tree.
func (b *builder) page(name string) {
	w := languageOf(name)
	d := b.frame(name, w)
	doc := b.markdown(name, b.texts[name])
	d.ID, d.Title, d.Description = doc.id, doc.title, doc.description
	d.Body = template.HTML(doc.html)
	other := languageOf(name).other(name)
	if _, ok := b.texts[other]; ok {
		d.Other = b.add(other)
	}
	b.index[w.Tag] = append(b.index[w.Tag], doc.entries...)
	b.write(d)
}

// source renders a file that is no page, or lists a folder.
func (b *builder) source(name string) {
	d := b.frame(name, languageOf(name))
	d.Kind, d.Title = "source", name
	info, err := fs.Stat(b.tree, name)
	if err != nil {
		b.fail("%v", err)
		return
	}
	if info.IsDir() {
		d.Description = "What is in the folder " + name + "."
		d.Body = template.HTML(b.folder(name))
	} else {
		text, err := fs.ReadFile(b.tree, name)
		if err != nil {
			b.fail("%v", err)
			return
		}
		if path.Ext(name) == ".svg" {
			b.out[d.File] = text
			return
		}
		d.Description = "The file " + name + "."
		d.Body = template.HTML(b.file(name, string(text)))
	}
	b.write(d)
}

// frame is what stands around a page.
func (b *builder) frame(name string, w *words) *data {
	d := &data{words: w, Path: name, File: b.target(name), Kind: "page", Links: b.links}
	to := func(page string) string { return d.Relative(b.add(page)) }
	if name == w.readme {
		d.Kind = "start"
	} else {
		d.Crumbs = []anchor{{To: to(w.readme), Text: w.Site}}
	}
	var road []anchor // all chapters, each with its sections behind it
	at := -1
	type step struct {
		anchor
		level int
		here  bool
	}
	var steps []step
	for _, c := range b.chapters {
		entry := chapter{anchor: anchor{To: to(path.Join(c.Name, w.readme)), Text: c.Title(w.readme)}}
		if name == path.Join(c.Name, w.readme) {
			d.Kind, at = "chapter", len(road)
		}
		road = append(road, entry.anchor)
		for _, s := range c.Sections {
			page := path.Join(s.Path(), w.readme)
			stop := anchor{To: to(page), Text: s.Name}
			if name == page {
				d.Kind, at, d.Crumbs = "section", len(road), append(d.Crumbs, entry.anchor)
			}
			road = append(road, stop)
			steps = append(steps, step{anchor{To: stop.To, Text: c.Name + ":" + s.Name}, s.Level(), name == page})
			entry.Sections = append(entry.Sections, section{stop, name == page})
		}
		d.Chapters = append(d.Chapters, entry)
	}
	for _, page := range b.linked(w) {
		entry := anchor{To: to(page), Text: plain(title.FindStringSubmatch(b.texts[page])[1])}
		if l := languageOf(page); l != w {
			entry.Language = l.Tag
		}
		d.Pages = append(d.Pages, entry)
	}
	if at > 0 {
		d.Previous = &road[at-1]
	}
	if at >= 0 && at < len(road)-1 {
		d.Next = &road[at+1]
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.level - b.level })
	if i := slices.IndexFunc(steps, func(s step) bool { return s.here }); i >= 0 && i < len(steps)-1 {
		d.Step = &steps[i+1].anchor
	}
	return d
}

var (
	title    = regexp.MustCompile(`(?m)^# (.*)$`)
	pageLink = regexp.MustCompile(`\]\(([^)\s]+\.md)\)`)
)

// linked are the pages that the first page links to, chapters, sections and itself
// apart.
func (b *builder) linked(w *words) (found []string) {
	for _, m := range pageLink.FindAllStringSubmatch(b.texts[w.readme], -1) {
		page := path.Clean(m[1])
		known := slices.Contains(found, page) || page == w.other(w.readme) || !title.MatchString(b.texts[page])
		for _, c := range b.chapters {
			known = known || strings.HasPrefix(page, c.Name+"/")
		}
		if !known {
			found = append(found, page)
		}
	}
	return found
}

func (b *builder) write(d *data) {
	var page bytes.Buffer
	if err := b.template.Execute(&page, d); err != nil {
		b.fail("%s: %v", d.Path, err)
	}
	b.out[d.File] = page.Bytes()
}

// plain takes the code marks out of a title.
func plain(title string) string { return strings.ReplaceAll(title, "`", "") }

// words are a language's.
type words struct {
	Tag, Locale, OtherTag, OtherName, readme string

	Site, Skip, Contents, Place, Search, None, Elsewhere, Theme                       string
	Before, After, OnPage, Source, Edit, Copy, Copied, Whole, Lines, Terminal, Arrows string
	OnPath, Colon, Comma                                                              string // with the blank behind them
}

var languages = []*words{
	{
		Tag: "en", Locale: "en_US", OtherTag: "zh-CN", OtherName: "中文", readme: "README.md",
		Site: "Sockets", Skip: "Skip to the text", Contents: "Contents", Place: "Where you are",
		Search: "Search", None: "Nothing found.", Elsewhere: "Found in Chinese:", Theme: "Light or dark",
		Before: "Previous", After: "Next", OnPage: "On this page", Source: "Source", Edit: "Edit this page", Copy: "Copy", Copied: "Copied",
		Whole: "The whole program", Lines: "lines", Terminal: "Terminal",
		Arrows: "Time runs downwards. SYN opens the connection, and a FIN (dashed) ends one direction of it. Each direction numbers its own bytes (seq). ACKs that carry no data are left out, save the first.",
		OnPath: "Next on the path from easy to hard", Colon: ": ", Comma: ", ",
	},
	{
		Tag: "zh-CN", Locale: "zh_CN", OtherTag: "en", OtherName: "English", readme: "README.zh-CN.md",
		Site: "Sockets", Skip: "跳到正文", Contents: "目录", Place: "当前位置",
		Search: "搜索", None: "没有找到。", Elsewhere: "英文页面中有：", Theme: "浅色或深色",
		Before: "上一节", After: "下一节", OnPage: "本页内容", Source: "源代码", Edit: "编辑本页", Copy: "复制", Copied: "已复制",
		Whole: "完整程序", Lines: "行", Terminal: "终端",
		Arrows: "时间从上往下。SYN 建立连接，FIN（虚线）结束其中一个方向。两个方向的字节各自编号（seq）。不带数据的 ACK 除第一个外都没有画出。",
		OnPath: "由易到难的下一节", Colon: "：", Comma: "，",
	},
}

func languageOf(page string) *words {
	if strings.HasSuffix(page, ".zh-CN.md") {
		return languages[1]
	}
	return languages[0]
}

// other is the name of the page in the other language.
func (w *words) other(page string) string {
	if w.Tag == "en" {
		return strings.TrimSuffix(page, ".md") + ".zh-CN.md"
	}
	return strings.TrimSuffix(page, ".zh-CN.md") + ".md"
}
