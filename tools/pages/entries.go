package pages

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// entriesFile has what Node's modules can do, an entry a line. Its first line names
// the columns; a line that begins with "# " begins a group.
const (
	entriesFile   = "node_api/entries.tsv"
	entryColumns  = "node\tsince\tgo\tsections\ten\tzh"
	entryIsEnough = "-" // in place of sections: the sentence says it all
)

// counted are the modules whose entries make the sum; other groups are extra.
var counted = []string{"net", "dgram"}

type entryGroup struct {
	module  string
	prefix  string    // of its entries' anchors
	title   [2]string // as all pairs here in the order of Languages
	entries []entry
}

type entry struct {
	line         int
	anchor       string
	node         [2]string
	since, inGo  string
	sections     []string // as tcp_server:half_open
	needsSection bool     // it has none, and its sentence is not all there is to say
	sentence     [2]string
}

var (
	notSlug  = regexp.MustCompile(`[^a-z0-9]+`)
	letters  = regexp.MustCompile(`[A-Za-z]{2,}`)
	versions = regexp.MustCompile(`^(?:\d+\.\d+(?:, \d+\.\d+)*|after 20|unreleased)?$`)
)

// inChinese has the words that may stand beside code without a Chinese form of their own.
var inChinese = strings.NewReplacer("`, option `", "`，选项 `", "`, argument `", "`，参数 `", "event `", "事件 `", "option `", "选项 `", "argument `", "参数 `", "class `", "类 `", "`, `", "`、`")

// readEntries returns the groups of the table, and what is amiss in it, line by line.
func readEntries(tree fs.FS) (groups []entryGroup, amiss []string, err error) {
	data, err := fs.ReadFile(tree, entriesFile)
	if err != nil {
		return nil, nil, err
	}
	at := map[string]int{} // anchors
	for n, text := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		say := func(format string, args ...any) {
			amiss = append(amiss, fmt.Sprintf("%s:%d: ", entriesFile, n+1)+fmt.Sprintf(format, args...))
		}
		cells := strings.Split(text, "\t")
		if n == 0 {
			if text != entryColumns {
				say("the first line must name the columns: %q", entryColumns)
			}
			continue
		}
		if module, ok := strings.CutPrefix(cells[0], "# "); ok {
			if len(cells) != 4 || slices.Contains(cells, "") {
				say("a group is # MODULE, the beginning of its anchors, and its title in English and in Chinese, with tabs between")
				continue
			}
			groups = append(groups, entryGroup{module: module, prefix: cells[1], title: [2]string(cells[2:])})
			continue
		}
		if len(cells) != 6 || cells[0] == "" {
			say("an entry has 6 cells with tabs between, the first not empty; here are %d", len(cells))
			continue
		} else if len(groups) == 0 {
			say("above the first entry a group must begin: # MODULE")
			continue
		}
		group := &groups[len(groups)-1]
		e := entry{line: n + 1, since: cells[1], inGo: cells[2], sentence: [2]string(cells[4:])}
		en, zh, both := strings.Cut(cells[0], " | ")
		if !both {
			zh = inChinese.Replace(en)
		}
		e.node = [2]string{en, zh}
		if letters.MatchString(blankSpans(zh)) && !both {
			say("its name has words beside code, and so needs a Chinese form: ENGLISH | CHINESE")
		}
		if letters.MatchString(blankSpans(e.inGo)) {
			say("Go's counterpart is code, in backquotes: words belong into the sentence")
		}
		if !versions.MatchString(e.since) {
			say(`since %q is neither versions, as "22.12, 23.1", nor "after 20" or "unreleased"`, e.since)
		}
		if e.inGo == "" && e.sentence[0] == "" {
			say("where Go has no counterpart a sentence has to say so")
		}
		if (e.sentence[0] == "") != (e.sentence[1] == "") {
			say("its sentence is in one language only")
		}
		switch {
		case cells[3] != entryIsEnough:
			e.sections = strings.Fields(cells[3])
			e.needsSection = len(e.sections) == 0
		case e.sentence[0] == "":
			say("it has neither a section nor a sentence: without %q it says that there is no section yet", entryIsEnough)
		}
		e.anchor = strings.Trim(notSlug.ReplaceAllString(strings.ToLower(en), "-"), "-")
		if !strings.HasPrefix(e.anchor+"-", group.prefix+"-") {
			e.anchor = group.prefix + "-" + e.anchor
		}
		if first := at[e.anchor]; first > 0 {
			say("the same entry is on line %d: both would have the anchor %s", first, e.anchor)
		}
		at[e.anchor] = n + 1
		group.entries = append(group.entries, e)
	}
	return groups, amiss, nil
}

// entryWords are those of the index, by language.
var entryWords = [2]struct {
	counts, table                 string
	notYet, comma, stop           string
	since, afterwards, unreleased string
}{{
	counts: "%d entries of `net` and `dgram`: %d with a section, %d with a sentence, %d with no section yet.", table: "| Node | Go | explained |",
	notYet: "*No section yet.* ", comma: ", ", stop: ". ",
	since: " (%s)", afterwards: "after 20", unreleased: "not released yet",
}, {
	counts: "`net` 和 `dgram` 共 %d 条：%d 条有章节，%d 条一句话说明，%d 条尚无章节。", table: "| Node | Go | 说明 |",
	notYet: "*尚无章节*。", comma: "、", stop: "。",
	since: "（%s）", afterwards: "20 之后", unreleased: "尚未发布",
}}

// entryTables are the index: links to its groups, how many entries there are, and a
// table for each group.
func (w *weaver) entryTables(page string) (string, error) {
	language := slices.Index(Languages, path.Base(page))
	if language < 0 {
		return "", fmt.Errorf("only a README.md or README.zh-CN.md has it")
	}
	groups, _, err := readEntries(w.tree)
	if err != nil {
		return "", err
	}
	words := entryWords[language]
	var links, tables []string
	var sum [4]int
	for _, g := range groups {
		title := g.title[language]
		links = append(links, fmt.Sprintf("[%s](#%s)", title, Anchor(title)))
		tables = append(tables, "", "## "+title, "", words.table, "|---|---|---|")
		for _, e := range g.entries {
			tables = append(tables, w.entryRow(page, language, e))
		}
		if slices.Contains(counted, g.module) {
			for i, n := range g.count() {
				sum[i] += n
			}
		}
	}
	top := []string{strings.Join(links, " ·\n"), "", fmt.Sprintf(words.counts, sum[0], sum[1], sum[2], sum[3])}
	return strings.Join(append(top, tables...), "\n"), nil
}

// count is of entries: all, with a section, with a sentence that is enough, and the rest.
func (g entryGroup) count() (n [4]int) {
	for _, e := range g.entries {
		n[0]++
		switch {
		case e.needsSection:
			n[3]++
		case len(e.sections) == 0:
			n[2]++
		default:
			n[1]++
		}
	}
	return n
}

func (w *weaver) entryRow(page string, language int, e entry) string {
	words := entryWords[language]
	name := e.node[language]
	switch e.since {
	case "":
	case "after 20":
		name += fmt.Sprintf(words.since, words.afterwards)
	case "unreleased":
		name += fmt.Sprintf(words.since, words.unreleased)
	default:
		name += fmt.Sprintf(words.since, strings.ReplaceAll(e.since, ", ", words.comma))
	}
	inGo := cmp.Or(e.inGo, "–")
	if language > 0 {
		inGo = inChinese.Replace(inGo)
	}
	var links []string
	for _, section := range e.sections {
		links = append(links, fmt.Sprintf("[%s](%s)", section,
			Relative(page, path.Join(strings.Replace(section, ":", "/", 1), Languages[language]))))
	}
	where := strings.Join(links, words.comma)
	switch sentence := e.sentence[language]; {
	case e.needsSection:
		where = strings.TrimSpace(words.notYet + sentence)
	case where != "" && sentence != "":
		where += words.stop + sentence
	default:
		where += sentence
	}
	return fmt.Sprintf(`| <a id="%s"></a>%s | %s | %s |`, e.anchor, cell(name), cell(inGo), cell(where))
}

// entries looks at the index, if there is one.
func (i *inventory) entries(chapters []Chapter) {
	groups, amiss, err := readEntries(i.tree)
	if errors.Is(err, fs.ErrNotExist) {
		return // a page that includes it says so
	} else if err != nil {
		i.say("%v", err)
	}
	i.amiss = append(i.amiss, amiss...)
	for _, language := range Languages {
		if name := path.Join(path.Dir(entriesFile), language); i.needPage(name) {
			i.needInclude(name, "entries")
			i.commands(name)
		}
	}
	i.pair(path.Dir(entriesFile))

	named := map[string]int{} // by a line
	for _, g := range groups {
		for _, e := range g.entries {
			for _, section := range e.sections {
				named[section] = e.line
			}
		}
	}
	for _, c := range chapters {
		for _, s := range c.Sections {
			section := s.Chapter + ":" + s.Name
			if named[section] == 0 {
				i.say("%s: no entry names the section %s: name it where it belongs, or, if Node has nothing of the kind, in the last group", entriesFile, section)
			}
			delete(named, section)
		}
	}
	for _, section := range slices.Sorted(maps.Keys(named)) {
		i.say("%s:%d: there is no section %s", entriesFile, named[section], section)
	}
}
