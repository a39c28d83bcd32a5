package harness

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/wire"
)

// watch is the capture of one interface.
type watch struct {
	host   *lab.Host
	ifname string
	*wire.Capture
}

func (w watch) stop() { w.Capture.Close() }

// watch captures all interfaces of a host, from its first foreign program on.
func (r *record) watch(on *lab.Host) {
	if !lab.Isolated() || slices.ContainsFunc(r.wires, func(w watch) bool { return w.host == on }) {
		return
	}
	var cards []net.Interface
	on.Do(func() { cards, _ = net.Interfaces() })
	for _, card := range cards {
		if c, err := wire.Watch(on, card.Name); err == nil { // without it there is no diagram
			r.wires = append(r.wires, watch{on, card.Name, c})
		}
	}
}

// mostDrawn is how many arrows, and mostParties how many lifelines, people can read.
const mostDrawn, mostParties = 40, 6

// wire draws what crossed the wires before the test was over.
func (r *record) wire() *Wire {
	var events []wire.Event
	for _, w := range r.wires {
		events = append(events, w.Settle()...)
	}
	slices.SortStableFunc(events, func(a, b wire.Event) int { return a.Time.Compare(b.Time) })
	// What the kernel sends for the program in the same moment is still its own.
	end := r.ended.Add(time.Millisecond)
	events = wire.Merge(slices.DeleteFunc(events, func(e wire.Event) bool { return e.Time.After(end) }))
	if len(events) == 0 {
		return nil
	}
	return draw(events, r.owns())
}

var (
	ownAddr = regexp.MustCompile(`^(?:listening on|connected to \S+ from|sending from) (\S+:\d+)`)
)

// owns returns a test of whether an address is the foreign program's, going by
// what it has said.
func (r *record) owns() func(netip.AddrPort) bool {
	var own []netip.AddrPort
	for _, s := range r.report.Steps {
		if m := ownAddr.FindStringSubmatch(s.Text); m != nil && s.Who == Yours {
			if a, err := netip.ParseAddrPort(m[1]); err == nil {
				own = append(own, a)
			}
		}
	}
	return func(a netip.AddrPort) bool {
		return slices.ContainsFunc(own, func(o netip.AddrPort) bool {
			return o.Port() == a.Port() && (o.Addr().WithZone("") == a.Addr() || o.Addr().IsUnspecified() || o.Addr().IsMulticast())
		})
	}
}

// draw makes a diagram of events: the last connections if there are too many for
// one, and of those the last that crossed.
func draw(events []wire.Event, own func(netip.AddrPort) bool) *Wire {
	name := func(a netip.AddrPort) string {
		switch {
		case own(a) && !a.Addr().IsMulticast():
			return Yours
		case a.Addr().IsMulticast():
			return a.Addr().String()
		case a.Port() == 0:
			return a.Addr().String()
		}
		return a.String()
	}
	var parties []string
	seen := map[string]bool{Yours: true}
	first := len(events)
	for first > 0 {
		e := events[first-1]
		fresh := 0
		for _, n := range []string{name(e.From), name(e.To)} {
			if !seen[n] {
				fresh++
			}
		}
		if len(parties)+fresh > mostParties || len(events)-first >= mostDrawn {
			break
		}
		for _, n := range []string{name(e.From), name(e.To)} {
			if !seen[n] {
				seen[n] = true
				parties = append(parties, n)
			}
		}
		first--
	}
	slices.Reverse(parties)
	w := &Wire{Parties: append(parties, Yours)}
	if first > 0 {
		w.Steps = append(w.Steps, [3]string{"", "", strconv.Itoa(first) + " earlier ones are left out"})
	}
	for _, e := range events[first:] {
		from, to, label := name(e.From), name(e.To), e.Label()
		w.Steps = append(w.Steps, [3]string{from, to, label})
	}
	if !slices.ContainsFunc(w.Steps, func(s [3]string) bool { return s[0] == Yours || s[1] == Yours }) {
		w.Parties = w.Parties[:len(w.Parties)-1]
	}
	return w
}

// groupOf returns the processes of a process group.
func groupOf(group int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name) // it may have ended
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ") // proc_pid_stat(5): the name may have blanks
		fields := strings.Fields(rest)
		if len(fields) > 2 && fields[2] == strconv.Itoa(group) && fields[0] != "Z" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}
