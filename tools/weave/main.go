// Weave brings the project's pages up to date with the source and the tests'
// golden files.
//
//	bazel run //tools/weave
//	go -C tools run ./weave
package main

import (
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"example.com/sockets/tools/pages"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("weave: ")
	if len(os.Args) > 1 {
		log.Fatal("takes no arguments: it weaves every page of the project")
	}
	top, err := pages.Top()
	if err != nil {
		log.Fatal(err)
	}
	tree := os.DirFS(top)
	names, err := pages.Files(tree)
	if err != nil {
		log.Fatal(err)
	}
	failed := false
	for _, name := range names {
		page, err := fs.ReadFile(tree, name)
		if err != nil {
			log.Fatal(err)
		}
		woven, err := pages.Weave(tree, string(page))
		if err != nil {
			log.Printf("%s: %v", name, err)
			failed = true
		} else if woven != string(page) {
			if err := os.WriteFile(filepath.Join(top, name), []byte(woven), 0o644); err != nil {
				log.Fatal(err)
			}
			fmt.Println(name)
		}
	}
	if failed {
		os.Exit(1)
	}
}
