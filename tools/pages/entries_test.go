package pages

import (
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"
)

const table = "node\tsince\tgo\tsections\ten\tzh\n" +
	"# net\tserver\tnet.Server: all\tnet.Server：全部\n" +
	"event `'close'`\t\t`Wait`, `Close`\ttcp:close tcp:read\t\t\n" +
	"`server.listen(a|b)`\t22.12, 23.1\t\t-\tNone.\t没有。\n" +
	"in a cluster | cluster 中\tafter 20\t\t\tNot in Go.\tGo 没有。\n" +
	"# dgram\tdgram\tdgram\tdgram\n" +
	"`socket.send()`\tunreleased\t`Write`\tudp:send\tIt sends.\t发送。\n" +
	"`socket.x`\t\t`x`\t\t\t\n" +
	"# go\tgo\tMore\t更多\n" +
	"flags | 标志\t\t`y`\ttcp:new\t\t\n"

// indexed is a tree with an index whose pages are woven.
func indexed(t *testing.T) fstest.MapFS {
	t.Helper()
	tree := book()
	tree[entriesFile] = &fstest.MapFile{Data: []byte(table)}
	for _, name := range []string{"tcp/new/README.md", "tcp/new/README.zh-CN.md", "tcp/read/README.zh-CN.md", "udp/send/README.zh-CN.md"} {
		tree[name] = &fstest.MapFile{}
	}
	for _, language := range Languages {
		tree["node_api/"+language] = &fstest.MapFile{Data: []byte("# Index\n\n<!-- weave: entries -->\n<!-- end -->\n")}
	}
	reweave(t, tree)
	return tree
}

// The index leads to its groups, counts what Node's modules have, and says of each entry where it is
// explained, or that it is not.
func TestEntries(t *testing.T) {
	w := newWeaver(indexed(t))
	for _, c := range []struct{ page, want string }{
		{"node_api/README.md", `[net.Server: all](#netserver-all) ·
[dgram](#dgram) ·
[More](#more)

5 entries of ¬net¬ and ¬dgram¬: 2 with a section, 1 with a sentence, 2 with no section yet.

## net.Server: all

| Node | Go | explained |
|---|---|---|
| <a id="server-event-close"></a>event ¬'close'¬ | ¬Wait¬, ¬Close¬ | [tcp:close](../tcp/close/README.md), [tcp:read](../tcp/read/README.md) |
| <a id="server-listen-a-b"></a>¬server.listen(a\|b)¬ (22.12, 23.1) | – | None. |
| <a id="server-in-a-cluster"></a>in a cluster (after 20) | – | *No section yet.* Not in Go. |

## dgram

| Node | Go | explained |
|---|---|---|
| <a id="dgram-socket-send"></a>¬socket.send()¬ (not released yet) | ¬Write¬ | [udp:send](../udp/send/README.md). It sends. |
| <a id="dgram-socket-x"></a>¬socket.x¬ | ¬x¬ | *No section yet.* |

## More

| Node | Go | explained |
|---|---|---|
| <a id="go-flags"></a>flags | ¬y¬ | [tcp:new](../tcp/new/README.md) |`},
		{"README.zh-CN.md", `[net.Server：全部](#netserver全部) ·
[dgram](#dgram) ·
[更多](#更多)

¬net¬ 和 ¬dgram¬ 共 5 条：2 条有章节，1 条一句话说明，2 条尚无章节。

## net.Server：全部

| Node | Go | 说明 |
|---|---|---|
| <a id="server-event-close"></a>事件 ¬'close'¬ | ¬Wait¬、¬Close¬ | [tcp:close](tcp/close/README.zh-CN.md)、[tcp:read](tcp/read/README.zh-CN.md) |
| <a id="server-listen-a-b"></a>¬server.listen(a\|b)¬（22.12、23.1） | – | 没有。 |
| <a id="server-in-a-cluster"></a>cluster 中（20 之后） | – | *尚无章节*。Go 没有。 |

## dgram

| Node | Go | 说明 |
|---|---|---|
| <a id="dgram-socket-send"></a>¬socket.send()¬（尚未发布） | ¬Write¬ | [udp:send](udp/send/README.zh-CN.md)。发送。 |
| <a id="dgram-socket-x"></a>¬socket.x¬ | ¬x¬ | *尚无章节*。 |

## 更多

| Node | Go | 说明 |
|---|---|---|
| <a id="go-flags"></a>标志 | ¬y¬ | [tcp:new](tcp/new/README.zh-CN.md) |`},
	} {
		got, err := w.include(c.page, "entries")
		assert.NilError(t, err)
		assert.Equal(t, got, strings.ReplaceAll(c.want, "¬", "`"))
	}
	_, err := w.include("CONTRIBUTING.md", "entries")
	assert.Error(t, err, "only a README.md or README.zh-CN.md has it")
	_, err = newWeaver(book()).include("README.md", "entries")
	assert.ErrorContains(t, err, entriesFile)
}

// What the index names exists, each section is named, and no entry is there twice.
func TestEntriesInventory(t *testing.T) {
	about := func(tree fstest.MapFS) (lines []string) { // the tree has more amiss
		amiss, err := Inventory(tree)
		assert.NilError(t, err)
		for _, line := range amiss {
			if strings.HasPrefix(line, "node_api/") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	assert.DeepEqual(t, about(indexed(t)), []string(nil))

	const at = entriesFile + ":"
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"another column":        {"node\tsince", "node\tversion", []string{at + `1: the first line must name the columns: "node\tsince\tgo\tsections\ten\tzh"`}},
		"no such section":       {"tcp:close tcp:read", "tcp:close tcp:reads tcp:read", []string{at + "3: there is no section tcp:reads", "node_api/README.md: the link ../tcp/reads/README.md", "node_api/README.zh-CN.md: the link ../tcp/reads/README.zh-CN.md"}},
		"a section unnamed":     {"tcp:close tcp:read", "tcp:close", []string{entriesFile + ": no entry names the section tcp:read: name it where it belongs, or, if Node has nothing of the kind, in the last group"}},
		"twice":                 {"`socket.x`", "`socket.send`", []string{at + "8: the same entry is on line 7: both would have the anchor dgram-socket-send"}},
		"twice, of two modules": {"`socket.x`", "`server.listen(a|b)`", nil},
		"a cell too few":        {"`x`\t\t\t\n", "`x`\t\t\n", []string{at + "8: an entry has 6 cells with tabs between, the first not empty; here are 5"}},
		"no name":               {"`socket.x`", "", []string{at + "8: an entry has 6 cells with tabs between, the first not empty; here are 6"}},
		"an empty line":         {"# go", "\n# go", []string{at + "9: an entry has 6 cells with tabs between, the first not empty; here are 1"}},
		"a group untitled":      {"More\t更多", "More", []string{at + "9: a group is # MODULE, the beginning of its anchors, and its title in English and in Chinese, with tabs between"}},
		"no group":              {"# net\tserver\tnet.Server: all\tnet.Server：全部\n", "", []string{at + "2: above the first entry a group must begin: # MODULE", at + "3: above", at + "4: above", "no entry names the section tcp:read", "no entry names the section tcp:close"}},
		"words":                 {"`socket.x`", "`socket.x` twice", []string{at + "8: its name has words beside code, and so needs a Chinese form: ENGLISH | CHINESE"}},
		"words of Go":           {"`x`\t", "a loop\t", []string{at + "8: Go's counterpart is code, in backquotes: words belong into the sentence"}},
		"a version":             {"unreleased", "v26", []string{at + `7: since "v26" is neither versions, as "22.12, 23.1", nor "after 20" or "unreleased"`}},
		"one language":          {"It sends.\t发送。", "It sends.\t", []string{at + "7: its sentence is in one language only"}},
		"nothing in Go":         {"`x`\t", "\t", []string{at + "8: where Go has no counterpart a sentence has to say so"}},
		"nothing at all":        {"`x`\t\t\t", "`x`\t-\t\t", []string{at + `8: it has neither a section nor a sentence: without "-" it says that there is no section yet`}},
	} {
		t.Run(name, func(t *testing.T) {
			tree := indexed(t)
			text := string(tree[entriesFile].Data)
			assert.Assert(t, strings.Contains(text, c.old), text)
			tree[entriesFile].Data = []byte(strings.Replace(text, c.old, c.new, 1))
			reweave(t, tree)
			got := about(tree)
			assert.Equal(t, len(got), len(c.want), "%s", strings.Join(got, "\n"))
			for i, want := range c.want {
				assert.Assert(t, strings.Contains(got[i], want), "%s\nwant %s", got[i], want)
			}
		})
	}

	tree := indexed(t)
	tree["node_api/README.md"].Data = []byte("# Index\n")
	delete(tree, "node_api/README.zh-CN.md")
	got := about(tree)
	assert.DeepEqual(t, got, []string{
		"node_api/README.md: it must have <!-- weave: entries -->, <!-- end -->",
		"node_api/README.zh-CN.md is missing",
	})
}
