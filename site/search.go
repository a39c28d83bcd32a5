package main

import (
	"encoding/json"
	"fmt"
)

// entry is what the search knows of a part of a page: all that stands under one
// heading.
type entry struct {
	To      string // the file of the site, with its anchor
	Title   string // the page's
	Heading string // "" at the top of a page
	Text    string
}

// searchIndex is a script, since a page that was opened as a file may load no other kind.
func searchIndex(lang string, entries []entry) []byte {
	rows := make([][]string, len(entries))
	for i, e := range entries {
		rows[i] = []string{e.To, e.Title, e.Heading, e.Text}
	}
	list, err := json.Marshal(rows)
	if err != nil {
		panic(err) // strings always become JSON
	}
	return fmt.Appendf(nil, "searchIndex(%q, %s)\n", lang, list)
}
