package diagram

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
)

const halfOpen = `sequenceDiagram
    participant client
    participant server
    client->>server: SYN
    server->>client: SYN, ACK
    client->>server: ACK
    client->>server: 5 bytes, seq 1
    client->>server: FIN, seq 6
    Note over client,server: 0.4 s later
    server->>client: 5 bytes, seq 1
    client->>server: RST
`

const routed = `sequenceDiagram
    participant sender
    participant router
    participant member
    member->>router: IGMP join 230.185.192.108
    sender->>router: 5 bytes, TTL 2
    router->>member: 5 bytes, TTL 1
    member->>sender: ICMP port unreachable
`

func parse(t *testing.T, mmd string) Diagram {
	t.Helper()
	d, err := Parse(mmd)
	assert.NilError(t, err)
	return d
}

// What Mermaid writes Parse reads: they are each other's inverse.
func TestParse(t *testing.T) {
	for _, mmd := range []string{halfOpen, routed} {
		assert.Equal(t, parse(t, mmd).Mermaid(), mmd)
	}
	assert.DeepEqual(t, parse(t, halfOpen).Steps[5], Note("0.4 s later"))
}

// What is wrong is told with its line.
func TestParseErrors(t *testing.T) {
	const head = "sequenceDiagram\n    participant a\n    participant b\n"
	for mmd, want := range map[string]string{
		"":                                       `line 1: it ends too early: ""`,
		"graph TD\n":                             `line 1: no sequence diagram: "graph TD"`,
		"sequenceDiagram\n":                      `line 2: it ends too early: ""`,
		head + "    a->>b: SYN":                  `line 4: it ends too early: "    a->>b: SYN"`,
		head + "    a->>c: SYN\n":                `line 4: not from one participant to another: "    a->>c: SYN"`,
		head + "    a->>a: SYN\n":                `line 4: not from one participant to another: "    a->>a: SYN"`,
		head + "    a-->>b: SYN\n":               `line 4: neither participant nor arrow nor note: "    a-->>b: SYN"`,
		head + "    participant a\n":             `line 4: a participant too late or twice: "    participant a"`,
		head + "    Note over a: x\n":            `line 4: neither participant nor arrow nor note: "    Note over a: x"`,
		head + "    Note over a,a: x\n":          `line 4: a note that is not over all participants: "    Note over a,a: x"`,
		head + "    a->>b: SYN\n\n":              `line 5: neither participant nor arrow nor note: ""`,
		head + "    a->>b: SYN\n    b->>a: \t\n": `line 5: neither participant nor arrow nor note: "    b->>a: \t"`,
	} {
		_, err := Parse(mmd)
		assert.Error(t, err, want)
	}
}

func TestText(t *testing.T) {
	assert.Equal(t, "\n"+parse(t, halfOpen).Text(80, false), `
┌────────┐              ┌────────┐
│ client │              │ server │
└────┬───┘              └────┬───┘
     ├───────── SYN ────────►│
     │◄────── SYN, ACK ──────┤
     ├───────── ACK ────────>│
     ├━━━ 5 bytes, seq 1 ━━━►│
     ├╌╌╌╌╌ FIN, seq 6 ╌╌╌╌╌►│
     │      0.4 s later      │
     │◄━━━ 5 bytes, seq 1 ━━━┤
     ├───────── RST ────────╳│
     ╵                       ╵
`)
	assert.Equal(t, "\n"+parse(t, routed).Text(80, false), `
┌────────┐              ┌────────┐                       ┌────────┐
│ sender │              │ router │                       │ member │
└────┬───┘              └────┬───┘                       └────┬───┘
     │                       │○┄┄ IGMP join 230.185.192.108 ┄┄┤
     ├━━━ 5 bytes, TTL 2 ━━━►│                                │
     │                       ├━━━━━━━━ 5 bytes, TTL 1 ━━━━━━━►│
     │<╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ ICMP port unreachable ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤
     ╵                       ╵                                ╵
`)
}

// Where there is less room a label stands over its arrow, in as many lines as it
// needs, and where there is least of all the diagram is a list.
func TestTextNarrow(t *testing.T) {
	assert.Equal(t, "\n"+parse(t, routed).Text(40, false), `
┌────────┐   ┌────────┐       ┌────────┐
│ sender │   │ router │       │ member │
└────┬───┘   └────┬───┘       └────┬───┘
     │            │   IGMP join    │
     │            │230.185.192.108 │
     │            │○┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┤
     │5 bytes, TTL│                │
     │     2      │                │
     ├━━━━━━━━━━━►│                │
     │            │ 5 bytes, TTL 1 │
     │            ├━━━━━━━━━━━━━━━►│
     │<╌╌ ICMP port unreachable ╌╌╌┤
     ╵            ╵                ╵
`)
	assert.Equal(t, "\n"+parse(t, routed).Text(24, false), `
member → router: IGMP
join 230.185.192.108
sender → router: 5
bytes, TTL 2
router → member: 5
bytes, TTL 1
member → sender: ICMP
port unreachable
`)
}

// Never wider than the terminal, and nothing gets lost.
func TestTextFits(t *testing.T) {
	for _, mmd := range []string{halfOpen, routed, strings.ReplaceAll(routed, "router", "路由器")} {
		d := parse(t, mmd)
		for width := 2; width < 100; width++ {
			text := d.Text(width, false)
			for line := range strings.Lines(text) {
				assert.Assert(t, cells(strings.TrimSuffix(line, "\n")) <= width, "%d:\n%s", width, text)
			}
			for _, s := range d.Steps {
				for _, word := range strings.Fields(s.Label) {
					assert.Assert(t, width < 40 || strings.Contains(text, word), "%d, %s:\n%s", width, word, text)
				}
			}
		}
	}
}

// Colours change nothing else, and end with the line.
func TestTextColour(t *testing.T) {
	d := parse(t, halfOpen)
	sgr := regexp.MustCompile(`\x1b\[\d*m`)
	coloured := d.Text(80, true)
	assert.Equal(t, sgr.ReplaceAllString(coloured, ""), d.Text(80, false))
	for line := range strings.Lines(coloured) {
		if all := sgr.FindAllString(line, -1); all != nil {
			assert.Equal(t, all[len(all)-1], "\x1b[m")
		}
	}
	assert.Assert(t, strings.Contains(coloured, "\x1b[34m"), "a SYN is blue")
	assert.Assert(t, strings.Contains(coloured, "\x1b[31m"), "a RST is red")
}

func TestSVG(t *testing.T) {
	for name, mmd := range map[string]string{"tcp": halfOpen, "routed": routed} {
		for _, lang := range []string{"en", "zh-CN"} {
			golden.Assert(t, string(parse(t, mmd).SVG(lang)), fmt.Sprintf("%s.%s.svg", name, lang))
		}
	}
}

// It is well-formed whatever a label says, loads nothing, and all that is on it is in
// its description.
func TestSVGWhole(t *testing.T) {
	d := Diagram{[]string{"a", "b"}, []Step{{"a", "b", `<b> & "c"`}, Note("<i>"), {"b", "a", "SYN"}}}
	svg := string(d.SVG("en"))
	for x := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := x.Token(); err == io.EOF {
			break
		} else {
			assert.NilError(t, err)
		}
	}
	assert.Assert(t, !regexp.MustCompile(`href|url\(|@import|<script`).MatchString(svg))
	assert.Assert(t, strings.Contains(svg, "<desc>1. a to b: &lt;b&gt; &amp; &#34;c&#34;. 2. &lt;i&gt;. 3. b to a: SYN.</desc>"), svg)
}

// Kinds that have one colour differ in their dashes or their heads.
func TestLooksDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, l := range looks {
		drawn := fmt.Sprint(l.width, l.dash, l.head)
		assert.Equal(t, seen[drawn], "", l.class)
		seen[drawn] = l.class
	}
}
