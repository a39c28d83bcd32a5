package pages

import (
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"
)

// A page must cite where its program is slow in every round, and say why; the figure is
// the bench's own.
func TestMeasured(t *testing.T) {
	tree := whole()
	tree["integration/bench/README.md"] = &fstest.MapFile{Data: []byte("# How fast\n")}
	tree[resultsFile] = &fstest.MapFile{Data: []byte(`[
		{"Section": "tcp:read", "Contest": "echo, 100 at once", "Against": "Node", "Times": 0.9, "Least": 0.846, "Most": 0.99, "Rounds": 5},
		{"Section": "tcp:read", "Contest": "echo, 100 at once", "Against": "socat -b 9", "Times": 0.9, "Least": 0.8, "Most": 1.01, "Rounds": 5},
		{"Section": "tcp:read", "Contest": "echo, 100 at once", "Against": "limit: bare loop", "Times": 0.4, "Least": 0.2, "Most": 0.5, "Rounds": 5},
		{"Section": "a program", "Contest": "relay", "Against": "Node", "Times": 0.1, "Least": 0.1, "Most": 2, "Rounds": 5}
	]`)}
	reweave(t, tree)
	amiss := func() string {
		t.Helper()
		all, err := Inventory(tree)
		assert.NilError(t, err)
		return strings.Join(all, "\n")
	}
	assert.Equal(t, amiss(), `tcp/read/README.md: it must cite where it is slow, and say why: <!-- weave: bench echo, 100 at once: Node -->
tcp/read/README.zh-CN.md: it must cite where it is slow, and say why: <!-- weave: bench echo, 100 at once: Node -->`)

	cite := func(name, why string) {
		text := strings.Replace(string(tree[name].Data), "- One.\n", "<!-- weave: bench echo, 100 at once: Node -->\n<!-- end -->\n"+why, 1)
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	cite("tcp/read/README.md", "Because.\n")
	cite("tcp/read/README.zh-CN.md", "\n")
	reweave(t, tree)
	assert.Equal(t, amiss(), `tcp/read/README.zh-CN.md: under what it cites of "echo, 100 at once" it must say why`)
	for name, want := range map[string]string{
		"tcp/read/README.md":       "[Measured](../../integration/bench/README.md): echo, 100 at once, 0.90 times as good as Node (0.85 to 0.99 in 5 rounds).",
		"tcp/read/README.zh-CN.md": "[实测](../../integration/bench/README.md)：echo, 100 at once，表现为 Node 的 0.90 倍（5 轮中为 0.85 到 0.99，越大越好）。",
	} {
		assert.Assert(t, strings.Contains(string(tree[name].Data), "-->\n"+want+"\n<!-- end -->"), "%s", tree[name].Data)
	}

	w := newWeaver(tree)
	_, err := w.weave("tcp/read/README.md", "<!-- weave: bench echo: Node -->\n<!-- end -->")
	assert.ErrorContains(t, err, resultsFile+" has no such contest and row")
}
