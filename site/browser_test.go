package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/lab"
	"example.com/sockets/tools/pages"
)

// tab is a tab of a real Chromium, and what it has asked for and complained of.
type tab struct {
	context.Context
	site string // the address of the site, served

	mu         sync.Mutex
	requests   []string
	complaints []string
}

// TestBrowser opens the site in Chromium, which can reach this machine only.
func TestBrowser(t *testing.T) {
	chromium := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && chromium == "" {
			chromium = found
		}
	}
	lab.Require(t, "chromium", chromium != "")
	files := site(t)
	dir := t.TempDir()
	assert.NilError(t, write(dir, files))
	served := httptest.NewServer(&server{tree: tree, links: Links{Source: "https://source.example/us/sockets"}})
	t.Cleanup(served.Close)

	ctx, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(chromium),
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	assert.NilError(t, chromedp.Do(ctx))

	for _, test := range []struct {
		name string
		run  func(*testing.T, *tab)
	}{
		{"Pages", testPages},
		{"Columns", testColumns},
		{"Drawn", testDrawn},
		{"Keyboard", testKeyboard},
		{"Copy", testCopy},
		{"Search", testSearch},
		{"Themes", testThemes},
		{"Language", testLanguage},
		{"EnglishIsTold", testEnglishIsTold},
		{"Folded", testFolded},
		{"Print", testPrint},
		{"ScriptsOff", testScriptsOff},
		{"File", func(t *testing.T, b *tab) {
			b.site = "file://" + filepath.ToSlash(dir)
			testSearch(t, b)
			testCopy(t, b)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, stop := chromedp.NewContext(ctx)
			defer stop()
			ctx, stopTime := context.WithTimeout(ctx, 10*time.Minute)
			defer stopTime()
			b := &tab{Context: ctx, site: served.URL}
			assert.NilError(t, chromedp.Do(ctx))
			assert.NilError(t, chromedp.Listen(ctx, b.hear))
			call(t, b, log.Enable, cdp.Empty{})
			call(t, b, network.Enable, network.EnableParams{})
			call(t, b, runtime.Enable, cdp.Empty{})
			test.run(t, b)
			for _, to := range b.asked() {
				if !strings.HasPrefix(to, b.site+"/") && !strings.HasPrefix(to, "data:") && !strings.HasPrefix(to, "file:") {
					t.Errorf("the browser asked for %s", to)
				}
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, complaint := range b.complaints {
				t.Error(complaint)
			}
		})
	}
}

func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprintf("console.%s", e.Type))
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, fmt.Sprintf("%s: %s", e.Entry.URL, e.Entry.Text))
	}
}

// asked returns what the tab has asked for since the last time.
func (b *tab) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	requests := b.requests
	b.requests = nil
	return requests
}

func (b *tab) run(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	assert.NilError(t, chromedp.Do(b, steps...))
}

// call has the browser do what is not there as an action.
func call[P, R any](t *testing.T, b *tab, command cdp.Command[P, R], params P) {
	t.Helper()
	_, err := chromedp.Call(b, command, params)
	assert.NilError(t, err)
}

func (b *tab) open(t *testing.T, page string) {
	t.Helper()
	b.run(t, chromedp.Navigate(b.site+"/"+page))
}

// eval returns what a JavaScript expression comes to.
func eval[T any](t *testing.T, b *tab, expression string) T {
	t.Helper()
	value, err := chromedp.Run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	assert.NilError(t, err, expression)
	return value
}

// do runs a JavaScript statement.
func (b *tab) do(t *testing.T, statement string) {
	t.Helper()
	b.run(t, chromedp.Evaluate[chromedp.Void](statement))
}

// until waits for a JavaScript expression to become true.
func (b *tab) until(t *testing.T, expression string) {
	t.Helper()
	b.run(t, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(5*time.Minute)))
}

func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

func focus(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Focus(chromedp.CSS(selector))
}

// leads does what leads to another page, waits for that, and returns where it is.
func (b *tab) leads(t *testing.T, step chromedp.Action[chromedp.Void]) string {
	t.Helper()
	return after(t, b, page.LoadEventFired, step)
}

// after waits for the event that a step brings about, and returns the tab's address.
func after[E any](t *testing.T, b *tab, event cdp.Event[E], step chromedp.Action[chromedp.Void]) string {
	t.Helper()
	events := chromedp.Events(b, event)
	b.run(t, step)
	for _, err := range events {
		assert.NilError(t, err)
		break
	}
	to, err := chromedp.Run(b, chromedp.Location())
	assert.NilError(t, err)
	return strings.TrimPrefix(to, b.site+"/")
}

// faint lists the texts that are not readable enough on their ground: WCAG 2.2, 1.4.3,
// asks for a contrast of 4.5.
const faint = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const known = new Map()
  const rgba = (colour) => {
    if (!known.has(colour)) {
      canvas.clearRect(0, 0, 1, 1)
      canvas.fillStyle = colour
      canvas.fillRect(0, 0, 1, 1)
      known.set(colour, [...canvas.getImageData(0, 0, 1, 1).data])
    }
    return known.get(colour)
  }
  const luminance = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const found = new Set()
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement
    const style = getComputedStyle(e)
    if (!walk.currentNode.data.trim() || !e.checkVisibility() || style.fontSize === '0px' || e.closest('style, title, desc')) continue
    const text = rgba(e instanceof SVGElement ? style.fill : style.color)
    let ground = e
    while (ground && rgba(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement
    const [a, b] = [luminance(text), luminance(rgba(ground ? getComputedStyle(ground).backgroundColor : 'Canvas'))].sort((x, y) => y - x)
    const contrast = (a + 0.05) / (b + 0.05)
    if (contrast < 4.5) found.add(contrast.toFixed(1) + ' ' + e.tagName + '.' + e.getAttribute('class') + ': ' + walk.currentNode.data.trim().slice(0, 30))
  }
  return [...found]
})()`

// wide lists what is wider than the window, and would have the page, or its contents,
// scroll sideways.
const wide = `document.querySelector('.menu nav').scrollWidth > document.querySelector('.menu nav').clientWidth ? ['.menu nav'] : document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll('main *, header *, footer *')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)
    .map((e) => e.tagName + '.' + e.getAttribute('class')).concat(document.documentElement.scrollWidth).slice(0, 5)`

// No page scrolls sideways at 360 pixels; all text has the contrast that WCAG asks
// for at level AA, in light and dark; a page asks for five files at most, 100 kB in all.
func testPages(t *testing.T, b *tab) {
	files := site(t)
	call(t, b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 360, Height: 800, DeviceScaleFactor: 1})
	for i, file := range htmlFiles(files) {
		if name := path.Base(file); name != "index.html" && name != "zh.html" && i%10 > 0 {
			continue // one source looks like another
		}
		b.open(t, file)
		if n := len(slices.Compact(b.asked())); n > 5 {
			t.Errorf("%s asks for %d files", file, n)
		}
		top := eval[[]float64](t, b, `['.home', '.menu summary', '.theme'].map((s) => document.querySelector(s).getBoundingClientRect()).map((r) => r.top + r.height / 2)`)
		assert.Assert(t, slices.Max(top)-slices.Min(top) < 8, "%s: what stands at the top is in two lines: %v", file, top)
		b.do(t, `document.querySelectorAll('details').forEach((d) => { d.open = true })`)
		if found := eval[[]any](t, b, wide); len(found) > 0 {
			t.Errorf("%s at 360 pixels: %v", file, found)
		}
		for _, scheme := range []string{"light", "dark"} {
			b.do(t, `document.documentElement.style.colorScheme = '`+scheme+`'`)
			if found := eval[[]string](t, b, faint); len(found) > 0 {
				t.Errorf("%s, %s: %q", file, scheme, found)
			}
		}
	}
}

// Where Node stands beside Go neither column is mostly empty, and a line of a program
// has room for 70 characters. The names on the chapters' cards break between
// their parts.
func testColumns(t *testing.T, b *tab) {
	chapters, err := pages.Chapters(tree)
	assert.NilError(t, err)
	for _, width := range []int64{1000, 1400} {
		call(t, b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1})
		pairs := 0
		for _, c := range chapters {
			for _, s := range c.Sections {
				b.open(t, s.Path()+"/index.html")
				for _, share := range eval[[]float64](t, b, `[...document.querySelectorAll('.compare')]
				  .map((pair) => [...pair.children].map((side) => side.lastElementChild.getBoundingClientRect().bottom - side.getBoundingClientRect().top))
				  .filter(() => getComputedStyle(document.querySelector('.compare')).gridTemplateColumns.includes(' '))
				  .map(([a, b]) => Math.min(a, b) / Math.max(a, b))`) {
					assert.Assert(t, share > 0.4, "%s at %d pixels: one column is %.0f%% of the other", s.Path(), width, 100*share)
					pairs++
				}
				room := eval[float64](t, b, `Math.min(...[...document.querySelectorAll('main .src')].filter((e) => e.checkVisibility()).map((e) => {
				  const style = getComputedStyle(e)
				  return (e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)) / (0.61 * parseFloat(style.fontSize))
				}))`)
				assert.Assert(t, room >= 70, "%s at %d pixels: %v characters", s.Path(), width, room)
			}
		}
		assert.Equal(t, pairs > 40, width == 1400, "%d pairs at %d pixels", pairs, width)
	}
	for _, width := range []int64{360, 1000, 1400} {
		call(t, b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1})
		for _, start := range []string{"index.html", "zh.html"} {
			b.open(t, start)
			broken := eval[[]string](t, b, `(() => {
			  document.querySelector('.cards').style.overflowWrap = 'normal' // no other breaks
			  return [...document.querySelectorAll('.cards :is(dt, dd)')].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)
			})()`)
			assert.DeepEqual(t, broken, []string{})
		}
	}
}

// What is drawn is seen whole, where there is room.
func testDrawn(t *testing.T, b *tab) {
	call(t, b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 1400, Height: 900, DeviceScaleFactor: 1})
	for _, page := range []string{"index.html", "integration/judge/index.html", "integration/judge/zh.html"} {
		b.open(t, page)
		assert.Assert(t, eval[bool](t, b, `document.querySelector('.drawn').scrollWidth <= document.querySelector('.drawn').clientWidth`), page)
	}
}

// The language of an English page is told beside a link to it on a Chinese one.
func testEnglishIsTold(t *testing.T, b *tab) {
	b.open(t, "zh.html")
	after := func(link string) string {
		return eval[string](t, b, "getComputedStyle(document.querySelector('"+link+"'), '::after').content")
	}
	assert.Equal(t, after(`.menu a[href="integration/index.html"]`), `"（英文）"`)
	assert.Equal(t, after(`main a[href="site/index.html"]`), `"（英文）"`)
	assert.Equal(t, after(`.menu a[href="integration/judge/zh.html"]`), "none")
	assert.Equal(t, after(".language"), "none")
}

// The keyboard alone reaches all that can be clicked, shows where it is, opens what
// is folded, and goes to what the search has found.
func testKeyboard(t *testing.T, b *tab) {
	b.open(t, "tcp_server/half_open/index.html")
	b.do(t, `[...document.querySelectorAll('a[href], button, summary, input')].filter((e) => e.checkVisibility()).forEach((e) => { e.dataset.todo = '' })`)
	todo := eval[int](t, b, `document.querySelectorAll('[data-todo]').length`)
	assert.Assert(t, todo > 25, todo)
	for range todo {
		b.run(t, chromedp.KeyEvent(kb.Tab))
		left := eval[string](t, b, `(() => {
		  const e = document.activeElement
		  delete e.dataset.todo
		  return getComputedStyle(e).outlineStyle === 'none' ? e.outerHTML : ''
		})()`)
		assert.Equal(t, left, "", "it does not show that it has the focus")
	}
	missed := eval[[]string](t, b, `[...document.querySelectorAll('[data-todo]')].map((e) => e.outerHTML)`)
	assert.DeepEqual(t, missed, []string{})

	b.run(t, focus(".menu summary"), chromedp.KeyEvent(kb.Enter))
	b.until(t, `document.querySelector('.menu').open && document.querySelector('.menu a').checkVisibility()`)
	b.run(t, chromedp.KeyEvent(kb.Escape))
	b.until(t, `!document.querySelector('.menu').open`)
	b.do(t, `document.activeElement.blur()`)
	b.run(t, chromedp.KeyEvent("/"))
	b.until(t, `document.activeElement.type === 'search'`)
	b.do(t, `document.activeElement.value = ''`) // what is held back from a reader is not from a machine
	b.run(t, chromedp.KeyEvent("setNoDelay"))
	b.until(t, `document.querySelector('.results a')`)
	b.run(t, chromedp.KeyEvent(kb.Tab))
	assert.Assert(t, strings.HasPrefix(b.leads(t, chromedp.KeyEvent(kb.Enter)), "tcp_client/no_delay/index.html"))
}

// What is copied of a program is its file; what is copied of a terminal is what was
// typed.
func testCopy(t *testing.T, b *tab) {
	_, err := chromedp.CallBrowser(b, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "clipboard-read"}, Setting: browser.PermissionSettingGranted,
	})
	assert.NilError(t, err)
	b.open(t, "tcp_server/half_open/zh.html")
	for id, file := range map[string]string{"main.go": "tcp_server/half_open/main.go", "main.js": "tcp_server/half_open/main.js"} {
		want, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
		assert.NilError(t, err)
		figure := fmt.Sprintf(`[id="%s"]`, id)
		b.run(t, click(fmt.Sprintf(`details:has(%s) summary`, figure)))
		assert.Equal(t, copied(t, b, figure), string(want))
	}
	assert.Equal(t, copied(t, b, ".terminal"), "./bazelw run //tcp_server:half_open")
}

// copied clicks a figure's button, and returns what that has put onto the clipboard.
func copied(t *testing.T, b *tab, figure string) string {
	t.Helper()
	b.run(t, click(figure+" .copy"))
	b.until(t, fmt.Sprintf(`document.querySelector(%q).textContent === document.querySelector("script").dataset.copied`, figure+" .copy"))
	return eval[string](t, b, `navigator.clipboard.readText()`)
}

// The search finds what is looked for, first the section that it is about, also of the
// other language, and leads to it.
func testSearch(t *testing.T, b *tab) {
	for _, c := range []struct{ page, query, want string }{
		{"tcp_client/index.html", "allowHalfOpen", "/tcp_server/half_open/index.html"},
		{"index.html", "CloseWrite", "/tcp_server/half_open/index.html"},
		{"index.html", "半关闭", "/tcp_server/half_open/zh.html"},
		{"tcp_client/zh.html", "半关闭", "/tcp_server/half_open/zh.html"},
		{"zh.html", "allowHalfOpen", "/tcp_server/half_open/zh.html"},
		{"zh.html", "CloseWrite", "/tcp_server/half_open/zh.html"},
		{"zh.html", "半关闭连接", "/tcp_server/half_open/zh.html"}, // no page has these words side by side
	} {
		b.open(t, c.page)
		b.run(t, focus(`input[type=search]`), chromedp.KeyEvent(c.query))
		b.until(t, `document.querySelector('.results a, .results p')`)
		found := eval[[]string](t, b, `[...document.querySelectorAll('.results a')].map((a) => a.href)`)
		assert.Assert(t, slices.ContainsFunc(found[:min(5, len(found))], func(to string) bool { return strings.Contains(to, c.want) }), "%s on %s found %q", c.query, c.page, found)
		to := b.leads(t, click(`.results a[href*="`+c.want+`"]`))
		assert.Assert(t, strings.HasPrefix("/"+to, c.want), to)
	}
	b.open(t, "index.html")
	b.run(t, focus(`input[type=search]`), chromedp.KeyEvent("[(*\\<b>xyzzy"))
	b.until(t, `document.querySelector('.results p')`)
	assert.Equal(t, eval[int](t, b, `document.querySelectorAll('.results a, .results b').length`), 0)
}

// The system's colours are taken, until a reader takes others: these stay.
func testThemes(t *testing.T, b *tab) {
	ground := func() string { return eval[string](t, b, `getComputedStyle(document.body).backgroundColor`) }
	b.open(t, "index.html")
	light := ground()
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	dark := ground()
	assert.Assert(t, light != dark)
	b.run(t, click(".theme"))
	assert.Equal(t, ground(), light)
	b.open(t, "tcp_server/zh.html")
	assert.Equal(t, ground(), light)
	b.run(t, click(".theme"))
	assert.Equal(t, ground(), dark)
}

// The language switch stays on the section.
func testLanguage(t *testing.T, b *tab) {
	b.open(t, "multicast/ttl/index.html")
	assert.Equal(t, b.leads(t, click(".language")), "multicast/ttl/zh.html")
	assert.Equal(t, eval[string](t, b, `document.documentElement.lang`), "zh-CN")
	assert.Equal(t, b.leads(t, click(".language")), "multicast/ttl/index.html")
	assert.Equal(t, eval[string](t, b, `document.documentElement.lang`), "en")
}

const (
	mainThere = `document.getElementById('main.go').checkVisibility()`
	mainShown = mainThere + ` && document.getElementById('main.go').getBoundingClientRect().top < innerHeight`
)

// A link to a program opens it, on its own page and from another.
func testFolded(t *testing.T, b *tab) {
	b.open(t, "tcp_server/half_open/index.html")
	assert.Assert(t, !eval[bool](t, b, mainThere))
	b.run(t, click(`main p a[href="#main.go"]`))
	b.until(t, mainShown)
	b.open(t, "multicast/source/index.html")
	b.do(t, `document.querySelectorAll('details').forEach((d) => { d.open = true })`)
	assert.Equal(t, b.leads(t, click(`a[href="../ttl/index.html#main.go"]`)), "multicast/ttl/index.html#main.go")
	b.until(t, mainShown)
}

// On paper there is the text, all of it, on a light ground, and nothing to click.
func testPrint(t *testing.T, b *tab) {
	b.open(t, "tcp_server/half_open/index.html")
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
	assert.Equal(t, eval[string](t, b, `getComputedStyle(document.body).backgroundColor`), "rgb(255, 255, 255)")
	assert.DeepEqual(t, eval[[]string](t, b, `[...document.querySelectorAll('header, footer, button')].filter((e) => e.checkVisibility()).map((e) => e.outerHTML)`), []string{})
	assert.Assert(t, eval[bool](t, b, `document.querySelector('main svg').checkVisibility()`))
	assert.Assert(t, eval[bool](t, b, mainThere))
}

// With scripts off there is nothing that needs one, and all else is there.
func testScriptsOff(t *testing.T, b *tab) {
	call(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open(t, "tcp_server/half_open/index.html")
	assert.DeepEqual(t, eval[[]string](t, b, `[...document.querySelectorAll('button, form')].filter((e) => e.checkVisibility()).map((e) => e.outerHTML)`), []string{})
	assert.Assert(t, eval[bool](t, b, `document.querySelector('main svg').checkVisibility()`))
	after(t, b, page.NavigatedWithinDocument, click(`main p a[href="#main.go"]`))
	assert.Assert(t, eval[bool](t, b, mainShown))
	b.run(t, click(`.menu summary`))
	assert.Equal(t, b.leads(t, click(`.menu a[href="../close/index.html"]`)), "tcp_server/close/index.html")
}
