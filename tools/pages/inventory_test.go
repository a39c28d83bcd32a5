package pages

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"
)

// whole is a tree in which nothing is amiss.
func whole() fstest.MapFS {
	tree := fstest.MapFS{}
	put := func(name, text string) { tree[name] = &fstest.MapFile{Data: []byte(text)} }
	put("CONTRIBUTING.md", "# Contributing\n\nSee [tools](tools/README.md), `go test ./integration/tcp -run TestRead`.\n")
	put("tools/README.md", "# Tools\n\n## Weave it\n\nTestReadAll, in [its chapter](/tcp/README.md#read-data).\n")
	put("integration/tcp/read_test.go", "func TestReadAll(t *testing.T) {\n")
	put("integration/tcp/read_linux_test.go", "func TestReadWire(t *testing.T) {\n")
	put("integration/udp/other_test.go", "func TestSend(t *testing.T) {\n")
	put("integration/all/fuzz_test.go", "func FuzzAll(f *testing.F) {\n")
	put("integration/tcp/testdata/read.txt", "$ ./bazelw run //tcp:read\nlistening\n")
	put("tcp/read/main.go", "package main\n\n//weave:loop\nfunc main() {\n}\n\n//weave:end\n")
	put("tcp/read/kernel_linux.go", "package main\n")
	put("tcp/read/main.js", "function main () {\n}\n")
	for _, language := range Languages {
		put(language, "# Sockets\n\n<!-- weave: chapters -->\n<!-- end -->\n\n<!-- weave: path -->\n<!-- end -->\n")
		put("tcp/"+language, "# TCP\n\n<!-- weave: nav -->\n<!-- end -->\n\nText.\n\n<!-- weave: sections -->\n<!-- end -->\n")
		h := sectionHeadings[language]
		put("tcp/read/"+language, fmt.Sprintf(`# read: 'data'

<!-- weave: nav -->
<!-- end -->

<!-- anchor: read-data -->

It reads. More text.

## %s

<!-- weave: main.js#main -->
<!-- end -->

<!-- weave: main.go#main -->
<!-- end -->

## %s

<!-- weave: integration/tcp/testdata/read.txt -->
<!-- end -->

## %s

- One.

## %s

1. Two: go test ./integration/tcp -run Read and go run ./integration/judge tcp:read -- COMMAND
   <details><summary>hint</summary>Three.</details>

## %s

<details><summary>claims</summary>

- `+"`TestReadAll`"+`: all of it, and FuzzAll.
- [main.go](main.go), [kernel_linux.go](kernel_linux.go)

</details>
`, h[0], h[1], h[3], h[4], h[5]))
	}
	for _, name := range []string{"tcp/README.md", "tcp/read/README.md"} {
		put(name, "<!-- place: 10 -->\n"+string(tree[name].Data))
	}
	page := tree["tcp/read/README.md"]
	page.Data = []byte(strings.Replace(string(page.Data), " -->\n", ", level: 1 -->\n", 1))
	return tree
}

func reweave(t *testing.T, tree fstest.MapFS) {
	t.Helper()
	all, err := Weave(tree)
	assert.NilError(t, err)
	for _, p := range all {
		if p.Err == nil {
			tree[p.Name] = &fstest.MapFile{Data: []byte(p.Woven)}
		}
	}
}

func TestInventory(t *testing.T) {
	tree := whole()
	reweave(t, tree)
	amiss, err := Inventory(tree)
	assert.NilError(t, err)
	assert.DeepEqual(t, amiss, []string(nil))

	const en, zh = "tcp/read/README.md", "tcp/read/README.zh-CN.md"
	const gone = "\x00" // in place of a file's text: there is no file
	for name, c := range map[string]struct {
		file     string
		old, new string // old "" stands for all of it
		want     []string
	}{
		"no root page":           {"README.zh-CN.md", "", gone, []string{"README.zh-CN.md is missing", "the link ../README.zh-CN.md"}},
		"no chapters":            {"README.md", "<!-- weave: chapters -->\n<!-- end -->\n", "", []string{"README.md: it must have <!-- weave: chapters -->, <!-- end -->", "README.md and README.zh-CN.md must have the same includes in one order: [\"path\"] and [\"chapters\" \"path\"]"}},
		"no path":                {"README.zh-CN.md", "<!-- weave: path -->\n<!-- end -->\n", "", []string{"README.zh-CN.md: it must have <!-- weave: path -->, <!-- end -->", "README.md and README.zh-CN.md must have the same includes in one order: "}},
		"bazel on the root page": {"README.md", "# Sockets\n", "# Sockets\n\nbazel run //tcp:read\n", []string{"README.md: bazel run, in lines [3], must be ./bazelw run: not everybody has a bazel"}},
		"no CONTRIBUTING":        {"CONTRIBUTING.md", "", gone, []string{"CONTRIBUTING.md is missing"}},
		"CONTRIBUTING too long":  {"CONTRIBUTING.md", "See", strings.Repeat("word ", 392) + "See", []string{"CONTRIBUTING.md has 401 words: 400 are enough, tools/README.md has room"}},
		"tools too long":         {"tools/README.md", "# Tools\n", "# Tools\n" + strings.Repeat("\n", 116), []string{"tools/README.md has 121 lines: it may have 120"}},
		"no tools":               {"tools/README.md", "", gone, []string{"tools/README.md is missing", "CONTRIBUTING.md: the link tools/README.md on line 3: there is no tools/README.md"}},

		"no chapter's page":           {"tcp/README.zh-CN.md", "", gone, []string{"tcp/README.zh-CN.md is missing", "README.zh-CN.md: the link tcp/README.zh-CN.md on line 6: there is no tcp/README.zh-CN.md", "tcp/README.md: the link README.zh-CN.md", "tcp/read/README.zh-CN.md: the link ../README.zh-CN.md"}},
		"no nav on a chapter's page":  {"tcp/README.zh-CN.md", "<!-- weave: nav -->\n<!-- end -->\n", "", []string{"tcp/README.zh-CN.md: below its title must come <!-- weave: nav -->, <!-- end -->", "tcp/README.md and README.zh-CN.md must have the same includes in one order: "}},
		"no sections":                 {"tcp/README.zh-CN.md", "<!-- weave: sections -->\n<!-- end -->\n", "", []string{"tcp/README.zh-CN.md: it must have <!-- weave: sections -->, <!-- end -->", "tcp/README.md and README.zh-CN.md must have the same includes in one order: "}},
		"a chapter's page too long":   {"tcp/README.zh-CN.md", "Text.\n", "Text.\n" + strings.Repeat("\n", 56), []string{"tcp/README.zh-CN.md has 61 lines of its own: it may have 60"}},
		"bazel on a chapter's page":   {"tcp/README.md", "Text.", "`bazel run`", []string{"tcp/README.md: bazel run, in lines [8], must be ./bazelw run: not everybody has a bazel"}},
		"TODO on a chapter's page":    {"tcp/README.md", "Text.", "TODO", []string{"tcp/README.md: TODO on line 8"}},
		"a test of another chapter":   {"tcp/README.md", "Text.", "TestSend", []string{"tcp/README.md: line 8 names TestSend, and there is no such test"}},
		"a place that is not a place": {"tcp/README.md", "Text.", "<!-- place: 10 -->", []string{"tcp/README.md: <!-- place on line 8: a comment is <!-- place: N --> on the first line, or <!-- anchor: NAME --> or <!-- no-node: REASON --> on one of its own"}},

		"no page":                 {zh, "", gone, []string{zh + " is missing", "README.zh-CN.md: the link tcp/read/README.zh-CN.md on line 6", "README.zh-CN.md: the link tcp/read/README.zh-CN.md on line 11", "tcp/README.zh-CN.md: the link read/README.zh-CN.md", "tcp/read/README.md: the link README.zh-CN.md"}},
		"no place":                {en, "<!-- place: 10, level: 1 -->\n", "", []string{en + ": its first line must be <!-- place: N -->, N its position among the others, with gaps"}},
		"no level":                {en, ", level: 1", "", []string{en + ": its first line must be <!-- place: 10, level: N -->, N from 1, first steps, to 5, hard"}},
		"level 6":                 {en, "level: 1", "level: 6", []string{en + ": its first line must be <!-- place: N -->", en + ": <!-- place on line 1: a comment is"}},
		"no judge":                {zh, "tcp:read -- COMMAND", "tcp:reads -- COMMAND", []string{zh + `: "## 练习" must say how one's own program is judged: go run ./integration/judge tcp:read -- COMMAND`}},
		"no proofs to run":        {en, "-run Read", "-run Send", []string{en + `: "## Your turn" must have a command that runs the section's proofs: go test ./integration/tcp -run TestRead`}},
		"nothing to open":         {en, "<details><summary>hint</summary>Three.</details>", "Three.", []string{en + `: "## Your turn" must have a hint or an answer, folded: <details>`}},
		"place 0":                 {en, "place: 10, level: 1", "place: 0", []string{en + ": its first line must be <!-- place: N -->, N its position among the others, with gaps", en + ": <!-- place on line 1: a comment is"}},
		"two places":              {zh, "# read", "<!-- place: 10 -->\n# read", []string{zh + ": README.md tells the place: take it away here"}},
		"no title":                {zh, "# read: 'data'\n", "", []string{zh + ": it must have a title, \"# …\", above all other headings", zh + ": its title must be", zh + ": under its title a text"}},
		"another's title":         {en, "# read:", "# reads:", []string{en + ": its title must be \"# read: \" and Node's names"}},
		"no names in the title":   {zh, "# read: 'data'", "# read: ", []string{zh + ": its title must be \"# read: \" and Node's names"}},
		"no nav":                  {zh, "<!-- weave: nav -->\n<!-- end -->\n", "", []string{zh + ": below its title must come <!-- weave: nav -->, <!-- end -->", "tcp/read/README.md and README.zh-CN.md must have the same includes in one order: "}},
		"nav elsewhere":           {zh, "# read: 'data'\n", "# read: 'data'\n\ntext\n", []string{zh + ": below its title must come <!-- weave: nav -->, <!-- end -->"}},
		"nav above the title":     {zh, "# read: 'data'\n\n<!-- weave: nav -->\n<!-- end -->\n", "<!-- weave: nav -->\n<!-- end -->\n\n# read: 'data'\n", []string{zh + ": below its title must come <!-- weave: nav -->, <!-- end -->"}},
		"no text":                 {zh, "It reads. More text.\n", "", []string{zh + ": under its title a text must say what the section shows: its first sentence is the chapter's row"}},
		"too long":                {en, "It reads.", strings.Repeat("\n", 98) + "It reads.", []string{en + " has 151 lines: it may have 150"}},
		"a heading missing":       {zh, "## 练习\n", "", []string{zh + `: its headings are ["Node 与 Go" "动手试试" "容易出错的地方" "测试"], and must be ["Node 与 Go" "动手试试" "容易出错的地方" "练习" "测试"]`}},
		"the wire too early":      {en, "## Node", "## On the wire\n\n## Node", []string{en + `: its headings are ["On the wire" "Node and Go" "Try it" "What surprises people" "Your turn" "Proof"], and must be ["Node and Go" "Try it" "On the wire" "What surprises people" "Your turn" "Proof"]`}},
		"proof unfolded":          {en, "\n</details>\n", "", []string{en + `: all under "## Proof" must be inside <details> … </details>`}},
		"proof, and then more":    {en, "\n</details>\n", "\n</details>\n\nMore.\n", []string{en + `: all under "## Proof" must be inside <details> … </details>`}},
		"proof in parts":          {en, "\n</details>\n", "\n### Part\n\n</details>\n", nil},
		"TODO":                    {en, "1. Two:", "1. TODO:", []string{en + ": TODO on line 43"}},
		"no command":              {"integration/tcp/testdata/read.txt", "//tcp:read\n", "//tcp:read_all\n", []string{en + ": it must say how to run the program: ./bazelw run //tcp:read", zh + ": it must say how to run the program: ./bazelw run //tcp:read"}},
		"somebody's bazel":        {en, "- One.", "bazel run //tcp:read", []string{en + ": bazel run, in lines [39], must be ./bazelw run: not everybody has a bazel"}},
		"all of main.go":          {en, "main.go#main", "main.go", []string{en + ": it must show an excerpt: <!-- weave: main.go#NAME -->", "tcp/read/README.md and README.zh-CN.md must have the same includes in one order: "}},
		"all of main.js":          {en, "main.js#main", "main.js", []string{en + ": it must show an excerpt: <!-- weave: main.js#NAME -->", "tcp/read/README.md and README.zh-CN.md must have the same includes in one order: "}},
		"no transcript":           {zh, "<!-- weave: integration/tcp/testdata/read.txt -->\n<!-- end -->\n", "./bazelw run //tcp:read\n", []string{zh + ": it must show a transcript: <!-- weave: integration/tcp/testdata/read.txt -->", "tcp/read/README.md and README.zh-CN.md must have the same includes in one order: "}},
		"no link to main.go":      {zh, "[main.go](main.go)", "main.go", []string{zh + ": it must link to the whole program: [main.go](main.go)"}},
		"a file that is not here": {zh, "[kernel_linux.go](kernel_linux.go)", "", []string{zh + ": it must include or link to kernel_linux.go"}},
		"no own test":             {zh, "`TestReadAll`", "nothing", []string{zh + ": it must name a test of its own, as TestReadAll"}},
		"no such test":            {zh, "`TestReadAll`", "`TestReadAll`, TestReadNothing", []string{zh + ": line 49 names TestReadNothing, and there is no such test"}},
		"no such tests to run":    {zh, "`TestReadAll`", "`TestReadAll`, -run TestRed", []string{zh + ": line 49 names TestRed, and there is no such test"}},
		"another order":           {zh, "main.js#main", "main.go#loop", []string{zh + ": it must show an excerpt: <!-- weave: main.js#NAME -->", `tcp/read/README.md and README.zh-CN.md must have the same includes in one order: ["nav" "main.js#main" "main.go#main" "integration/tcp/testdata/read.txt"] and ["nav" "main.go#loop" "main.go#main" "integration/tcp/testdata/read.txt"]`}},
		"not woven":               {zh, "main.go#main", "main.go#other", []string{"tcp/read/README.md and README.zh-CN.md must have", zh + ": include of main.go#other: there is no top-level declaration and no region //weave:other"}},
		"an anchor without one":   {zh, "<!-- anchor: read-data -->", "<!-- anchor: read data -->", []string{zh + ": <!-- anchor on line 7: a comment is"}},
		"an old anchor lost":      {en, "<!-- anchor: read-data -->\n", "", []string{"tools/README.md: the link /tcp/README.md#read-data on line 5: no heading there has that name"}},

		"no script":         {"tcp/read/main.js", "", gone, []string{"tcp/read has no main.js: write it, or why there is none into tcp/read/README.md, as <!-- no-node: REASON -->", "include of main.js#main", "include of main.js#main"}},
		"a script too much": {en, "It reads", "<!-- no-node: Node has none -->\n\nIt reads", []string{"tcp/read/README.md says no-node, but there is a main.js: take one of them away"}},
		"no reason":         {en, "It reads", "<!-- no-node: -->\n\nIt reads", []string{en + ": <!-- no-node on line 10: a comment is"}},
		"a long program":    {"tcp/read/main.go", "}\n", strings.Repeat("\n", 84) + "}\n", []string{"tcp/read/main.go has 91 lines: it may have 90"}},
		"TODO in main.go":   {"tcp/read/main.go", "func", "// TODO: more\nfunc", []string{"tcp/read/main.go: TODO on line 4"}},
		"TODO in main.js":   {"tcp/read/main.js", "function", "// TODO: more\nfunction", []string{"tcp/read/main.js: TODO on line 1"}},
		"TODO in a proof":   {"integration/tcp/read_linux_test.go", "func", "// TODO: more\nfunc", []string{"integration/tcp/read_linux_test.go: TODO on line 1"}},
		"another's test":    {"integration/tcp/read_linux_test.go", "TestReadWire", "TestWire", []string{"TestWire is among the tests of tcp/read: its name must begin with TestRead, for Bazel to run it there"}},
		"no proofs":         {"integration/tcp/read_test.go", "", gone, []string{"integration/tcp/read_test.go is missing: the proofs of tcp/read", en + ": it must name a test of its own, as TestReadWire", zh + ": it must name a test of its own, as TestReadWire", "TestReadAll, and there is no such test", "TestReadAll, and there is no such test", "TestReadAll, and there is no such test"}},

		"typed code":         {"CONTRIBUTING.md", "See", "<details>\n\n- ```Go\n  x\n  ```\n\n</details>\n\nSee", []string{"CONTRIBUTING.md: the code on line 5 is typed, and nobody has run it: include it, as <!-- weave: PATH#NAME -->"}},
		"a link to nothing":  {"CONTRIBUTING.md", "tools/README.md", "../x.md", []string{"CONTRIBUTING.md: the link ../x.md on line 3: there is no ../x.md"}},
		"a link to no title": {"CONTRIBUTING.md", "tools/README.md", "tools#weave-them", []string{"CONTRIBUTING.md: the link tools#weave-them on line 3: no heading there has that name"}},
		"a link to a title":  {"CONTRIBUTING.md", "tools/README.md", "tools#weave-it", nil},
		"a link elsewhere":   {"CONTRIBUTING.md", "tools/README.md", "https://example.com/x#y", nil},
		"a link to a line":   {"CONTRIBUTING.md", "tools/README.md", "tcp/read/main.go#L2", []string{"CONTRIBUTING.md: the link tcp/read/main.go#L2 on line 3: only pages have headings to link to"}},
		"a link with a %":    {"CONTRIBUTING.md", "tools/README.md", "100%.md", []string{"CONTRIBUTING.md: the link 100%.md on line 3: a % in it escapes nothing"}},
		"an example of one":  {"CONTRIBUTING.md", "See", "`[x](y)` ``<!-- place: x -->`` See", nil},
	} {
		t.Run(name, func(t *testing.T) {
			tree := whole()
			switch {
			case c.new == gone:
				delete(tree, c.file)
			default:
				text := string(tree[c.file].Data)
				assert.Assert(t, strings.Contains(text, c.old), text)
				tree[c.file].Data = []byte(strings.Replace(text, c.old, c.new, 1))
			}
			reweave(t, tree)
			expect(t, tree, c.want)
		})
	}

	t.Run("stale", func(t *testing.T) {
		tree := whole()
		reweave(t, tree)
		tree["tcp/read/main.js"].Data = []byte("function main () {\n  x()\n}\n")
		expect(t, tree, []string{en + " is out of date: ./bazelw run //tools/weave", zh + " is out of date: ./bazelw run //tools/weave"})
	})
	t.Run("two at one place", func(t *testing.T) {
		tree := whole()
		reweave(t, tree)
		tree["udp/README.md"] = &fstest.MapFile{Data: []byte("<!-- place: 10 -->\n")}
		expect(t, tree, []string{"tcp/README.md and udp/README.md both have the place 10: give one of them another number",
			"udp/README.md: it must have a title", "udp/README.md: it must have <!-- weave: sections -->", "udp/README.zh-CN.md is missing"})
	})
	t.Run("without Node", func(t *testing.T) {
		tree := whole()
		delete(tree, "tcp/read/main.js")
		for _, name := range []string{en, zh} {
			tree[name].Data = []byte(strings.ReplaceAll(string(tree[name].Data), "<!-- weave: main.js#main -->\n<!-- end -->\n", ""))
		}
		tree[en].Data = append(tree[en].Data, "\n<!-- no-node: Node has no such call -->\n"...)
		reweave(t, tree)
		expect(t, tree, []string{en + ": all under \"## Proof\" must be"})
	})
	t.Run("a Chinese colon", func(t *testing.T) {
		tree := whole()
		tree[zh].Data = []byte(strings.Replace(string(tree[zh].Data), "# read: ", "# read：", 1))
		reweave(t, tree)
		expect(t, tree, nil)
	})
	t.Run("on the wire", func(t *testing.T) {
		tree := whole()
		tree[en].Data = []byte(strings.Replace(string(tree[en].Data), "## What", "## On the wire\n\n## What", 1))
		reweave(t, tree)
		expect(t, tree, nil)
	})
}

// expect demands these lines, in any order, and no others; of each it is enough to
// tell a part.
func expect(t *testing.T, tree fstest.MapFS, want []string) {
	t.Helper()
	amiss, err := Inventory(tree)
	assert.NilError(t, err)
	left := slices.Clone(amiss)
	for _, line := range want {
		n := slices.IndexFunc(left, func(l string) bool { return strings.Contains(l, line) })
		assert.Assert(t, n >= 0, "%s\nwant %s", strings.Join(amiss, "\n"), line)
		left = slices.Delete(left, n, n+1)
	}
	assert.Equal(t, strings.Join(left, "\n"), "")
}
