// Site makes a web site of the project's pages, and serves it while they are
// written: a page that has changed is made anew when it is asked for.
//
//	./bazelw run //site              on http://127.0.0.1:8000
//	go run ./site -o FOLDER          writes it
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing/fstest"
	"time"

	"example.com/sockets/tools/pages"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("site: ")
	addr := flag.String("addr", "127.0.0.1:8000", "`host:port` to serve on")
	out := flag.String("o", "", "write the site into this `folder` and serve nothing")
	list := flag.String("files", "", "the tree is what this `file` lists, a path a line; by default the project around this")
	var links Links
	flag.StringVar(&links.Source, "source", "", "the `URL` of the repository, as GitHub has it, for git clone and for links")
	flag.StringVar(&links.Site, "url", "", "the `URL` of the folder that the site will stand in")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("takes flags only, not %q", flag.Args())
	}
	tree, err := open(*list)
	if err != nil {
		log.Fatal(err)
	}
	if *out != "" {
		start := time.Now()
		files, err := Build(tree, links)
		if err != nil {
			log.Fatal(err)
		}
		if err := write(*out, files); err != nil {
			log.Fatal(err)
		}
		size := 0
		for _, data := range files {
			size += len(data)
		}
		fmt.Printf("%d files, %d kB, in %v\n", len(files), size/1000, time.Since(start).Round(time.Millisecond))
		return
	}
	s := &server{tree: tree, links: links}
	if err := s.refresh(); err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("serving http://%v/\n", ln.Addr())
	log.Fatal(http.Serve(ln, s))
}

// open returns the project's tree or, under Bazel, of the tree what a file lists.
func open(list string) (fs.FS, error) {
	if list == "" {
		top, err := pages.Top()
		return os.DirFS(top), err
	}
	names, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	tree := fstest.MapFS{}
	for _, name := range strings.Fields(string(names)) {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		tree[name] = &fstest.MapFile{Data: data}
	}
	return tree, nil
}

// write writes the site into a folder.
func write(dir string, files map[string][]byte) error {
	for name, data := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// server serves the site as the tree is at the moment.
type server struct {
	tree  fs.FS
	links Links

	mu    sync.Mutex
	state string            // of the tree that files were made of
	files map[string][]byte // the site
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	err := s.refresh()
	files := s.files
	s.mu.Unlock()
	if err != nil {
		log.Print(err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if _, ok := files[name]; !ok {
		name = path.Join(name, "index.html")
		if _, ok := files[name]; ok && !strings.HasSuffix(r.URL.Path, "/") {
			http.Redirect(w, r, path.Base(r.URL.Path)+"/", http.StatusFound) // its links are relative
			return
		}
	}
	data, ok := files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, name, time.Time{}, strings.NewReader(string(data)))
}

// refresh builds the site if the tree has changed.
func (s *server) refresh() error {
	state, err := fingerprint(s.tree)
	if err != nil || state == s.state {
		return err
	}
	start := time.Now()
	files, err := Build(s.tree, s.links)
	if err != nil {
		return err
	}
	if s.state != "" {
		fmt.Printf("built again in %v\n", time.Since(start).Round(time.Millisecond))
	}
	s.state, s.files = state, files
	return nil
}

// fingerprint changes when a file of the tree does.
func fingerprint(tree fs.FS) (string, error) {
	var b strings.Builder
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has gone meanwhile
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		if info, err := entry.Info(); err == nil && entry.Type().IsRegular() {
			fmt.Fprintln(&b, name, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return b.String(), err
}
