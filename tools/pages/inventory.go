package pages

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Chapters are the folders of sections, in the order of the notes.
var Chapters = []string{"tcp_server", "tcp_client", "udp_server", "udp_client", "broadcast", "multicast"}

// Languages are the endings of a chapter's pages.
var Languages = []string{"README.md", "README.zh-CN.md"}

var (
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	testName = regexp.MustCompile(`\bTest[A-Z]\w+`)
)

// TestPrefix returns how the names of a section's tests begin: TestTCPServerHalfOpen
// for tcp_server/half_open.
func TestPrefix(chapter, section string) string {
	var b strings.Builder
	b.WriteString("Test")
	for _, word := range strings.Split(chapter+"_"+section, "_") {
		switch word {
		case "tcp", "udp", "ttl":
			b.WriteString(strings.ToUpper(word))
		default:
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// Inventory lists what is amiss: a section (a folder with a main.go) without an
// alias, a proof, or its place on both pages with code and transcript, and in the
// lists of chapters; a page that names a test that is not there; a page that is out of date.
func Inventory(tree fs.FS) (amiss []string, err error) {
	say := func(format string, args ...any) { amiss = append(amiss, fmt.Sprintf(format, args...)) }
	read := func(name string) string {
		data, e := fs.ReadFile(tree, name)
		if e != nil {
			say("%v", e)
		}
		return string(data)
	}

	var tests []string
	proofs, err := fs.Glob(tree, "integration/*_test.go")
	if err != nil {
		return nil, err
	}
	for _, proof := range proofs {
		for _, m := range testFunc.FindAllStringSubmatch(read(proof), -1) {
			tests = append(tests, m[1])
		}
	}
	suite := read("integration/sections.bzl")

	for _, chapter := range Chapters {
		mains, err := fs.Glob(tree, chapter+"/*/main.go")
		if err != nil {
			return nil, err
		}
		build := read(chapter + "/BUILD.bazel")
		for _, language := range Languages {
			name := path.Join(chapter, language)
			page := read(name)
			for _, test := range testName.FindAllString(page, -1) {
				if !slices.Contains(tests, test) {
					say("%s names %s, and there is no such test", name, test)
				}
			}
			for _, main := range mains {
				section := path.Base(path.Dir(main))
				if !regexp.MustCompile("(?m)^## .*`" + section + "`").MatchString(page) {
					say("%s has no heading with `%s`", name, section)
				}
				if !strings.Contains(page, "<!-- weave: "+main+" -->") {
					say("%s does not show %s", name, main)
				}
				row := regexp.MustCompile(`(?m)^\| .*\(` + name + `\) \|.*\b` + section + `\b`)
				if !row.MatchString(read(language)) {
					say("%s does not list %s in the row of %s", language, section, chapter)
				}
				if !strings.Contains(page, "bazel run //"+chapter+":"+section) {
					say("%s does not say how to run //%s:%s", name, chapter, section)
				}
				if !slices.ContainsFunc(testName.FindAllString(page, -1), func(test string) bool {
					return strings.HasPrefix(test, TestPrefix(chapter, section))
				}) {
					say("%s names no test of %s: want one that begins with %s", name, section, TestPrefix(chapter, section))
				}
			}
		}
		for _, main := range mains {
			section := path.Base(path.Dir(main))
			if !strings.Contains(build, fmt.Sprintf("name = %q,\n    actual = \"//%s/%s\"", section, chapter, section)) {
				say("%s/BUILD.bazel has no alias for %s", chapter, section)
			}
			if !strings.Contains(suite, fmt.Sprintf("%q,", chapter+"/"+section)) {
				say("integration/sections.bzl does not list %s/%s", chapter, section)
			}
		}
	}

	files, err := Files(tree)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		page := read(name)
		if woven, err := Weave(tree, page); err != nil {
			say("%s: %v", name, err)
		} else if woven != page {
			say("%s is out of date: run bazel run //tools/weave", name)
		}
	}
	return amiss, nil
}

// Files returns the names of all pages in the tree.
func Files(tree fs.FS) (names []string, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "bazel-")):
			return fs.SkipDir
		case strings.HasSuffix(name, ".md"):
			names = append(names, name)
		}
		return nil
	})
	return names, err
}
