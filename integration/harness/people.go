package harness

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
)

// What the commands for people share, as show and judge.

// UserDir is the folder that the user stands in: bazel run starts a program elsewhere.
func UserDir() string { return cmp.Or(os.Getenv("BUILD_WORKING_DIRECTORY"), ".") }

// UserPath is a file as the user names it.
func UserPath(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(UserDir(), name)
}

// Terminal tells how many columns a terminal has, 0 if it is none, and whether what is
// written there may have colours (no-color.org).
func Terminal(f *os.File) (columns int, colour bool) {
	columns = columnsOf(f)
	return columns, columns > 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Meant returns the section, as in tcp_server:half_open, that somebody was about to
// name, or nothing.
func Meant(word string) string { return nearest(word, Sections()) }

func nearest(word string, sections []string) (near string) {
	least := 1 + len(word)/3
	for _, section := range sections {
		_, name, _ := strings.Cut(section, "/")
		for _, candidate := range []string{section, name} {
			if d := distance(strings.Replace(word, ":", "/", 1), candidate); d < least {
				least, near = d, strings.Replace(section, "/", ":", 1)
			}
		}
	}
	return near
}

// distance is how many letters one has to change, leave out or add (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}
