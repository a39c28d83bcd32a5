// Package wire captures a link and tells what crossed it, in the words of the
// pages, so that two runs give one text.
package wire

import (
	"fmt"
	"net"
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
	MLDJoin   Kind = "MLD join"
	MLDLeave  Kind = "MLD leave"
)

// Event is one thing that crossed the wire.
type Event struct {
	Time     time.Time
	Kind     Kind
	From, To netip.AddrPort // with port 0 where there is none
	Bytes    int            // of payload; Many where the number is left to chance
	Seq      uint32         // relative to the SYN's, as Wireshark counts: the first byte is 1
	TTL      uint8
	Group    netip.Addr // of an IGMP or MLD event
	Source   netip.Addr // of one for one source
	Offset   int        // of a fragment, in bytes
	Text     string     // of an ICMP event; or of a segment that is told whole, see Segments
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
// the handshake's, those that answer a probe, and those that close or open a
// window), retransmissions save a SYN's, segments that overtake one another, what
// is said after both FINs, a membership that is said again, ARP, and IPv6's
// neighbour discovery.
func Events(packets []gopacket.Packet) []Event {
	states := map[Event]Kind{} // what a host last said of a group
	return tell(asSent(packets), segment, func(of Event, kind Kind) (news bool) {
		// It is said more than once, lest it be lost (RFC 3376, 8.1; RFC 3810, 9.1).
		news = states[of] != kind
		states[of] = kind
		return news
	})
}

// Segments tells what packets say one by one, as they crossed: of what Events leaves
// out only ARP and neighbour discovery are not there.
func Segments(packets []gopacket.Packet) []Event {
	return tell(packets, whole, func(Event, Kind) bool { return true })
}

func tell(
	packets []gopacket.Packet,
	segment func(streams map[flow]*stream, e Event, tcp *layers.TCP, size int) []Event,
	news func(of Event, kind Kind) bool, // of a membership
) (events []Event) {
	streams := map[flow]*stream{}
	report := func(e Event, changes []Event) {
		for _, c := range changes {
			if news(Event{From: e.From, Group: c.Group, Source: c.Source}, c.Kind) {
				c.Time, c.From, c.To, c.TTL = e.Time, e.From, e.To, e.TTL
				events = append(events, c)
			}
		}
	}
	for _, packet := range packets {
		e := Event{Time: packet.Metadata().Timestamp}
		cut := max(0, packet.Metadata().Length-packet.Metadata().CaptureLength) // off its payload, see Watch
		switch ip := packet.NetworkLayer().(type) {
		case *layers.IPv4:
			e.TTL = ip.TTL
			e.From, e.To = addrPort(ip.SrcIP, 0), addrPort(ip.DstIP, 0)
			if ip.Flags&layers.IPv4MoreFragments != 0 || ip.FragOffset != 0 {
				e.Kind, e.Bytes, e.Offset = Fragment, len(ip.Payload)+cut, int(ip.FragOffset)*8
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
			events = append(events, segment(streams, e, tcp, len(tcp.Payload)+cut)...)
			continue
		}
		for _, layer := range packet.Layers() {
			switch l := layer.(type) {
			case *layers.UDP:
				e.Kind, e.Bytes = UDP, len(l.Payload)+cut
				e.From = netip.AddrPortFrom(e.From.Addr(), uint16(l.SrcPort))
				e.To = netip.AddrPortFrom(e.To.Addr(), uint16(l.DstPort))
				events = append(events, e)
			case *layers.ICMPv4:
				e.Kind, e.Text = ICMP, l.TypeCode.String()
				if text, ok := unreachable[l.TypeCode]; ok {
					e.Text = text
				}
				events = append(events, e)
			case *layers.IGMP: // version 3, RFC 3376
				for _, r := range l.GroupRecords {
					report(e, membership(IGMPJoin, IGMPLeave, r.Type, r.MulticastAddress, r.SourceAddresses))
				}
			case *layers.MLDv2MulticastListenerReportMessage: // RFC 3810
				for _, r := range l.MulticastAddressRecords {
					if !ofItself(addr(r.MulticastAddress)) {
						report(e, membership(MLDJoin, MLDLeave, layers.IGMPv3GroupRecordType(r.RecordType), r.MulticastAddress, r.SourceAddresses))
					}
				}
			}
		}
	}
	return events
}

// unreachable has the words of RFC 792 for what hosts and routers say of a datagram.
var unreachable = map[layers.ICMPv4TypeCode]string{
	layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodeHost): "host unreachable",
	layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodeNet):  "net unreachable",
	layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort): "port unreachable",
}

// asSent puts the segments of each TCP socket in the order they were sent in.
// The cable between two namespaces has a queue for each processor, so what the
// kernel sends (a delayed ACK) can be overtaken by what the program sends. Linux
// counts a socket's packets in IPv4's identification; segments that no socket
// sends, and the SYN, ACK, have 0 there, and stay where they are, as does what has come
// already.
func asSent(packets []gopacket.Packet) []gopacket.Packet {
	type socket struct {
		flow
		syns int // of a port's connections, which this is
	}
	type number struct {
		socket
		id uint16
	}
	syns, places, ids, come := map[flow]int{}, map[socket][]int{}, map[gopacket.Packet]uint16{}, map[number]bool{}
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
		if n := (number{socket{of, syns[of]}, ip.Id}); n.id != 0 && !come[n] {
			come[n] = true
			places[n.socket], ids[packet] = append(places[n.socket], i), n.id
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

// ofItself tells whether a host joins an IPv6 group for its own part: for neighbour
// discovery by each address, as a router (RFC 4291, 2.8).
func ofItself(group netip.Addr) bool {
	return netip.MustParsePrefix("ff02::1:ff00:0/104").Contains(group) ||
		slices.Contains([]string{"ff01::2", "ff02::2", "ff05::2"}, group.String())
}

// membership tells what a record of a report says has changed (RFC 3376, 4.2.12). MLD's
// types are the same (RFC 3810, 5.2.12).
func membership(join, leave Kind, record layers.IGMPv3GroupRecordType, group net.IP, sources []net.IP) (changes []Event) {
	change := func(kind Kind, source netip.Addr) {
		changes = append(changes, Event{Kind: kind, Group: addr(group), Source: source})
	}
	each := join
	switch record {
	case layers.IGMPToEx: // its sources are those that nobody wants
		change(join, netip.Addr{})
		return changes
	case layers.IGMPToIn: // its sources are still wanted
		change(leave, netip.Addr{})
	case layers.IGMPAllow:
	case layers.IGMPBlock:
		each = leave
	default: // what has not changed
		return nil
	}
	for _, source := range sources {
		change(each, addr(source))
	}
	return changes
}

func segment(streams map[flow]*stream, e Event, tcp *layers.TCP, size int) (events []Event) {
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
	seq, ahead := tcp.Seq-s.syn, int32(tcp.Seq-s.next)
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

// whole tells of one segment in one event.
func whole(streams map[flow]*stream, e Event, tcp *layers.TCP, size int) []Event {
	key := flow{e.From, e.To}
	s, peer := streams[key], streams[flow{e.To, e.From}]
	if s == nil || tcp.SYN && tcp.Seq != s.syn { // of another connection from the same port
		s = &stream{syn: tcp.Seq, next: tcp.Seq}
		if !tcp.SYN { // the capture began after the connection
			s.syn--
		}
		streams[key] = s
	}
	end := tcp.Seq + uint32(size)
	if tcp.SYN || tcp.FIN {
		end++
	}
	again := end != tcp.Seq && int32(end-s.next) <= 0
	e.Seq, e.Bytes = tcp.Seq-s.syn, size
	var parts []string
	if size > 0 {
		parts = append(parts, count(size))
	}
	for _, flag := range []struct {
		set  bool
		kind Kind
	}{{tcp.SYN, SYN}, {tcp.FIN, FIN}, {tcp.RST, RST}} {
		if flag.set {
			parts = append(parts, string(flag.kind))
		}
	}
	switch {
	case len(parts) == 0 && int32(tcp.Seq-s.next) < 0:
		e.Kind, parts = Probe, []string{string(Probe)}
	case len(parts) == 0:
		e.Kind, parts = ACK, []string{string(ACK)}
		if peer != nil {
			parts[0] = fmt.Sprintf("%s %d", ACK, tcp.Ack-peer.syn)
		}
	case tcp.SYN && tcp.ACK:
		e.Kind, parts = SYNACK, append(parts, string(ACK))
	case tcp.SYN:
		e.Kind = SYN
	case tcp.RST:
		e.Kind = RST
	case tcp.FIN:
		e.Kind, parts = FIN, append(parts, fmt.Sprintf("seq %d", e.Seq))
	default:
		e.Kind, parts = Data, append(parts, fmt.Sprintf("seq %d", e.Seq))
	}
	if tcp.Window == 0 && !tcp.RST {
		parts = append(parts, "window 0")
	}
	e.Text = strings.Join(parts, ", ")
	if again {
		e.Text += " again"
	} else {
		s.next = end
	}
	return []Event{e}
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

// Bulk is Merge also where the other direction's data is in between, and without the
// windows that closed and opened meanwhile.
func Bulk(events []Event) (merged []Event) {
	at := map[flow]int{} // the place of a direction's data, until something else happens
	for _, e := range events {
		switch i, known := at[flow{e.From, e.To}]; {
		case e.Kind == Closed || e.Kind == Open:
			continue
		case e.Kind != Data:
			clear(at)
		case known:
			merged[i].Bytes += e.Bytes
			continue
		default:
			at[flow{e.From, e.To}] = len(merged)
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
// 10.0.0.1 or, where one host has several, 10.0.0.1:8080. One with two addresses is
// given twice, one after the other.
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
	d.Parties = slices.Compact(d.Parties)
	last := d.Parties[len(d.Parties)-1]
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
	if e.Text != "" && e.Kind != ICMP {
		return e.Text
	}
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
		if e.To.Addr().Is4() && e.To.Addr().IsMulticast() {
			return fmt.Sprintf("%s, TTL %d", count(e.Bytes), e.TTL)
		} else if e.To.Addr().IsMulticast() {
			return fmt.Sprintf("%s, hop limit %d", count(e.Bytes), e.TTL)
		}
		return count(e.Bytes)
	case Fragment:
		return fmt.Sprintf("fragment, bytes %d to %d", e.Offset, e.Offset+e.Bytes-1)
	case ICMP:
		return "ICMP " + e.Text
	case IGMPJoin, IGMPLeave, MLDJoin, MLDLeave:
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
