package harness

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"time"

	"example.com/sockets/integration/diagram"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/wire"
)

func init() {
	if j := judging(); j != nil {
		wire.Patience = j.Patience
	}
}

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
const mostDrawn, mostParties = 30, 5

// wire draws what crossed the wires before the test was over.
func (r *record) wire() *diagram.Diagram {
	var events []wire.Event
	for _, w := range r.wires {
		events = append(events, w.Settle()...)
	}
	slices.SortStableFunc(events, func(a, b wire.Event) int { return a.Time.Compare(b.Time) })
	// What the kernel sends for the program in the same moment is still its own.
	end := r.ended.Add(time.Millisecond)
	events = slices.DeleteFunc(events, func(e wire.Event) bool { return e.Time.After(end) })
	if len(events) == 0 {
		return nil
	}
	if merged := wire.Merge(events); len(merged) <= mostDrawn/2 {
		events = merged
	} else {
		events = wire.Bulk(events)
	}
	return draw(events, r.owns())
}

var ownAddr = regexp.MustCompile(`^(?:listening on|(?:connected|sending) to \S+ from) (\S+:\d+)`)

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

// draw makes a diagram of events: of the last connections if there are too many for
// one, and of what crossed there the last. The foreign program is the last party.
func draw(events []wire.Event, own func(netip.AddrPort) bool) *diagram.Diagram {
	name := func(a netip.AddrPort) string {
		switch {
		case a.Addr().IsMulticast() || a.Port() == 0:
			return a.Addr().String()
		case own(a):
			return Yours
		}
		return a.String()
	}
	d := &diagram.Diagram{Parties: []string{Yours}}
	first := len(events)
	for ; first > 0 && len(events)-first < mostDrawn; first-- {
		parties := d.Parties
		for _, end := range []netip.AddrPort{events[first-1].To, events[first-1].From} {
			if n := name(end); !slices.Contains(parties, n) {
				parties = append(parties, n)
			}
		}
		if len(parties) > mostParties {
			break
		}
		d.Parties = parties
	}
	slices.Reverse(d.Parties)
	if first > 0 {
		d.Steps = append(d.Steps, diagram.Note(strconv.Itoa(first)+" earlier ones are left out"))
	}
	for i, e := range events[first:] {
		if i > 0 {
			if pause := e.Time.Sub(events[first+i-1].Time); pause > time.Second/2 {
				d.Steps = append(d.Steps, diagram.Note(fmt.Sprintf("%.1f s later", pause.Seconds())))
			}
		}
		d.Steps = append(d.Steps, diagram.Step{From: name(e.From), To: name(e.To), Label: e.Label()})
	}
	if !slices.ContainsFunc(d.Steps, func(s diagram.Step) bool { return s.From == Yours || s.To == Yours }) {
		d.Parties = d.Parties[:len(d.Parties)-1]
	}
	return d
}

// groupOf returns the processes of a process group.
func groupOf(group int) []int {
	return processes(func(state string, _, of int) bool { return of == group && state != "Z" })
}
