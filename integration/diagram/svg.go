package diagram

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// Sizes of an SVG, in its own units, one of which is a pixel unless it is scaled.
const (
	letter = 7.25 // width of a letter of 12, in about any font of one width
	row    = 30.0 // from arrow to arrow
	box    = 28.0 // height of a party's box
	margin = 1.0
)

// SVG returns the diagram as an image that needs nothing else: put it into a page
// or into a file. A page's stylesheet may set each colour, as in --wire-syn, and the
// ground, --wire-ground; the rest is in the page's own colour. The words for a screen
// reader, and for whom the mouse is on an arrow, are in a language, en or zh-CN.
func (d Diagram) SVG(lang string) []byte {
	x, width := d.columns()
	top := margin + box + 26
	height := top + row*float64(max(0, len(d.Steps)-1)) + 20

	var b bytes.Buffer
	title, desc := d.words(lang)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="wire" role="img" lang="%s" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" fill="none" stroke="currentColor" stroke-width="1">
<title>%s</title>
<desc>%s</desc>
<style>%s</style>
`, html.EscapeString(lang), width, height, width, height, title, desc, d.style())
	for i, p := range d.Parties {
		w := boxWidth(p)
		fmt.Fprintf(&b, `<path class="lifeline" d="M%.1f %.1fV%.1f"/><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="6"/><text class="party" x="%.1f" y="%.1f">%s</text>
`, x[i], margin+box, height, x[i]-w/2, margin, w, box, x[i], margin+box/2+4, html.EscapeString(p))
	}
	for i, s := range d.Steps {
		y := top + row*float64(i)
		from, to, ok := d.between(s)
		if !ok {
			middle := (x[0] + x[len(x)-1]) / 2
			fmt.Fprintf(&b, `<text class="note" x="%.1f" y="%.1f">%s</text>
`, max(middle, textWidth(s.Label)/2), y-2, html.EscapeString(s.Label))
			continue
		}
		k, full := kindOf(s.Label, lang)
		left, right := min(x[from], x[to]), max(x[from], x[to])
		fmt.Fprintf(&b, `<g class="%s"><title>%s → %s
%s</title><rect class="hit" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/><text x="%.1f" y="%.1f">%s</text>`,
			k.class, html.EscapeString(s.From), html.EscapeString(s.To), html.EscapeString(full),
			left, y-19, right-left, row-2, (left+right)/2, y-6, html.EscapeString(s.Label))
		b.WriteString(k.arrow(x[from], x[to], y))
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// arrow returns the paths of an arrow along y.
func (l *look) arrow(from, to, y float64) string {
	way := 1.0 // to the right
	if to < from {
		way = -1
	}
	end, head := to, ""
	at := func(back float64) float64 { return to - way*back }
	switch l.head {
	case filled:
		end = at(8)
		head = fmt.Sprintf(`<path class="head" d="M%.1f %.1fL%.1f %.1f V%.1fZ"/>`, to, y, at(9), y-4.5, y+4.5)
	case barred:
		end = at(11)
		head = fmt.Sprintf(`<path class="head" d="M%.1f %.1fL%.1f %.1f V%.1fZ"/><path d="M%.1f %.1fV%.1f" stroke-width="2"/>`,
			at(3), y, at(12), y-4.5, y+4.5, at(2), y-5.5, y+5.5)
	case open:
		end = at(1)
		head = fmt.Sprintf(`<path d="M%.1f %.1fL%.1f %.1f L%.1f %.1f" stroke-width="1.2"/>`, at(8), y-4.5, at(0.5), y, at(8), y+4.5)
	case cross:
		end = at(10)
		head = fmt.Sprintf(`<path d="M%.1f %.1fL%.1f %.1f M%.1f %.1fL%.1f %.1f" stroke-width="2"/>`,
			at(14), y-5, at(4), y+5, at(14), y+5, at(4), y-5)
	case ring:
		end = at(10)
		head = fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="4" stroke-width="1.5"/>`, at(6), y)
	}
	dash := ""
	if l.dash != "" {
		dash = fmt.Sprintf(` stroke-dasharray="%s"`, l.dash)
	}
	return fmt.Sprintf(`<path d="M%.1f %.1fH%.1f" stroke-width="%g"%s/>`, from, y, end, l.width, dash) + head
}

// columns returns where the parties' lines stand, so far apart that each label has
// room over its arrow, and the width of it all.
func (d Diagram) columns() (x []float64, width float64) {
	for i, p := range d.Parties {
		if i == 0 {
			x = append(x, margin+boxWidth(p)/2)
			continue
		}
		x = append(x, x[i-1]+max(170, boxWidth(d.Parties[i-1])/2+boxWidth(p)/2+16))
	}
	for _, s := range d.byLength() {
		from, to, _ := d.between(s)
		left, right := min(from, to), max(from, to)
		lack := textWidth(s.Label) + 36 - (x[right] - x[left])
		for i := right; i < len(x) && lack > 0; i++ {
			x[i] += lack
		}
	}
	for _, s := range d.Steps {
		width = max(width, textWidth(s.Label))
	}
	n := len(x) - 1
	return x, max(width, x[n]+boxWidth(d.Parties[n])/2+margin)
}

func boxWidth(party string) float64 { return max(72, textWidth(party)+24) }

func textWidth(text string) float64 { return float64(cells(text)) * letter }

// words returns what a screen reader says of the diagram: a name, and all of it.
func (d Diagram) words(lang string) (title, desc string) {
	var all strings.Builder
	for i, s := range d.Steps {
		said := s.Label
		if _, _, ok := d.between(s); ok && strings.HasPrefix(lang, "zh") {
			said = fmt.Sprintf("%s 到 %s：%s", s.From, s.To, s.Label)
		} else if ok {
			said = fmt.Sprintf("%s to %s: %s", s.From, s.To, s.Label)
		}
		if strings.HasPrefix(lang, "zh") {
			fmt.Fprintf(&all, "%d. %s。", i+1, said)
		} else {
			fmt.Fprintf(&all, "%d. %s. ", i+1, said)
		}
	}
	names := strings.Join(d.Parties, ", ")
	title = "Sequence diagram: what crosses the wire between " + names
	if strings.HasPrefix(lang, "zh") {
		title = "时序图：" + strings.Join(d.Parties, "、") + " 之间的网络上传了什么"
	}
	return html.EscapeString(title), html.EscapeString(strings.TrimSpace(all.String()))
}

// style is the stylesheet. All of it is below .wire, so that it changes nothing
// else on a page; what light-dark() does not mean anything to draws in one colour.
func (d Diagram) style() string {
	var b strings.Builder
	b.WriteString(`
svg.wire{max-width:100%;height:auto}
svg.wire:root{color-scheme:light dark;color:CanvasText}
.wire text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;text-anchor:middle;fill:currentColor;stroke:var(--wire-ground,Canvas);stroke-width:4;paint-order:stroke;stroke-linejoin:round}
.wire .party{font-weight:600;stroke:none}
.wire .note{font-style:italic}
.wire .lifeline{opacity:.4}
.wire .head{fill:currentColor;stroke:none}
.wire .hit{stroke:none;pointer-events:all}
.wire g:hover .hit{fill:currentColor;opacity:.1}
`)
	used := map[*look]bool{}
	for _, s := range d.Steps {
		if k, _ := kindOf(s.Label, ""); k.light != "" && !used[k.look] {
			used[k.look] = true
			l := k.look
			fmt.Fprintf(&b, ".wire .%s{color:var(--wire-%s,light-dark(%s,%s))}\n", l.class, l.class, l.light, l.dark)
		}
	}
	return b.String()
}
