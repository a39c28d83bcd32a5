package pages

import (
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
)

func TestWeave(t *testing.T) {
	tree := fstest.MapFS{
		"a/main.go": {Data: []byte("package main\n")},
		"b.txt":     {Data: []byte("$ run\n")},
		"c.txt":     {Data: []byte("```\n")},
		"d.bin":     {Data: []byte("x")},
	}
	const fresh = "# T\n\n<!-- weave: a/main.go -->\n```go\npackage main\n```\n<!-- end -->\n\n<!-- weave: b.txt -->\n```console\n$ run\n```\n<!-- end -->\ntail\n"
	for _, c := range []struct{ name, page, want, err string }{
		{name: "empty includes are filled", page: "# T\n\n<!-- weave: a/main.go -->\n<!-- end -->\n\n<!-- weave: b.txt -->\n<!-- end -->\ntail\n", want: fresh},
		{name: "a fresh page stays", page: fresh, want: fresh},
		{name: "a stale include is replaced", page: "<!-- weave: b.txt -->\n```console\n$ old\n```\n<!-- end -->\n", want: "<!-- weave: b.txt -->\n```console\n$ run\n```\n<!-- end -->\n"},
		{name: "no such file", page: "<!-- weave: z.txt -->\n<!-- end -->\n", err: "include matches nothing: open z.txt"},
		{name: "no end", page: "<!-- weave: b.txt -->\n", err: "1 weave and end markers make 0 includes"},
		{name: "no begin", page: "<!-- end -->\n", err: "1 weave and end markers make 0 includes"},
		{name: "not on a line of its own", page: "see <!-- weave: b.txt -->\n<!-- end -->\n", err: "2 weave and end markers make 0 includes"},
		{name: "two begins", page: "<!-- weave: b.txt -->\n<!-- weave: b.txt -->\n<!-- end -->\n", err: "3 weave and end markers make 1 includes"},
		{name: "a fence inside", page: "<!-- weave: c.txt -->\n<!-- end -->\n", err: "include of c.txt: it holds a fence"},
		{name: "unknown language", page: "<!-- weave: d.bin -->\n<!-- end -->\n", err: "include of d.bin: no language"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Weave(tree, c.page)
			if c.err != "" {
				assert.ErrorContains(t, err, c.err)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, got, c.want)
		})
	}
}

func TestTestPrefix(t *testing.T) {
	for section, want := range map[[2]string]string{
		{"tcp_server", "half_open"}: "TestTCPServerHalfOpen",
		{"udp_client", "send"}:      "TestUDPClientSend",
		{"multicast", "ttl"}:        "TestMulticastTTL",
	} {
		assert.Equal(t, TestPrefix(section[0], section[1]), want)
	}
}

// whole is a tree in which nothing is amiss.
func whole() fstest.MapFS {
	tree := fstest.MapFS{
		"integration/sections.bzl":      {Data: []byte("SECTIONS = [\n    \"multicast/ttl\",\n]\n")},
		"integration/multicast_test.go": {Data: []byte("func TestMulticastTTLArrives(t *testing.T) {\n")},
		"multicast/ttl/main.go":         {Data: []byte("package main\n")},
	}
	for _, chapter := range Chapters {
		tree[chapter+"/BUILD.bazel"] = &fstest.MapFile{}
		for _, language := range Languages {
			tree[chapter+"/"+language] = &fstest.MapFile{}
		}
	}
	tree["multicast/BUILD.bazel"].Data = []byte("alias(\n    name = \"ttl\",\n    actual = \"//multicast/ttl\",\n)\n")
	for _, language := range Languages {
		tree[language] = &fstest.MapFile{Data: []byte("| [multicast](multicast/" + language + ") | ttl |\n")}
		tree["multicast/"+language].Data = []byte("## `ttl`: x\n\nbazel run //multicast:ttl\n<!-- weave: multicast/ttl/main.go -->\n```go\npackage main\n```\n<!-- end -->\nTestMulticastTTLArrives\n")
	}
	return tree
}

func TestInventory(t *testing.T) {
	amiss, err := Inventory(whole())
	assert.NilError(t, err)
	assert.DeepEqual(t, amiss, []string(nil))

	for name, c := range map[string]struct {
		file, text string
		want       string
	}{
		"no alias":        {"multicast/BUILD.bazel", "", "multicast/BUILD.bazel has no alias for ttl"},
		"not in suite":    {"integration/sections.bzl", "", "integration/sections.bzl does not list multicast/ttl"},
		"no proof":        {"integration/multicast_test.go", "", "multicast/README.md names TestMulticastTTLArrives, and there is no such test"},
		"not on the page": {"multicast/README.zh-CN.md", "", "multicast/README.zh-CN.md has no heading with `ttl`"},
		"not in the list": {"README.md", "| [multicast](multicast/README.md) | ttls |\n", "README.md does not list ttl in the row of multicast"},
		"stale page":      {"multicast/ttl/main.go", "package other\n", "multicast/README.md is out of date: run bazel run //tools/weave"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := whole()
			tree[c.file] = &fstest.MapFile{Data: []byte(c.text)}
			amiss, err := Inventory(tree)
			assert.NilError(t, err)
			assert.Assert(t, cmp.Contains(amiss, c.want))
		})
	}
}
