package main

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/sockets/integration/harness"
)

// files are the files that a command names, and when they were last changed.
type files map[string]time.Time

// watched returns the files of the user's command: what an interpreter is not.
func watched(o options) files {
	found := files{}
	for i, word := range o.command {
		if i == 0 && !strings.ContainsRune(word, '/') { // of the PATH
			continue
		}
		name := harness.UserPath(word)
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			found[name] = info.ModTime()
		} else if err != nil && (i == 0 || script(word)) {
			found[name] = time.Time{} // it may come
		}
	}
	return found
}

func (f files) names() []string { return slices.Sorted(maps.Keys(f)) }

// await waits until one of them has changed, and then until none does any more.
func (f files) await(ctx context.Context) {
	changed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
		moved := false
		for name, last := range f {
			// An editor may take the file away for a moment.
			if info, err := os.Stat(name); err == nil && !info.ModTime().Equal(last) {
				f[name], moved = info.ModTime(), true
			}
		}
		if changed = changed || moved; changed && !moved {
			return
		}
	}
}
