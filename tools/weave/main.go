// Weave brings the project's pages up to date with the source, the tests' golden
// files, and each other.
//
//	./bazelw run //tools/weave
//	go run ./tools/weave
package main

import (
	"fmt"
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
	all, err := pages.Weave(os.DirFS(top))
	if err != nil {
		log.Fatal(err)
	}
	code := 0
	for _, page := range all {
		switch {
		case page.Err != nil:
			log.Print(page.Err)
			code = 1
		case page.Woven != page.Text:
			if err := os.WriteFile(filepath.Join(top, page.Name), []byte(page.Woven), 0o644); err != nil {
				log.Fatal(err)
			}
			fmt.Println(page.Name)
		}
	}
	os.Exit(code)
}
