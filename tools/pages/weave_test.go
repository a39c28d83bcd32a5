package pages

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"
)

func treeOf(pairs ...string) fstest.MapFS {
	tree := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		tree[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return tree
}

// The comments of an include stay, what is between them is made; what is not well
// formed, or of nothing, is an error.
func TestWeave(t *testing.T) {
	tree := treeOf(
		"a/main.go", "package main\n",
		"b.txt", "$ run\n",
		"c.txt", "```\n",
		"d.bin", "x",
		"e.mmd", "graph\n",
	)
	const fresh = "# T\n\n<!-- weave: a/main.go -->\n```go\npackage main\n```\n<!-- end -->\n\n<!-- weave: b.txt -->\n```console\n$ run\n```\n<!-- end -->\ntail\n"
	for _, c := range []struct{ name, page, text, want, err string }{
		{name: "empty includes are filled", text: "# T\n\n<!-- weave: a/main.go -->\n<!-- end -->\n\n<!-- weave: b.txt -->\n<!-- end -->\ntail\n", want: fresh},
		{name: "a fresh page stays", text: fresh, want: fresh},
		{name: "a stale include is replaced", text: "<!-- weave: b.txt -->\n```console\n$ old\n```\n<!-- end -->\n", want: "<!-- weave: b.txt -->\n```console\n$ run\n```\n<!-- end -->\n"},
		{name: "no slash: the page's folder", page: "a/README.md", text: "<!-- weave: main.go -->\n<!-- end -->", want: "<!-- weave: main.go -->\n```go\npackage main\n```\n<!-- end -->"},
		{name: "a diagram", text: "<!-- weave: e.mmd -->\n<!-- end -->", want: "<!-- weave: e.mmd -->\n```mermaid\ngraph\n```\n<!-- end -->"},
		{name: "an example in a fence is none", text: "```html\n<!-- weave: z -->\n<!-- end -->\n```\n", want: "```html\n<!-- weave: z -->\n<!-- end -->\n```\n"},
		{name: "an example in a code span is none", text: "see `<!-- weave: z -->`\n", want: "see `<!-- weave: z -->`\n"},
		{name: "a fence that was left open", text: "<!-- weave: b.txt -->\n```console\n<!-- end -->\n<!-- weave: e.mmd -->\n<!-- end -->", want: "<!-- weave: b.txt -->\n```console\n$ run\n```\n<!-- end -->\n<!-- weave: e.mmd -->\n```mermaid\ngraph\n```\n<!-- end -->"},
		{name: "no such file", text: "<!-- weave: z.txt -->\n<!-- end -->\n", err: "include of z.txt: there is no such file: a path begins at the project's top folder, or, with no slash in it, in the page's own"},
		{name: "no such transcript", text: "<!-- weave: integration/a/testdata/z.txt -->\n<!-- end -->\n", err: "include of integration/a/testdata/z.txt: there is no such file: go test ./integration/a -update writes it"},
		{name: "no end", text: "\n<!-- weave: b.txt -->\n", err: "line 2: no <!-- end --> after <!-- weave: b.txt -->"},
		{name: "no begin", text: "<!-- end -->\n", err: "line 1: <!-- end --> without a <!-- weave: … --> above"},
		{name: "not on a line of its own", text: "see <!-- weave: b.txt -->\n<!-- end -->\n", err: "line 1: an include wants lines of its own, as in <!-- weave: PATH -->, <!-- end -->"},
		{name: "two begins", text: "<!-- weave: b.txt -->\n<!-- weave: b.txt -->\n<!-- end -->\n", err: "line 2: an include within an include: is <!-- end --> missing above?"},
		{name: "a fence inside", text: "<!-- weave: c.txt -->\n<!-- end -->\n", err: "include of c.txt: it holds a fence"},
		{name: "unknown language", text: "<!-- weave: d.bin -->\n<!-- end -->\n", err: "include of d.bin: no language for that ending"},
		{name: "an excerpt of text", text: "<!-- weave: b.txt#x -->\n<!-- end -->\n", err: "include of b.txt#x: excerpts are of .go and .js files"},
		{name: "an excerpt of nothing", text: "<!-- weave: a/main.go#x -->\n<!-- end -->\n", err: "include of a/main.go#x: there is no top-level declaration and no region //weave:x"},
		{name: "an excerpt without a name", text: "<!-- weave: a/main.go# -->\n<!-- end -->\n", err: "include of a/main.go#: no name follows the #"},
		{name: "nav elsewhere", text: "<!-- weave: nav -->\n<!-- end -->\n", err: "include of nav: only README.md and README.zh-CN.md of a chapter or section have it; a chapter's README.md begins with <!-- place: N -->"},
		{name: "sections elsewhere", text: "<!-- weave: sections -->\n<!-- end -->\n", err: "include of sections: only README.md and README.zh-CN.md of a chapter have it; its README.md begins with <!-- place: N -->"},
		{name: "path elsewhere", page: "a/README.md", text: "<!-- weave: path -->\n<!-- end -->\n", err: "include of path: only README.md and README.zh-CN.md at the top have it"},
		{name: "chapters elsewhere", page: "a/README.md", text: "<!-- weave: chapters -->\n<!-- end -->\n", err: "include of chapters: only README.md and README.zh-CN.md at the top have it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.page == "" {
				c.page = "README.md"
			}
			got, err := newWeaver(tree).weave(c.page, c.text)
			if c.err != "" {
				assert.Error(t, err, c.err)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, got, c.want)
		})
	}
}

const goSource = `// Package comment.
package main

// limit is how much.
const limit = 1

var (
	a = 1
	b = 2
)

//weave:types
type T struct{}

//weave:end

// M is a method.
func (t *T) M() {}

func (g G[K]) M() { // more
}

//weave:pair
func one() {}

func two() {
	//weave:body
	if true {
		two()
	}
	//weave:end
}
`

const jsSource = `// Header.

'use strict'
const net = require('node:net')

// Where to listen,
// in words.
const { addr } = parse({
  a: 1
}).values

// limit is how much.
const limit = 1
const chain = a
  .b()
  .c()

/* serve
 * answers. */
async function serve (socket) {
  //weave:body
  socket.on('data', () => {

    one()
  })
  //weave:end
}

const both = f({
  a: 1
}, () => { // then
  two()
})
class Peer {
  x () {}
}
let $ = 1
`

// An excerpt is a declaration with its comment, or a region; markers are left out.
func TestExcerpt(t *testing.T) {
	goFine := strings.Replace(goSource, "//weave:pair\n", "", 1)
	for _, c := range []struct{ file, source, name, want string }{
		{"x.go", goFine, "limit", "// limit is how much.\nconst limit = 1"},
		{"x.go", goFine, "b", "var (\n\ta = 1\n\tb = 2\n)"},
		{"x.go", goFine, "T", "type T struct{}"},
		{"x.go", goFine, "types", "type T struct{}"},
		{"x.go", goFine, "T.M", "// M is a method.\nfunc (t *T) M() {}"},
		{"x.go", goFine, "G.M", "func (g G[K]) M() { // more\n}"},
		{"x.go", goFine, "two", "func two() {\n\tif true {\n\t\ttwo()\n\t}\n}"},
		{"x.go", goFine, "body", "if true {\n\ttwo()\n}"},
		{"x.go", "package a\n\n//weave:x\nvar a = 1\n\n//weave:end\n\nvar b = 2\n", "", "package a\n\nvar a = 1\n\nvar b = 2"},
		{"x.js", "//weave:f\n// f is.\nconst f = 1\n//weave:end\n", "f", "// f is.\nconst f = 1"},
		{"x.js", jsSource, "limit", "// limit is how much.\nconst limit = 1"},
		{"x.js", jsSource, "net", "const net = require('node:net')"},
		{"x.js", jsSource, "chain", "const chain = a\n  .b()\n  .c()"},
		{"x.js", jsSource, "serve", "/* serve\n * answers. */\nasync function serve (socket) {\n  socket.on('data', () => {\n\n    one()\n  })\n}"},
		{"x.js", jsSource, "body", "socket.on('data', () => {\n\n  one()\n})"},
		{"x.js", jsSource, "both", "const both = f({\n  a: 1\n}, () => { // then\n  two()\n})"},
		{"x.js", jsSource, "Peer", "class Peer {\n  x () {}\n}"},
		{"x.js", jsSource, "$", "let $ = 1"},
	} {
		t.Run(c.file+"#"+c.name, func(t *testing.T) {
			got, err := excerpt(c.file, c.source, c.name)
			assert.NilError(t, err)
			assert.Equal(t, got, c.want)
		})
	}
	for _, c := range []struct{ name, file, source, of, err string }{
		{"nothing", "x.go", goFine, "three", "there is no top-level declaration and no region //weave:three"},
		{"a method is not a function", "x.go", goFine, "M", "there is no top-level declaration and no region //weave:M"},
		{"part of a name", "x.js", jsSource, "lim", "there is no top-level declaration and no region //weave:lim"},
		{"not at the top", "x.js", "{\n  const x = 1\n}\n", "x", "there is no top-level declaration and no region //weave:x"},
		{"both", "x.go", "package a\n\n//weave:f\n\nfunc f() {}\n\nvar x int\n\n//weave:end\n", "f", "f stands for two things, on lines 3 and 5: rename the region"},
		{"twice", "x.js", "//weave:a\nx()\n//weave:end\n//weave:a\n//weave:end\n", "a", "a stands for two things, on lines 1 and 4: rename the region"},
		{"within another", "x.go", goSource, "", "line 27: region body begins within region pair"},
		{"no end", "x.js", "//weave:a\n", "a", "line 1: region a has no //weave:end"},
		{"no begin", "x.js", "//weave:end\n", "a", "line 1: //weave:end without a region"},
		{"as gofmt leaves a wrong one", "x.go", "package a\n// weave:A\n", "A", "line 2: a marker is //weave:name or //weave:end, with a small first letter, alone on its line"},
		{"not Go", "x.go", "package", "a", "x.go:1:8: expected 'IDENT', found 'EOF'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := excerpt(c.file, c.source, c.of)
			assert.Error(t, err, c.err)
		})
	}
}

// book is a tree of two chapters.
func book() fstest.MapFS {
	return treeOf(
		"README.md", "# Sockets\n\n<!-- weave: chapters -->\n<!-- end -->\n",
		"README.zh-CN.md", "# 套接字\n\n<!-- weave: chapters -->\n<!-- end -->\n",
		"tools/README.md", "# Tools\n\n```html\n<!-- place: 60 -->\n```\n",
		"tools/weave/main.go", "",
		"tcp/README.md", "<!-- place: 10 -->\n# TCP server\n\n<!-- weave: nav -->\n<!-- end -->\n\n<!-- weave: sections -->\n<!-- end -->\n",
		"tcp/README.zh-CN.md", "# TCP 服务器\n",
		"tcp/close/main.go", "",
		"tcp/close/README.md", "<!-- place: 20, level: 2 -->\n# close: `end`, a|b\n<!-- weave: nav -->\n<!-- end -->\n<!-- anchor: one -->\n<!-- anchor: two -->\n\nIt ends, see\n[`a. b`](x.md) and `c. d`. Then more.\n\nMore.\n",
		"tcp/close/README.zh-CN.md", "# close：关闭\n\n<!-- anchor: 一 -->\n\n服务器用 `close`\n关闭监听，\n不再接受连接。后文。\n",
		"tcp/read/main.go", "",
		"tcp/read/README.md", "<!-- place: 10, level: 4 -->\n# read: 'data'\n\nOne sentence only\n## Node and Go\n",
		"tcp/new/main.go", "", // it has no page yet
		"udp/README.md", "<!-- place: 20 -->\n# UDP\n",
		"udp/send/main.go", "",
		"udp/send/README.md", "<!-- place: 10, level: 2 -->\n# send: send\n\nA part of `x: y; z`; the rest stays. More.\n",
		"udp/send/README.zh-CN.md", "# send：发送\n\n发送一部分：其余的留下。\n",
	)
}

// Chapters and sections come in the order of their places, what has none last.
func TestChapters(t *testing.T) {
	order := func(tree fstest.MapFS) (names []string, err error) {
		chapters, err := Chapters(tree)
		for _, c := range chapters {
			names = append(names, c.Name)
			for _, s := range c.Sections {
				names = append(names, s.Path())
			}
		}
		return names, err
	}
	want := []string{"tcp", "tcp/read", "tcp/close", "tcp/new", "udp", "udp/send"}
	names, err := order(book())
	assert.NilError(t, err)
	assert.DeepEqual(t, names, want)

	tree := book()
	tree["tcp/new/README.md"] = &fstest.MapFile{Data: []byte("<!-- place: 20 -->\n")}
	names, err = order(tree)
	assert.Error(t, err, "tcp/close/README.md and tcp/new/README.md both have the place 20: give one of them another number")
	assert.DeepEqual(t, names, want)

	tree = book()
	tree["udp/README.md"] = &fstest.MapFile{Data: []byte("<!-- place: 10 -->\n")}
	_, err = order(tree)
	assert.Error(t, err, "tcp/README.md and udp/README.md both have the place 10: give one of them another number")
	for _, page := range []string{"nav", "sections"} {
		_, err = newWeaver(tree).include("tcp/README.md", page)
		assert.ErrorContains(t, err, "both have the place 10")
	}
	for _, what := range []string{"chapters", "path"} {
		_, err = newWeaver(tree).include("README.md", what)
		assert.ErrorContains(t, err, "both have the place 10")
	}

	_, err = order(fstest.MapFS{"tcp/README.md": &fstest.MapFile{Data: []byte("# TCP\n")}})
	assert.Error(t, err, "there is no chapter: no folder's README.md begins with <!-- place: N -->")
}

// Links and tables are made of the chapters' and sections' own pages.
func TestGenerated(t *testing.T) {
	w := newWeaver(book())
	for _, c := range []struct{ page, what, want string }{
		{"tcp/README.md", "nav", "[中文](README.zh-CN.md) · [Sockets](../README.md) · [UDP](../udp/README.md) →"},
		{"udp/README.zh-CN.md", "nav", "[English](README.md) · [套接字](../README.zh-CN.md) · ← [TCP 服务器](../tcp/README.zh-CN.md)"},
		{"tcp/read/README.md", "nav", "[中文](README.zh-CN.md) · [TCP server](../README.md) · [close](../close/README.md) →"},
		{"tcp/close/README.zh-CN.md", "nav", "[English](README.md) · [TCP 服务器](../README.zh-CN.md) · ← [read](../read/README.zh-CN.md) · [new](../new/README.zh-CN.md) →"},
		{"udp/send/README.md", "nav", "[中文](README.zh-CN.md) · [UDP](../README.md) · ← [tcp:new](../../tcp/new/README.md)"},
		{"tcp/README.md", "sections", "| section | in Node | what it shows |\n|---|---|---|\n" +
			"| [read](read/README.md) | 'data' | One sentence only |\n" +
			"| <a id=\"one\"></a><a id=\"two\"></a>[close](close/README.md) | `end`, a\\|b | It ends, see `a. b` and `c. d`. |\n" +
			"| [new](new/README.md) |  |  |"},
		{"tcp/README.zh-CN.md", "sections", "| 节 | Node 中 | 内容 |\n|---|---|---|\n" +
			"| [read](read/README.zh-CN.md) |  |  |\n" +
			"| <a id=\"一\"></a>[close](close/README.zh-CN.md) | 关闭 | 服务器用 `close` 关闭监听，不再接受连接。 |\n" +
			"| [new](new/README.zh-CN.md) |  |  |"},
		{"README.md", "chapters", "| chapter | sections |\n|---|---|\n" +
			"| [TCP server](tcp/README.md) | [read](tcp/read/README.md), [close](tcp/close/README.md), [new](tcp/new/README.md) |\n" +
			"| [UDP](udp/README.md) | [send](udp/send/README.md) |"},
		{"README.zh-CN.md", "chapters", "| 章 | 节 |\n|---|---|\n" +
			"| [TCP 服务器](tcp/README.zh-CN.md) | [read](tcp/read/README.zh-CN.md), [close](tcp/close/README.zh-CN.md), [new](tcp/new/README.zh-CN.md) |\n" +
			"| [udp](udp/README.zh-CN.md) | [send](udp/send/README.zh-CN.md) |"},
		{"README.md", "path", "1. **First steps**\n2. **Basics**\n" +
			"   - [tcp:close](tcp/close/README.md): It ends, see `a. b` and `c. d`\n" +
			"   - [udp:send](udp/send/README.md): A part of `x: y; z`\n" +
			"3. **Further on**\n4. **Into the kernel**\n" +
			"   - [tcp:read](tcp/read/README.md): One sentence only\n" +
			"5. **Hard**"},
		{"README.zh-CN.md", "path", "1. **入门**\n2. **基础**\n" +
			"   - [tcp:close](tcp/close/README.zh-CN.md)：服务器用 `close` 关闭监听，不再接受连接\n" +
			"   - [udp:send](udp/send/README.zh-CN.md)：发送一部分\n" +
			"3. **进阶**\n4. **深入内核**\n" +
			"   - [tcp:read](tcp/read/README.zh-CN.md)：\n" +
			"5. **难点**"},
	} {
		got, err := w.include(c.page, c.what)
		assert.NilError(t, err)
		assert.Equal(t, got, c.want)
	}
}

// Every page is woven, and an error names its page.
func TestWeaveAll(t *testing.T) {
	tree := book()
	tree["tcp/close/README.md"].Data = append(tree["tcp/close/README.md"].Data, "<!-- weave: main.js -->\n<!-- end -->\n"...)
	tree[".git/README.md"] = &fstest.MapFile{Data: []byte("<!-- end -->")}
	all, err := Weave(tree)
	assert.NilError(t, err)
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
		if p.Name == "tcp/close/README.md" {
			assert.ErrorContains(t, p.Err, "tcp/close/README.md: include of main.js: there is no such file")
			continue
		}
		assert.NilError(t, p.Err)
	}
	want := slices.DeleteFunc(slices.Sorted(maps.Keys(tree)), func(name string) bool {
		return !strings.HasSuffix(name, ".md") || strings.HasPrefix(name, ".")
	})
	assert.DeepEqual(t, names, want)
}

func TestTestName(t *testing.T) {
	for section, want := range map[string]string{
		"half_open": "TestHalfOpen",
		"ttl":       "TestTTL",
		"ipv6":      "TestIPv6",
		"udp_tcp":   "TestUDPTCP",
	} {
		assert.Equal(t, TestName(section), want)
	}
}

// The anchors are GitHub's.
func TestAnchors(t *testing.T) {
	p, err := scan("# `half_open`: allowHalfOpen, 'end'\n## Proof\n```sh\n# no heading\n```\n## Proof\n## [Link](x) 与 Go？\n<a id=\"x\"></a>`<a id=\"y\"></a>`\n")
	assert.NilError(t, err)
	assert.DeepEqual(t, p.anchors(), map[string]bool{
		"half_open-allowhalfopen-end": true, "proof": true, "proof-1": true, "link-与-go": true, "x": true,
	})
}
