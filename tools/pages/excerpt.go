package pages

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
)

// span is a stretch of lines, from 0, the last one counted in.
type span struct{ first, last int }

var (
	regionLine = regexp.MustCompile(`^\s*//weave:([a-z0-9]\w*)\s*$`)
	regionLike = regexp.MustCompile(`^\s*//\s*weave:`)
)

// excerpt returns of a source file what is called name: a declaration with its
// comment, or a region,
//
//	//weave:name
//	…
//	//weave:end
//
// With no name it is the whole file. Markers are never part of it.
func excerpt(file, source, name string) (string, error) {
	lines := strings.Split(strings.TrimRight(source, "\n"), "\n")
	found, err := regions(lines, name)
	if err != nil {
		return "", err
	}
	if name == "" {
		return strings.Join(unmarked(lines), "\n"), nil
	}
	switch path.Ext(file) {
	case ".go":
		declared, err := goDeclarations(file, source, name)
		if err != nil {
			return "", err
		}
		found = append(found, declared...)
	case ".js":
		found = append(found, jsDeclarations(lines, name)...)
	default:
		return "", fmt.Errorf("excerpts are of .go and .js files")
	}
	if len(found) == 0 {
		return "", fmt.Errorf("there is no top-level declaration and no region //weave:%s", name)
	}
	text := func(s span) string { return strings.Join(dedent(unmarked(lines[s.first:s.last+1])), "\n") }
	for _, other := range found[1:] { // a region may be just what is declared
		if text(other) != text(found[0]) {
			return "", fmt.Errorf("%s stands for two things, on lines %d and %d: rename the region", name, found[0].first+1, other.first+1)
		}
	}
	return text(found[0]), nil
}

// regions returns the regions of that name, and complains about any that is not
// well formed.
func regions(lines []string, name string) (found []span, err error) {
	open, begin := "", 0
	for i, line := range lines {
		m := regionLine.FindStringSubmatch(line)
		switch {
		case m == nil && regionLike.MatchString(line):
			return nil, fmt.Errorf("line %d: a marker is //weave:name or //weave:end, with a small first letter, alone on its line", i+1)
		case m == nil:
		case m[1] != "end" && open != "":
			return nil, fmt.Errorf("line %d: region %s begins within region %s", i+1, m[1], open)
		case m[1] != "end":
			open, begin = m[1], i
		case open == "":
			return nil, fmt.Errorf("line %d: //weave:end without a region", i+1)
		default:
			if open == name {
				found = append(found, span{begin, i})
			}
			open = ""
		}
	}
	if open != "" {
		return nil, fmt.Errorf("line %d: region %s has no //weave:end", begin+1, open)
	}
	return found, nil
}

// goDeclarations returns the top-level declarations of that name, a method's is
// Type.Method. A group of constants, variables or types goes by each of its names.
func goDeclarations(file, source, name string) (found []span, err error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, path.Base(file), source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, decl := range parsed.Decls {
		var names []string
		var doc *ast.CommentGroup
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			names, doc = []string{receiver(decl) + decl.Name.Name}, decl.Doc
		case *ast.GenDecl:
			doc = decl.Doc
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, n := range spec.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
		for _, n := range names {
			if n != name {
				continue
			}
			begin := decl.Pos()
			if doc != nil {
				begin = doc.Pos()
			}
			found = append(found, span{fset.Position(begin).Line - 1, fset.Position(decl.End()).Line - 1})
		}
	}
	return found, nil
}

// receiver is "T." for a method of T or *T.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	switch generic := of.(type) {
	case *ast.IndexExpr:
		of = generic.X
	case *ast.IndexListExpr:
		of = generic.X
	}
	if t, ok := of.(*ast.Ident); ok {
		return t.Name + "."
	}
	return ""
}

// jsDeclarations does without a parser, since our scripts are all of one shape:
// a statement begins in column 0; it is one line, or ends with the next line
// that has }, ) or ] there, or with the last indented one.
func jsDeclarations(lines []string, name string) (found []span) {
	begins := regexp.MustCompile(`^(?:export )?(?:(?:async )?function\s*\*?\s*|class |const |let |var )` + regexp.QuoteMeta(name) + `(?:[^\w$]|$)`)
	for first, line := range lines {
		if !begins.MatchString(line) {
			continue
		}
		last := first
	body:
		for i := first + 1; i < len(lines); i++ {
			text := lines[i]
			switch {
			case text == "":
			case strings.ContainsRune("})]", rune(text[0])):
				last = i
				code, _, _ := strings.Cut(text, " //")
				if !strings.ContainsRune("{([", rune(code[len(code)-1])) { // as in }, () => {
					break body
				}
			case text[0] != ' ' && text[0] != '\t':
				break body
			default:
				last = i
			}
		}
		for first > 0 && jsComment.MatchString(lines[first-1]) {
			first--
		}
		found = append(found, span{first, last})
	}
	return found
}

var jsComment = regexp.MustCompile(`^(?://|/\*| \*)`)

// unmarked leaves the markers out, and blank lines that would be left without
// need: at either end, or two together.
func unmarked(lines []string) (kept []string) {
	marked := false
	for _, line := range lines {
		if regionLine.MatchString(line) {
			marked = true
			continue
		}
		if line == "" && (len(kept) == 0 || marked && kept[len(kept)-1] == "") {
			continue
		}
		kept, marked = append(kept, line), false
	}
	for len(kept) > 0 && kept[len(kept)-1] == "" {
		kept = kept[:len(kept)-1]
	}
	return kept
}

// dedent takes away the white space that all lines begin with.
func dedent(lines []string) []string {
	common, first := "", true
	for _, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		switch {
		case line == "":
		case first:
			common, first = indent, false
		default:
			for !strings.HasPrefix(indent, common) {
				common = common[:len(common)-1]
			}
		}
	}
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.TrimPrefix(line, common)
	}
	return out
}
