package main

import (
	"bytes"
	"fmt"
	"html"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	markup "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html/atom"

	dom "golang.org/x/net/html"

	"example.com/sockets/integration/diagram"
	"example.com/sockets/tools/pages"
)

// document is a page in HTML.
type document struct {
	id, title, description string
	html                   string
	entries                []entry
}

var converter = goldmark.New(
	goldmark.WithExtensions(extension.GFM),
	goldmark.WithRendererOptions(markup.WithUnsafe()), // <details>
)

// markdown renders a page's text.
func (b *builder) markdown(name, text string) document {
	var raw bytes.Buffer
	if err := converter.Convert([]byte(text), &raw); err != nil {
		b.fail("%s: %v", name, err)
	}
	body := element(atom.Div, "", "")
	nodes, err := dom.ParseFragment(&raw, element(atom.Body, "", ""))
	if err != nil {
		b.fail("%s: %v", name, err)
	}
	for _, n := range nodes {
		body.AppendChild(n)
	}
	p := &rendering{builder: b, name: name, words: languageOf(name), body: body}
	return p.render()
}

// rendering is a page on its way from Markdown's HTML to the site's.
type rendering struct {
	*builder
	*words
	name string
	body *dom.Node
}

func (p *rendering) render() (d document) {
	p.names()
	p.joinLines()
	p.includes()
	for _, n := range p.all(atom.A) {
		if href := get(n, "href"); href != "" {
			to, language := p.link(p.name, href)
			set(n, "href", to)
			if language != "" {
				set(n, "hreflang", language)
			}
		}
	}
	for _, n := range p.all(atom.Img) {
		to, _ := p.link(p.name, get(n, "src"))
		set(n, "src", to)
		set(n, "loading", "lazy")
	}
	for _, n := range p.all(atom.Code) {
		p.proof(n)
		if text := html.EscapeString(textOf(n)); n.Parent.DataAtom != atom.Pre && dashed.MatchString(text) {
			n.RemoveChild(n.FirstChild)
			for _, part := range parse(unbroken(text)) {
				n.AppendChild(part)
			}
		}
	}
	for _, n := range p.all(atom.Table) {
		p.table(n)
	}
	if h := p.all(atom.H1); len(h) > 0 {
		d.id, d.title = get(h[0], "id"), textOf(h[0])
		h[0].Parent.RemoveChild(h[0])
	}
	for _, n := range p.all(atom.P) {
		if n.Parent == p.body {
			before := n.PrevSibling
			for before != nil && before.Type == dom.TextNode {
				before = before.PrevSibling
			}
			if before == nil {
				p.lead(n)
			}
			d.description = strings.Join(strings.Fields(textOf(n)), " ")
			break
		}
	}
	found := d.title
	for _, c := range p.chapters {
		if s := p.sectionOf(p.name); s != nil && s.Chapter == c.Name {
			found = c.Title(p.readme) + " / " + found // there is more than one client
		}
	}
	d.entries = p.entries(found)
	d.html = p.layout(d.title, p.split())
	return d
}

// lead sets a paragraph's first sentence apart.
func (p *rendering) lead(first *dom.Node) {
	set(first, "class", "lead")
	for n := range first.ChildNodes() {
		if n.Type != dom.TextNode {
			continue
		}
		at := strings.Index(n.Data, "。")
		if at >= 0 {
			at += len("。")
		} else if m := sentenceEnd.FindStringIndex(n.Data); m != nil {
			at = m[0] + 1
		}
		if at < 0 || strings.TrimSpace(n.Data[at:]) == "" && n.NextSibling == nil {
			continue
		}
		rest := element(atom.P, "", "")
		first.Parent.InsertBefore(rest, first.NextSibling)
		rest.AppendChild(&dom.Node{Type: dom.TextNode, Data: strings.TrimLeft(n.Data[at:], " \n")})
		n.Data = n.Data[:at]
		for n.NextSibling != nil {
			next := n.NextSibling
			first.RemoveChild(next)
			rest.AppendChild(next)
		}
		return
	}
}

var sentenceEnd = regexp.MustCompile(`\.\s`)

func (p *rendering) all(tag atom.Atom) (found []*dom.Node) {
	for n := range p.body.Descendants() {
		if n.DataAtom == tag {
			found = append(found, n)
		}
	}
	return found
}

// names gives the headings the names that they have elsewhere.
func (p *rendering) names() {
	seen := map[string]int{}
	for n := range p.body.Descendants() {
		switch n.DataAtom {
		case atom.H1, atom.H2, atom.H3, atom.H4:
			slug := pages.Anchor(textOf(n))
			if seen[slug]++; seen[slug] > 1 {
				slug = fmt.Sprintf("%s-%d", slug, seen[slug]-1)
			}
			set(n, "id", slug)
		}
	}
}

// joinLines takes line breaks away where there is no blank between words either:
// between two Chinese characters.
func (p *rendering) joinLines() {
	var texts []*dom.Node
	for n := range p.body.Descendants() {
		if n.Type == dom.TextNode {
			texts = append(texts, n)
		}
	}
	for i, n := range texts {
		before, _ := utf8.DecodeLastRuneInString(texts[max(0, i-1)].Data)
		after, _ := utf8.DecodeRuneInString(texts[min(i+1, len(texts)-1)].Data)
		lines := strings.Split(n.Data, "\n")
		for j, line := range lines[1:] {
			if lines[j] != "" {
				before, _ = utf8.DecodeLastRuneInString(lines[j])
			}
			next, _ := utf8.DecodeRuneInString(line)
			if line == "" {
				next = after
			}
			if !pages.Chinese(before) || !pages.Chinese(next) {
				lines[j+1] = "\n" + line
			}
		}
		n.Data = strings.Join(lines, "")
	}
}

// includes replaces blocks of code, and what weave wrote only for other readers.
func (p *rendering) includes() {
	what := ""
	for _, n := range slices.Collect(p.body.ChildNodes()) {
		if n.Type == dom.CommentNode {
			text := strings.TrimSpace(n.Data)
			if text == "end" {
				what = ""
			} else if rest, ok := strings.CutPrefix(text, "weave: "); ok {
				what = rest
			}
			p.body.RemoveChild(n)
			continue
		}
		if what == "nav" || p.isLanguageLink(n) {
			p.body.RemoveChild(n)
		} else if n.DataAtom == atom.Table && what == "chapters" {
			for _, cards := range parse(p.cards()) {
				p.body.InsertBefore(cards, n)
			}
			p.body.RemoveChild(n)
		} else if n.DataAtom == atom.Pre {
			p.block(n, what)
		}
	}
	for _, n := range p.all(atom.Pre) { // in lists and the like
		if n.FirstChild != nil && n.FirstChild.DataAtom == atom.Code && get(n.Parent, "class") == "" {
			p.block(n, "")
		}
	}
	var comments []*dom.Node
	for n := range p.body.Descendants() {
		if n.Type == dom.CommentNode {
			comments = append(comments, n)
		}
	}
	for _, n := range comments {
		n.Parent.RemoveChild(n)
	}
}

// cards are all chapters with their sections, and what these are in Node.
func (p *rendering) cards() string {
	var b strings.Builder
	b.WriteString(`<div class="cards">`)
	for _, c := range p.chapters {
		fmt.Fprintf(&b, `<div><h3><a href="%s">%s</a></h3><dl>`, path.Join(c.Name, p.readme), html.EscapeString(c.Title(p.readme)))
		for _, s := range c.Sections {
			fmt.Fprintf(&b, `<div><dt><a href="%s">%s</a></dt><dd>%s</dd></div>`, path.Join(s.Path(), p.readme), breakable(s.Name), breakable(plain(s.Names(p.readme))))
		}
		b.WriteString(`</dl></div>`)
	}
	b.WriteString(`</div>`)
	return b.String()
}

var (
	longName = regexp.MustCompile(`（?[A-Za-z_.]{17,}[,、）]?`)
	nameEnd  = regexp.MustCompile(`[_.]|[a-z][A-Z]`)
	dashed   = regexp.MustCompile(`(^|\s)(-[-\w]*(?:=[^\s<]{0,20})?)`)
)

// breakable lets a line end between a long name's parts, if the name alone is too long.
func breakable(names string) string {
	names = longName.ReplaceAllStringFunc(html.EscapeString(names), func(name string) string {
		return "<span>" + nameEnd.ReplaceAllStringFunc(name, func(end string) string { return end[:1] + "<wbr>" + end[1:] }) + "</span>"
	})
	return strings.ReplaceAll(names, "、", "、<wbr>")
}

// unbroken keeps a command's flags in one piece: a browser would end a line after the dash.
func unbroken(command string) string {
	return dashed.ReplaceAllString(command, `$1<span class="flag">$2</span>`)
}

// isLanguageLink tells a paragraph that begins with a link to the same page in the
// other language: the site has its own.
func (p *rendering) isLanguageLink(n *dom.Node) bool {
	return n.DataAtom == atom.P && n.FirstChild != nil && get(n.FirstChild, "href") == path.Base(p.other(p.name))
}

// block replaces a block of code.
func (p *rendering) block(pre *dom.Node, what string) {
	text, language := textOf(pre), ""
	if pre.FirstChild != nil {
		language = strings.TrimPrefix(get(pre.FirstChild, "class"), "language-")
	}
	file, _, _ := strings.Cut(what, "#")
	if file != "" && !strings.Contains(file, "/") {
		file = path.Join(path.Dir(p.name), file)
	}
	var replacement string
	switch language {
	case "go", "js":
		replacement = p.excerpt(file, language, text)
	case "console":
		replacement = p.terminals(text)
	case "mermaid":
		replacement = p.diagram(p.name, text, p.Tag)
	default:
		replacement = p.plainBlock(language, text)
	}
	for _, n := range parse(replacement) {
		pre.Parent.InsertBefore(n, pre)
	}
	pre.Parent.RemoveChild(pre)
}

func (p *rendering) copyButton() string {
	return fmt.Sprintf(`<button type="button" class="copy" hidden>%s</button>`, p.Copy)
}

// excerpt is a part of a program.
func (p *rendering) excerpt(file, language, text string) string {
	name := map[string]string{"go": "Go", "js": "Node"}[language]
	rows, err := code("x."+language, text)
	if err != nil {
		p.fail("%s: %v", p.name, err)
	}
	source := ""
	if file != "" {
		source = fmt.Sprintf(`<a href="%s">%s</a>`, pages.Relative(p.name, file), path.Base(file))
	}
	return fmt.Sprintf(`<figure class="code %s"><figcaption><b>%s</b>%s%s</figcaption><pre><code>%s</code></pre></figure>`,
		language, name, source, p.copyButton(), rows)
}

// terminals is a transcript: a terminal beside another; or what a program draws.
func (p *rendering) terminals(text string) string {
	if !strings.HasPrefix(text, "$ ") {
		return fmt.Sprintf(`<figure class="terminal"><pre class="drawn" tabindex="0"><samp>%s</samp></pre></figure>`, html.EscapeString(strings.TrimSpace(text)))
	}
	var b strings.Builder
	b.WriteString(`<div class="terminals">`)
	for i, part := range strings.Split("\n"+strings.TrimSpace(text), "\n$ ")[1:] {
		command, output, _ := strings.Cut(part, "\n")
		fmt.Fprintf(&b, `<figure class="terminal"><figcaption>%s %d%s</figcaption><pre><span class="prompt">$ </span><code>%s</code>`+"\n"+`<samp>%s</samp></pre></figure>`,
			p.Terminal, i+1, p.copyButton(), unbroken(html.EscapeString(command)), html.EscapeString(strings.TrimSpace(output)))
	}
	b.WriteString(`</div>`)
	return b.String()
}

// diagram is a picture of what crossed the wire.
func (b *builder) diagram(name, text, lang string) string {
	d, err := diagram.Parse(text)
	if err != nil {
		b.fail("%s: %v", name, err)
	}
	return fmt.Sprintf(`<figure class="diagram">%s</figure>`, d.SVG(lang))
}

// plainBlock is what is to be typed, or a file that is neither Go nor JavaScript.
func (p *rendering) plainBlock(language, text string) string {
	file := map[string]string{"sh": "x.sh"}[language]
	lines, err := colour(file, text)
	if err != nil || file == "" {
		lines = strings.Split(html.EscapeString(strings.TrimSuffix(text, "\n")), "\n")
	}
	return fmt.Sprintf(`<figure class="code typed">%s<pre><code>%s</code></pre></figure>`,
		p.copyButton(), unbroken(strings.Join(lines, "\n"))+"\n")
}

var testName = regexp.MustCompile(`^(?:Test|Fuzz)[A-Z]\w*$`)

// proof makes a link of a test's name, to where it is written.
func (p *rendering) proof(n *dom.Node) {
	name := textOf(n)
	if !testName.MatchString(name) || n.Parent.DataAtom == atom.A {
		return
	}
	files := p.tests[name]
	chapter, _, _ := strings.Cut(p.name, "/")
	at := slices.IndexFunc(files, func(file string) bool { return strings.HasPrefix(file, "integration/"+chapter+"/") })
	if at < 0 {
		at = slices.IndexFunc(files, func(file string) bool { return strings.HasPrefix(file, "integration/all/") })
	}
	if at < 0 {
		return // the inventory complains
	}
	wrap(n, pages.Relative(p.target(p.name), p.add(files[at]))+"#"+name)
}

// tabular are the elements that hold a table's rows, and cells: nothing is written there.
var tabular = []atom.Atom{atom.Table, atom.Thead, atom.Tbody, atom.Tr}

// table names the columns, for a phone, and on the first page leads from Node's names
// to the sections. A row has the anchor that its first cell begins with.
func (p *rendering) table(n *dom.Node) {
	for _, e := range slices.Collect(n.Descendants()) {
		switch {
		case e.Type == dom.TextNode && slices.Contains(tabular, e.Parent.DataAtom): // a line's end
			e.Parent.RemoveChild(e)
		case e.DataAtom == atom.A && e.FirstChild == nil && e.PrevSibling == nil && e.Parent.DataAtom == atom.Td:
			set(e.Parent.Parent, "id", get(e, "id"))
			e.Parent.RemoveChild(e)
		}
	}
	var heads []string
	for h := range n.Descendants() {
		if h.DataAtom == atom.Th {
			heads = append(heads, textOf(h))
			set(h, "scope", "col")
		}
	}
	if len(heads) == 0 {
		return
	} else if head := n.FirstChild; strings.Join(heads, "") == "" {
		n.RemoveChild(head)
		return
	}
	style := "" // on a phone the heads are not above the cells, but before each of them
	for i, head := range heads[1:] {
		if head != "" {
			style += fmt.Sprintf("--h%d: %q; ", i+2, head)
		}
	}
	if style != "" {
		set(n, "style", strings.TrimSpace(style))
	}
	if heads[0] != "Node" || p.name != p.readme {
		return
	}
	for row := range n.Descendants() {
		if row.DataAtom == atom.Tr {
			for cell := range row.ChildNodes() {
				if cell.DataAtom == atom.Td {
					p.nodeNames(cell)
					break
				}
			}
		}
	}
}

// nodeNames links each name of Node's API to the section that has it in its title.
func (p *rendering) nodeNames(cell *dom.Node) {
	for _, n := range slices.Collect(cell.ChildNodes()) {
		if n.DataAtom != atom.Code {
			continue
		}
		for _, word := range slices.Backward(apiWord.FindAllString(textOf(n), -1)) {
			if s := p.nodeAPI[word]; s != nil {
				wrap(n, pages.Relative(p.target(p.name), p.add(path.Join(s.Path(), p.readme))))
				break
			}
		}
	}
}

// part is what stands under a heading of the second level, and what stands above
// the first of them.
type part struct {
	heading *dom.Node
	nodes   []*dom.Node
}

func (p *rendering) split() (parts []part) {
	parts = []part{{}}
	for _, n := range slices.Collect(p.body.ChildNodes()) {
		p.body.RemoveChild(n)
		if n.Type == dom.TextNode && strings.TrimSpace(n.Data) == "" {
			continue
		}
		if n.DataAtom == atom.H2 {
			parts = append(parts, part{heading: n})
			continue
		}
		last := &parts[len(parts)-1]
		last.nodes = append(last.nodes, n)
	}
	return parts
}

// layout puts a page together.
func (p *rendering) layout(title string, parts []part) string {
	var b strings.Builder
	section := p.sectionOf(p.name)
	for i, part := range parts {
		tag, class := "section", ""
		if i > 0 {
			part.nodes = slices.Insert(part.nodes, 0, part.heading)
		} else {
			tag, class = "div", ` class="intro"`
			onPage := parse(p.onPage(parts[1:]))
			if p.name == p.readme {
				part.nodes = p.hero(title, part.nodes, onPage)
			} else {
				part.nodes = append(part.nodes, onPage...)
			}
		}
		fmt.Fprintf(&b, "<%s%s>%s", tag, class, p.compare(part.nodes))
		if section != nil && i == 1 {
			b.WriteString(p.whole(section))
		}
		fmt.Fprintf(&b, "</%s>\n", tag)
	}
	return b.String()
}

// onPage are links to a page's headings.
func (p *rendering) onPage(parts []part) string {
	if len(parts) < 3 || len(parts) > 9 {
		return "" // short; or so long that it has a table of its own
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<nav class="on-page" aria-label="%s"><ul>`, p.OnPage)
	for _, part := range parts {
		fmt.Fprintf(&b, `<li><a href="#%s">%s</a></li>`, get(part.heading, "id"), html.EscapeString(textOf(part.heading)))
	}
	b.WriteString(`</ul></nav>`)
	return b.String()
}

// heroSection is the section whose diagram is the first thing to be seen.
const heroSection = "tcp_server/half_open"

// hero puts what the first page says first, and its first commands, beside a diagram.
func (p *rendering) hero(title string, nodes, onPage []*dom.Node) []*dom.Node {
	commands := slices.IndexFunc(nodes, func(n *dom.Node) bool { return n.DataAtom == atom.Figure })
	if commands < 1 {
		p.fail("%s: it begins with a paragraph, and commands follow", p.name)
		return nodes
	}
	chapter, name, _ := strings.Cut(heroSection, "/")
	mmd, err := fs.ReadFile(p.tree, "integration/"+chapter+"/testdata/"+name+".mmd")
	if err != nil {
		p.fail("%v", err)
	}
	picture := parse(p.diagram(p.name, string(mmd), p.Tag))[0]
	s := p.sectionOf(heroSection + "/" + p.readme)
	for _, n := range parse(fmt.Sprintf(`<figcaption><a href="%s">%s</a>%s%s<small>%s</small></figcaption>`,
		pages.Relative(p.target(p.name), p.add(path.Join(s.Path(), p.readme))), s.Name, p.Colon, html.EscapeString(plain(s.Summary(p.readme))), p.Arrows)) {
		picture.AppendChild(n)
	}
	text := element(atom.Div, "", "")
	var clone []*dom.Node
	if from := p.links.Source; from != "" {
		clone = parse(p.plainBlock("sh", fmt.Sprintf("git clone %s\ncd %s\n", from, path.Base(from))))
	}
	for _, n := range slices.Concat(parse("<h1>"+html.EscapeString(title)+"</h1>"), nodes[:1], clone, nodes[commands:commands+1], onPage) {
		text.AppendChild(n)
	}
	hero := element(atom.Div, "class", "hero")
	hero.AppendChild(text)
	hero.AppendChild(picture)
	return slices.Concat([]*dom.Node{hero}, nodes[1:commands], nodes[commands+1:])
}

func (p *rendering) sectionOf(page string) *pages.Section {
	for _, c := range p.chapters {
		for _, s := range c.Sections {
			if path.Dir(page) == s.Path() {
				return &s
			}
		}
	}
	return nil
}

// compare renders nodes, with programs in Node and in Go beside each other. What is
// said between the two stands above them.
func (p *rendering) compare(nodes []*dom.Node) string {
	var b strings.Builder
	for len(nodes) > 0 {
		language := programIn(nodes[0])
		other := map[string]string{"js": "go", "go": "js"}[language]
		first := leading(nodes, language)
		said := first + leading(nodes[first:], "")
		second := said + leading(nodes[said:], other)
		if language == "" || second == said {
			b.WriteString(render(nodes[:first]...))
			nodes = nodes[first:]
			continue
		}
		for second > said+1 && length(nodes[said:second]) > 2*length(nodes[:first]) {
			second-- // or the column beside it would be mostly empty
		}
		node, golang := nodes[:first], nodes[said:second]
		if language == "go" {
			node, golang = golang, node
		}
		fmt.Fprintf(&b, `%s<div class="compare"><div>%s</div><div>%s</div></div>`, render(nodes[first:said]...), render(node...), render(golang...))
		nodes = nodes[second:]
	}
	return b.String()
}

// leading is how many nodes there are before one that is not in that language.
func leading(nodes []*dom.Node, language string) int {
	if n := slices.IndexFunc(nodes, func(n *dom.Node) bool { return programIn(n) != language }); n >= 0 {
		return n
	}
	return len(nodes)
}

// length is of programs, in lines.
func length(programs []*dom.Node) (lines int) {
	for _, n := range programs {
		lines += strings.Count(textOf(n), "\n")
	}
	return lines
}

// programIn is the language of a program's figure, or "".
func programIn(n *dom.Node) string {
	language, _ := strings.CutPrefix(get(n, "class"), "code ")
	if n.DataAtom != atom.Figure || language != "go" && language != "js" {
		return ""
	}
	return language
}

// whole is the section's programs, folded.
func (p *rendering) whole(s *pages.Section) string {
	var b strings.Builder
	b.WriteString(`<div class="wholes">`)
	for _, name := range s.Sources(p.tree) {
		source, err := fs.ReadFile(p.tree, name)
		if err != nil {
			p.fail("%v", err)
		}
		rows, err := code(name, string(source))
		if err != nil {
			p.fail("%s: %v", name, err)
		}
		fmt.Fprintf(&b, `<details><summary>%s<code>%s</code>%s%d %s</summary><figure class="code" id="%[2]s"><figcaption><b>%[2]s</b>%[6]s</figcaption><pre><code>%[7]s</code></pre></figure></details>`,
			p.Whole+p.Colon, path.Base(name), p.Comma, bytes.Count(source, []byte("\n")), p.Lines, p.copyButton(), rows)
	}
	b.WriteString(`</div>`)
	return b.String()
}

// entries are the page's for the search: one for each heading.
func (p *rendering) entries(title string) []entry {
	file := p.target(p.name)
	all := []entry{{To: file, Title: title}}
	var text strings.Builder
	flush := func() {
		all[len(all)-1].Text = strings.Join(strings.Fields(text.String()), " ")
		text.Reset()
	}
	for n := range p.body.ChildNodes() {
		if n.DataAtom == atom.H2 || n.DataAtom == atom.H3 {
			flush()
			all = append(all, entry{file + "#" + get(n, "id"), title, textOf(n), ""})
			continue
		}
		text.WriteString(searched(n))
	}
	flush()
	return all
}

// inLine are the elements that a text runs through.
var inLine = []atom.Atom{atom.A, atom.B, atom.Code, atom.Em, atom.I, atom.Span, atom.Strong}

// searched is the text that the search looks at.
func searched(n *dom.Node) string {
	if n.Type == dom.TextNode {
		return n.Data
	}
	var b strings.Builder
	if n.DataAtom == atom.Figcaption || n.DataAtom == atom.Button || n.DataAtom == atom.Style {
		return ""
	}
	for child := range n.ChildNodes() {
		b.WriteString(searched(child))
	}
	if !slices.Contains(inLine, n.DataAtom) {
		b.WriteByte(' ')
	}
	return b.String()
}

// Of the HTML.

func element(tag atom.Atom, key, value string) *dom.Node {
	n := &dom.Node{Type: dom.ElementNode, DataAtom: tag, Data: tag.String()}
	if key != "" {
		set(n, key, value)
	}
	return n
}

func get(n *dom.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func set(n *dom.Node, key, value string) {
	for i := range n.Attr {
		if n.Attr[i].Key == key {
			n.Attr[i].Val = value
			return
		}
	}
	n.Attr = append(n.Attr, dom.Attribute{Key: key, Val: value})
}

// wrap puts a link around a node.
func wrap(n *dom.Node, to string) {
	a := element(atom.A, "href", to)
	n.Parent.InsertBefore(a, n)
	n.Parent.RemoveChild(n)
	a.AppendChild(n)
}

func textOf(n *dom.Node) string {
	if n.Type == dom.TextNode {
		return n.Data
	}
	var b strings.Builder
	for child := range n.Descendants() {
		if child.Type == dom.TextNode {
			b.WriteString(child.Data)
		}
	}
	return b.String()
}

func parse(text string) []*dom.Node {
	nodes, err := dom.ParseFragment(strings.NewReader(text), element(atom.Body, "", ""))
	if err != nil {
		panic(err) // a string can be read
	}
	return nodes
}

func render(nodes ...*dom.Node) string {
	var b bytes.Buffer
	for _, n := range nodes {
		if err := dom.Render(&b, n); err != nil {
			panic(err) // a buffer takes everything
		}
	}
	return b.String()
}

// file is a source in HTML; its tests have names to link to.
func (b *builder) file(name, source string) string {
	rows, err := code(name, source)
	if err != nil {
		b.fail("%s: %v", name, err)
	}
	for _, test := range pages.Tests(source) {
		at := `<span class="k">func</span> ` + test + `(`
		rows = strings.Replace(rows, at, `<span class="k">func</span> <a id="`+test+`"></a>`+test+`(`, 1)
	}
	figure := fmt.Sprintf(`<figure class="code"><figcaption><b>%s</b></figcaption><pre><code>%s</code></pre></figure>`, html.EscapeString(path.Base(name)), rows)
	if path.Ext(name) == ".mmd" {
		figure = render(parse(b.diagram(name, source, "en"))...) + figure
	}
	return figure
}

// folder lists a folder's files.
func (b *builder) folder(name string) string {
	entries, err := fs.ReadDir(b.tree, name)
	if err != nil {
		b.fail("%v", err)
	}
	var out strings.Builder
	out.WriteString("<ul>")
	for _, e := range entries {
		if e.IsDir() || e.Name() == "BUILD.bazel" {
			continue
		}
		file := path.Join(name, e.Name())
		to := pages.Relative(b.target(name), b.add(file))
		fmt.Fprintf(&out, `<li><a href="%s">%s</a></li>`, to, html.EscapeString(e.Name()))
	}
	out.WriteString("</ul>")
	return out.String()
}
