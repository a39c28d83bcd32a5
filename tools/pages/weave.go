// Package pages knows what the chapters' pages promise: that the code and the
// transcripts on them are those of the source and of the tests' golden files,
// and that every section is on them.
package pages

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// An include is a comment, a fenced block and a closing comment:
//
//	<!-- weave: multicast/server/main.go -->
//	```go
//	...
//	```
//	<!-- end -->
//
// Weave writes what stands between the comments; paths are from the project's
// top folder.
var include = regexp.MustCompile(`(?ms)^<!-- weave: (\S+) -->\n(.*?)^<!-- end -->$`)

// marker finds whatever was meant to be part of an include.
var marker = regexp.MustCompile(`<!--\s*(weave|end\s*-->)`)

// Weave returns the page with its includes as the files in the tree have them.
// An include of a file that is not there, or one that is not well formed, is
// an error.
func Weave(tree fs.FS, page string) (string, error) {
	var failed error
	fail := func(format string, args ...any) string {
		if failed == nil {
			failed = fmt.Errorf(format, args...)
		}
		return ""
	}
	includes := 0
	woven := include.ReplaceAllStringFunc(page, func(text string) string {
		includes++
		name := include.FindStringSubmatch(text)[1]
		data, err := fs.ReadFile(tree, name)
		if err != nil {
			return fail("include matches nothing: %w", err)
		}
		language, ok := map[string]string{".go": "go", ".js": "js", ".mmd": "mermaid", ".txt": "console"}[path.Ext(name)]
		if !ok {
			return fail("include of %s: no language for that ending", name)
		}
		body := strings.TrimRight(string(data), "\n")
		if strings.Contains(body, "```") {
			return fail("include of %s: it holds a fence", name)
		}
		return fmt.Sprintf("<!-- weave: %s -->\n```%s\n%s\n```\n<!-- end -->", name, language, body)
	})
	if n := len(marker.FindAllString(page, -1)); n != 2*includes {
		fail("%d weave and end markers make %d includes: each wants lines of their own, as in <!-- weave: PATH -->, <!-- end -->", n, includes)
	}
	return woven, failed
}
