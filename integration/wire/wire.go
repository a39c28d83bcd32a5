// Package wire captures a link and tells what crossed it, in the words of the
// pages, so that two runs give one text.
package wire

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"example.com/sockets/integration/diagram"
)

// Kind tells what an event is.
type Kind string

const (
	SYN       Kind = "SYN"
	SYNAgain  Kind = "SYN again" // no answer came
	SYNACK    Kind = "SYN, ACK"
	ACK       Kind = "ACK" // of a handshake or a probe; others are left out
	Data      Kind = "data"
	FIN       Kind = "FIN"
	RST       Kind = "RST"
	Probe     Kind = "probe" // keep-alive, or of a closed window
	Closed    Kind = "window closed"
	Open      Kind = "window open"
	UDP       Kind = "UDP"
	Fragment  Kind = "fragment"
	ICMP      Kind = "ICMP"
	IGMPJoin  Kind = "IGMP join"
	IGMPLeave Kind = "IGMP leave"
)

// Event is one thing that crossed the wire.
type Event struct {
	Time     time.Time
	Kind     Kind
	From, To netip.AddrPort // with port 0 where there is none
	Bytes    int            // of payload; Many where the number is left to chance
	Seq      uint32         // relative to the SYN's, as Wireshark counts: the first byte is 1
	TTL      uint8
	Group    netip.Addr // of an IGMP event
	Source   netip.Addr // of an IGMP event for one source
	Offset   int        // of a fragment, in bytes
	Text     string     // of an ICMP event
}

func (e Event) String() string {
	return fmt.Sprintf("%v > %v: %s, TTL %d\n", e.From, e.To, e.Label(), e.TTL)
}

// Many stands for a number of bytes that differs from run to run.
const Many = -1

// stream is one direction of a TCP connection.
type stream struct {
	syn    uint32 // sequence number of the SYN
	next   uint32 // of the byte that comes next
	acked  bool   // the handshake's third step, if it is the client's, was seen
	finned bool
	closed bool // its last window was 0
	probed bool // it has probed, and the peer has not answered yet
}

type flow struct{ from, to netip.AddrPort }

// Events tells what packets say, in their order. What depends on the moment
// rather than on the programs is left out: ACKs that carry nothing else (save
// the handshake's and those that answer a probe), retransmissions, segments that
// overtake one another, what is said after both FINs, ARP, and IPv6's neighbour
// discovery.
func Events(packets []gopacket.Packet) (events []Event) {
	streams := map[flow]*stream{}
	states := map[Event]Kind{} // what a host last said of a group
	for _, packet := range asSent(packets) {
		e := Event{Time: packet.Metadata().Timestamp}
		switch ip := packet.NetworkLayer().(type) {
		case *layers.IPv4:
			e.TTL = ip.TTL
			e.From, e.To = addrPort(ip.SrcIP, 0), addrPort(ip.DstIP, 0)
			if ip.Flags&layers.IPv4MoreFragments != 0 || ip.FragOffset != 0 {
				e.Kind, e.Bytes, e.Offset = Fragment, len(ip.Payload), int(ip.FragOffset)*8
				events = append(events, e)
				continue
			}
		case *layers.IPv6:
			e.TTL = ip.HopLimit
			e.From, e.To = addrPort(ip.SrcIP, 0), addrPort(ip.DstIP, 0)
		default:
			continue
		}
		if tcp, ok := packet.TransportLayer().(*layers.TCP); ok {
			e.From = netip.AddrPortFrom(e.From.Addr(), uint16(tcp.SrcPort))
			e.To = netip.AddrPortFrom(e.To.Addr(), uint16(tcp.DstPort))
			events = append(events, segment(streams, e, tcp)...)
			continue
		}
		for _, layer := range packet.Layers() {
			switch l := layer.(type) {
			case *layers.UDP:
				e.Kind, e.Bytes = UDP, len(l.Payload)
				e.From = netip.AddrPortFrom(e.From.Addr(), uint16(l.SrcPort))
				e.To = netip.AddrPortFrom(e.To.Addr(), uint16(l.DstPort))
				events = append(events, e)
			case *layers.ICMPv4:
				e.Kind, e.Text = ICMP, l.TypeCode.String()
				if l.TypeCode == layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort) {
					e.Text = "port unreachable"
				}
				events = append(events, e)
			case *layers.IGMP: // version 3, RFC 3376
				for _, r := range memberships(l) {
					// It is said more than once, lest it be lost (RFC 3376, 8.1).
					of := Event{From: e.From, Group: r.Group, Source: r.Source}
					if states[of] != r.Kind {
						states[of] = r.Kind
						r.Time, r.From, r.To, r.TTL = e.Time, e.From, e.To, e.TTL
						events = append(events, r)
					}
				}
			}
		}
	}
	return events
}

// asSent puts the segments of each TCP socket in the order they were sent in.
// The cable between two namespaces has a queue for each processor, so what the
// kernel sends (a delayed ACK) can be overtaken by what the program sends. Linux
// counts a socket's packets in IPv4's identification; segments that no socket
// sends, and the SYN, ACK, have 0 there, and stay where they are.
func asSent(packets []gopacket.Packet) []gopacket.Packet {
	type socket struct {
		flow
		syns int // of a port's connections, which this is
	}
	syns, places, ids := map[flow]int{}, map[socket][]int{}, map[gopacket.Packet]uint16{}
	for i, packet := range packets {
		ip, is4 := packet.NetworkLayer().(*layers.IPv4)
		tcp, isTCP := packet.TransportLayer().(*layers.TCP)
		if !is4 || !isTCP {
			continue
		}
		of := flow{addrPort(ip.SrcIP, uint16(tcp.SrcPort)), addrPort(ip.DstIP, uint16(tcp.DstPort))}
		if tcp.SYN {
			syns[of]++
		}
		if ip.Id != 0 {
			sock := socket{of, syns[of]}
			places[sock], ids[packet] = append(places[sock], i), ip.Id
		}
	}
	sent := slices.Clone(packets)
	for _, at := range places {
		var own []gopacket.Packet
		for _, i := range at {
			own = append(own, packets[i])
		}
		slices.SortStableFunc(own, func(a, b gopacket.Packet) int { return int(int16(ids[a] - ids[b])) })
		for n, i := range at {
			sent[i] = own[n]
		}
	}
	return sent
}

// memberships tells what a report says has changed (RFC 3376, section 4.2.12).
func memberships(report *layers.IGMP) (changes []Event) {
	for _, record := range report.GroupRecords {
		change := func(kind Kind, source netip.Addr) {
			changes = append(changes, Event{Kind: kind, Group: addr(record.MulticastAddress), Source: source})
		}
		each := IGMPJoin
		switch record.Type {
		case layers.IGMPToEx: // its sources are those that nobody wants
			change(IGMPJoin, netip.Addr{})
			continue
		case layers.IGMPToIn: // its sources are still wanted
			change(IGMPLeave, netip.Addr{})
		case layers.IGMPAllow:
		case layers.IGMPBlock:
			each = IGMPLeave
		default: // what has not changed
			continue
		}
		for _, source := range record.SourceAddresses {
			change(each, addr(source))
		}
	}
	return changes
}

func segment(streams map[flow]*stream, e Event, tcp *layers.TCP) (events []Event) {
	key := flow{e.From, e.To}
	s, peer := streams[key], streams[flow{e.To, e.From}]
	add := func(kind Kind, seq uint32, bytes int) {
		e.Kind, e.Seq, e.Bytes = kind, seq, bytes
		events = append(events, e)
	}
	if tcp.SYN {
		again := s != nil && tcp.Seq == s.syn
		streams[key] = &stream{syn: tcp.Seq, next: tcp.Seq + 1, acked: tcp.ACK}
		switch {
		case tcp.ACK && !again:
			add(SYNACK, 0, 0)
		case !tcp.ACK && again:
			add(SYNAgain, 0, 0)
		case !tcp.ACK:
			add(SYN, 0, 0)
		}
		return events
	}
	if s == nil { // the capture began after the connection, or a RST answers a SYN
		s = &stream{syn: tcp.Seq - 1, next: tcp.Seq, acked: true}
		streams[key] = s
	}
	// A segment that comes late or again, and its answers, even an RST where the
	// socket is gone by then, belong to no connection any more.
	if s.finned && peer != nil && peer.finned {
		return nil
	}
	seq, size, ahead := tcp.Seq-s.syn, len(tcp.Payload), int32(tcp.Seq-s.next)
	end := tcp.Seq + uint32(size)
	if tcp.RST {
		add(RST, seq, 0)
		return events
	}
	// A probe is a segment of a byte, or of none, that was acknowledged before:
	// the receiver must answer (RFC 9293, 3.8.4 and 3.8.6.1).
	probe := ahead < 0 && size <= 1 && int32(end-s.next) <= 0 && !tcp.FIN
	switch {
	case (tcp.Window == 0) != s.closed:
		s.closed = !s.closed
		s.acked = true
		if s.closed {
			add(Closed, seq, 0)
		} else {
			add(Open, seq, 0)
		}
	case probe:
		s.probed = true
		add(Probe, seq, 0)
	case size == 0 && !tcp.FIN && !s.acked:
		add(ACK, seq, 0)
	case size == 0 && !tcp.FIN && peer != nil && peer.probed:
		add(ACK, seq, 0)
	}
	s.acked = true
	if peer != nil {
		peer.probed = false
	}
	if size > 0 && int32(end-s.next) > 0 {
		add(Data, s.next-s.syn, int(end-s.next))
		s.next = end
	}
	if tcp.FIN && !s.finned {
		s.finned = true
		s.next = end + 1
		add(FIN, end-s.syn, 0)
	}
	return events
}

func addr(ip []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

func addrPort(ip []byte, port uint16) netip.AddrPort { return netip.AddrPortFrom(addr(ip), port) }

// Merge joins neighbouring data of one direction, where it does not matter how
// many segments carried it.
func Merge(events []Event) (merged []Event) {
	for _, e := range events {
		if n := len(merged); n > 0 && e.Kind == Data && merged[n-1].Kind == Data && merged[n-1].From == e.From {
			merged[n-1].Bytes += e.Bytes
			continue
		}
		merged = append(merged, e)
	}
	return merged
}

// Uncounted replaces the bytes of data by Many, and leaves out what then says
// the same as its neighbour.
func Uncounted(events []Event) (uncounted []Event) {
	for _, e := range events {
		if e.Kind == Data {
			e.Bytes = Many
		}
		e.Seq, e.Time = 0, time.Time{}
		if n := len(uncounted); n == 0 || uncounted[n-1] != e {
			uncounted = append(uncounted, e)
		}
	}
	return uncounted
}

// Of returns the events between an address and any other, both ways.
func Of(events []Event, addr netip.AddrPort) (of []Event) {
	for _, e := range events {
		if e.From == addr || e.To == addr {
			of = append(of, e)
		}
	}
	return of
}

// Only returns the events of some kinds.
func Only(events []Event, kinds ...Kind) (only []Event) {
	for _, e := range events {
		if slices.Contains(kinds, e.Kind) {
			only = append(only, e)
		}
	}
	return only
}

// Party is one line of a diagram: a name, and the address it stands for, as in
// 10.0.0.1 or, where one host has several, 10.0.0.1:8080.
type Party struct{ Name, Addr string }

// Diagram draws the events of one link. What goes to an address that no party has,
// a group's or a broadcast address, is drawn towards the last party, or from it to
// the first, and says so.
func Diagram(events []Event, parties ...Party) (d diagram.Diagram) {
	find := func(a netip.AddrPort) (name string) {
		for _, p := range parties {
			if p.Addr == a.String() {
				return p.Name
			} else if p.Addr == a.Addr().String() {
				name = p.Name
			}
		}
		return name
	}
	for _, p := range parties {
		d.Parties = append(d.Parties, p.Name)
	}
	last := d.Parties[len(parties)-1]
	for _, e := range events {
		step := diagram.Step{From: find(e.From), To: find(e.To), Label: e.Label()}
		if step.From == "" {
			step.From = last
		}
		if step.To == "" {
			if step.To = last; step.From == last {
				step.To = d.Parties[0]
			}
			if e.Kind == UDP {
				size, rest, _ := strings.Cut(step.Label, ",")
				step.Label = size + " to " + e.To.Addr().String()
				if rest != "" {
					step.Label += "," + rest
				}
			}
		}
		d.Steps = append(d.Steps, step)
	}
	return d
}

// Label is what a diagram says of the event.
func (e Event) Label() string {
	switch e.Kind {
	case Data:
		if e.Bytes == Many {
			return "data"
		}
		return fmt.Sprintf("%s, seq %d", count(e.Bytes), e.Seq)
	case FIN:
		if e.Seq == 0 { // see Uncounted
			return "FIN"
		}
		return fmt.Sprintf("FIN, seq %d", e.Seq)
	case UDP:
		if e.To.Addr().IsMulticast() {
			return fmt.Sprintf("%s, TTL %d", count(e.Bytes), e.TTL)
		}
		return count(e.Bytes)
	case Fragment:
		return fmt.Sprintf("fragment, bytes %d to %d", e.Offset, e.Offset+e.Bytes-1)
	case ICMP:
		return "ICMP " + e.Text
	case IGMPJoin, IGMPLeave:
		if e.Source.IsValid() {
			return fmt.Sprintf("%s %v from %v", e.Kind, e.Group, e.Source)
		}
		return fmt.Sprintf("%s %v", e.Kind, e.Group)
	}
	return string(e.Kind)
}

func count(bytes int) string {
	if bytes == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", bytes)
}
