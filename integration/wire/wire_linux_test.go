package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/lab"
)

func TestMain(m *testing.M) {
	if code, done := lab.Enter(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// cable is two hosts, and all that crosses the cable between them.
func cable(t *testing.T) (a, b *lab.Host, c *Capture) {
	t.Helper()
	a, b = lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24 fd00::1/64", b, "10.0.0.2/24 fd00::2/64")
	return a, b, Start(t, a, "eth0")
}

// pair is a connection from a to b.
func pair(t *testing.T, a, b *lab.Host, addr string) (client, server *net.TCPConn) {
	t.Helper()
	var err error
	var ln net.Listener
	b.Do(func() { ln, err = net.Listen("tcp", addr) })
	assert.NilError(t, err)
	defer ln.Close()
	var conn net.Conn
	a.Do(func() { conn, err = net.Dial("tcp", addr) })
	assert.NilError(t, err)
	client = conn.(*net.TCPConn)
	conn, err = ln.Accept()
	assert.NilError(t, err)
	server = conn.(*net.TCPConn)
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// brief shows events as "a: SYN", one a line; the first sender is a.
func brief(events []Event) string {
	var b strings.Builder
	for _, e := range events {
		who := "b"
		if e.From == events[0].From {
			who = "a"
		}
		fmt.Fprintf(&b, "%s: %s\n", who, e.Label())
	}
	return b.String()
}

func last(kind Kind, n int) func([]Event) bool {
	return func(events []Event) bool { return len(Only(events, kind)) == n }
}

func TestHalfClose(t *testing.T) {
	for _, addr := range []string{"10.0.0.2:8080", "[fd00::2]:8080"} {
		a, b, c := cable(t)
		client, server := pair(t, a, b, addr)
		fmt.Fprint(client, "hello")
		client.CloseWrite()
		io.Copy(io.Discard, server)
		fmt.Fprint(server, "olleh!")
		server.Close()
		io.Copy(io.Discard, client)
		assert.Equal(t, brief(c.Await("both FINs", last(FIN, 2))), `a: SYN
b: SYN, ACK
a: ACK
a: 5 bytes, seq 1
a: FIN, seq 6
b: 6 bytes, seq 1
b: FIN, seq 7
`)
	}
}

// Segments tells of every segment, as it crossed: of what Events leaves out as well.
func TestSegments(t *testing.T) {
	a, b, c := cable(t)
	client, server := pair(t, a, b, "10.0.0.2:8080")
	client.SetNoDelay(true)
	fmt.Fprint(client, "hello")
	io.ReadFull(server, make([]byte, 5))
	each := func(what string, segment string) {
		t.Helper()
		c.Await(what, func([]Event) bool { return strings.Contains(brief(Segments(c.Packets())), segment) })
	}
	each("the delayed ACK", "b: ACK 6\n")
	assert.NilError(t, client.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Hour, Count: 2}))
	each("a probe", "a: probe\nb: ACK 6\n")
	server.SetLinger(0)
	server.Close()
	each("RST", "b: RST\n")
	assert.Equal(t, brief(Segments(asSent(c.Packets()))), `a: SYN
b: SYN, ACK
a: ACK 1
a: 5 bytes, seq 1
b: ACK 6
a: probe
b: ACK 6
b: RST
`)
}

// What is sent again says so, and bytes that carry FIN are one arrow.
func TestSegmentsAgain(t *testing.T) {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IPv4(10, 0, 0, 1), DstIP: net.IPv4(10, 0, 0, 2)}
	var packets []gopacket.Packet
	add := func(tcp layers.TCP, payload string) {
		tcp.SrcPort, tcp.DstPort, tcp.Window = 50001, 8080, 100
		tcp.SetNetworkLayerForChecksum(ip)
		buf := gopacket.NewSerializeBuffer()
		assert.NilError(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, &tcp, gopacket.Payload(payload)))
		packets = append(packets, gopacket.NewPacket(buf.Bytes(), layers.LayerTypeIPv4, gopacket.Default))
	}
	for range 2 {
		add(layers.TCP{SYN: true, Seq: 1<<32 - 3}, "")
	}
	for range 2 {
		add(layers.TCP{ACK: true, Seq: 1<<32 - 2}, "hello")
	}
	for range 2 {
		add(layers.TCP{ACK: true, FIN: true, Seq: 3}, "!")
	}
	add(layers.TCP{SYN: true, Seq: 1000}, "") // the port's next connection
	assert.Equal(t, brief(Segments(packets)), `a: SYN
a: SYN again
a: 5 bytes, seq 1
a: 5 bytes, seq 1 again
a: 1 byte, FIN, seq 6
a: 1 byte, FIN, seq 6 again
a: SYN
`)
}

// An ACK that its sender's own data and FIN have overtaken tells nothing new,
// wherever it arrives. After both FINs a host answers it, and the other, whose
// socket is gone, resets that answer: it is said of no connection any more.
func TestOvertaken(t *testing.T) {
	a, b, c := cable(t)
	sender := Start(t, b, "eth0")
	client, server := pair(t, a, b, "10.0.0.2:8080")
	client.CloseWrite()
	io.Copy(io.Discard, server)
	const late = 4 // the fifth packet is the delayed ACK of the FIN
	await := func(what string, enough func([]gopacket.Packet) bool) []gopacket.Packet {
		var packets []gopacket.Packet
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if packets = tcpOf(c.Packets()); !enough(packets) {
				return poll.Continue("%s: %v", what, packets)
			}
			return poll.Success()
		}, poll.WithTimeout(30*time.Second), poll.WithDelay(time.Millisecond))
		return packets
	}
	await("the ACK of the FIN", func(packets []gopacket.Packet) bool { return len(packets) > late })
	fmt.Fprint(server, "x")
	server.Close()
	io.Copy(io.Discard, client)
	client.Close()
	const want = "a: SYN\nb: SYN, ACK\na: ACK\na: FIN, seq 1\nb: 1 byte, seq 1\nb: FIN, seq 2\n"
	assert.Equal(t, brief(c.Await("both FINs", last(FIN, 2))), want)
	packets := await("the last ACK", func(packets []gopacket.Packet) bool { return len(packets) > 7 })
	for at := late; at < len(packets); at++ {
		others := slices.Delete(slices.Clone(packets), late, late+1)
		assert.Equal(t, brief(Events(slices.Insert(others, at, packets[late]))), want, "it arrives as number %d", at)
	}

	again := packets[late] // captured before its checksum was there
	tcp := again.TransportLayer().(*layers.TCP)
	assert.NilError(t, tcp.SetNetworkLayerForChecksum(again.NetworkLayer()))
	frame := gopacket.NewSerializeBuffer()
	assert.NilError(t, gopacket.SerializePacket(frame, gopacket.SerializeOptions{ComputeChecksums: true}, again))
	packets = await("RST", func(packets []gopacket.Packet) bool {
		assert.NilError(t, sender.ring.WritePacketData(frame.Bytes()))
		return slices.ContainsFunc(packets, func(p gopacket.Packet) bool { return p.TransportLayer().(*layers.TCP).RST })
	})
	assert.Equal(t, brief(Events(packets)), want)
	assert.Equal(t, brief(Events(append(packets, again))), want) // behind the RST, too
}

func tcpOf(packets []gopacket.Packet) (of []gopacket.Packet) {
	for _, packet := range packets {
		if packet.Layer(layers.LayerTypeTCP) != nil {
			of = append(of, packet)
		}
	}
	return of
}

func TestReset(t *testing.T) {
	a, b, c := cable(t)
	client, server := pair(t, a, b, "10.0.0.2:8080")
	client.SetLinger(0)
	client.Close()
	io.Copy(io.Discard, server)
	assert.Equal(t, brief(c.Await("RST", last(RST, 1))), "a: SYN\nb: SYN, ACK\na: ACK\na: RST\n")

	var err error
	a.Do(func() { _, err = net.Dial("tcp", "10.0.0.2:9") })
	assert.ErrorContains(t, err, "refused")
	assert.Equal(t, brief(c.Await("RST", last(RST, 2))[4:]), "a: SYN\nb: RST\n")
}

// The sender stalls when the receiver's window is shut, asks again and again
// whether it has opened, and goes on when it has.
func TestWindow(t *testing.T) {
	a, b, c := cable(t)
	client, server := pair(t, a, b, "10.0.0.2:8080")
	const size = 500_000 // more than the buffers of both have room for
	client.SetWriteBuffer(4096)
	go func() {
		client.Write(make([]byte, size))
		client.CloseWrite()
	}()
	c.Await("a probe", last(Probe, 1))
	n, err := io.Copy(io.Discard, server)
	assert.NilError(t, err)
	assert.Equal(t, n, int64(size))
	server.Close()
	events := Merge(Only(c.Await("both FINs", last(FIN, 2)), Closed, Probe, Open, Data))
	seen, bytes := "", 0
	for _, e := range events {
		bytes += e.Bytes
		if !strings.Contains(seen, string(e.Kind)) {
			seen += string(e.Kind) + "\n"
		}
	}
	assert.Equal(t, seen, "data\nwindow closed\nprobe\nwindow open\n")
	assert.Equal(t, bytes, size)
}

func TestKeepAlive(t *testing.T) {
	a, b, c := cable(t)
	client, _ := pair(t, a, b, "10.0.0.2:8080")
	assert.NilError(t, client.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 1e9, Interval: 1e9, Count: 2}))
	c.Await("a probe", last(Probe, 1))
	events := c.Await("its answer", last(ACK, 2))
	assert.Equal(t, brief(events), "a: SYN\nb: SYN, ACK\na: ACK\na: probe\nb: ACK\n")
}

func TestDatagrams(t *testing.T) {
	a, b, c := cable(t)
	var err error
	var in net.PacketConn
	b.Do(func() { in, err = net.ListenPacket("udp4", "10.0.0.2:8080") })
	assert.NilError(t, err)
	defer in.Close()
	var out net.Conn
	a.Do(func() { out, err = net.Dial("udp4", "10.0.0.2:8080") })
	assert.NilError(t, err)
	defer out.Close()
	fmt.Fprint(out, "x")
	out.Write(make([]byte, 3000)) // and 8 of UDP's header: 1480 + 1480 + 48
	a.Do(func() {
		closed, e := net.Dial("udp4", "10.0.0.2:9")
		err = e
		closed.Write(nil)
		closed.Close()
	})
	assert.NilError(t, err)
	assert.Equal(t, brief(c.Await("ICMP", last(ICMP, 1))), `a: 1 byte
b: fragment, bytes 0 to 1479
b: fragment, bytes 1480 to 2959
b: fragment, bytes 2960 to 3007
b: 0 bytes
b: ICMP port unreachable
`)
}

func TestMembership(t *testing.T) {
	a, _, c := cable(t)
	var err error
	var raw net.PacketConn
	a.Do(func() { raw, err = net.ListenPacket("udp4", "0.0.0.0:0") })
	assert.NilError(t, err)
	defer raw.Close()
	p := ipv4.NewPacketConn(raw)
	group := &net.UDPAddr{IP: net.IPv4(239, 1, 2, 3), Port: 8080}
	a.Do(func() {
		var card *net.Interface
		if card, err = net.InterfaceByName("eth0"); err != nil {
			return
		}
		if err = p.SetMulticastInterface(card); err == nil {
			err = p.JoinGroup(card, group)
		}
	})
	assert.NilError(t, err)
	c.Await("the join", last(IGMPJoin, 1))
	_, err = p.WriteTo([]byte("hello"), nil, group)
	assert.NilError(t, err)
	a.Do(func() {
		if card, e := net.InterfaceByName("eth0"); e == nil {
			err = p.LeaveGroup(card, group)
		}
	})
	assert.NilError(t, err)
	events := c.Await("the leave", func(events []Event) bool { return len(Only(events, IGMPLeave)) > 0 })
	assert.Equal(t, Only(events, IGMPJoin)[0].Label(), "IGMP join 239.1.2.3")
	assert.Equal(t, Only(events, IGMPLeave)[0].Label(), "IGMP leave 239.1.2.3")
	assert.Equal(t, Only(events, UDP)[0].Label(), "5 bytes, TTL 1")
}

// A member for one source says so; one for any source as well hides it, and the
// leave of that one shows it again.
func TestSourceMembership(t *testing.T) {
	a, _, c := cable(t)
	var one, every net.PacketConn
	var card *net.Interface
	var errs [3]error
	a.Do(func() {
		one, errs[0] = net.ListenPacket("udp4", "0.0.0.0:0")
		every, errs[1] = net.ListenPacket("udp4", "0.0.0.0:0")
		card, errs[2] = net.InterfaceByName("eth0")
	})
	assert.NilError(t, errors.Join(errs[:]...))
	defer one.Close()
	defer every.Close()
	group, source := &net.UDPAddr{IP: net.IPv4(232, 1, 2, 3)}, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2)}
	assert.NilError(t, ipv4.NewPacketConn(one).JoinSourceSpecificGroup(card, group, source))
	c.Await("the join", last(IGMPJoin, 1))
	assert.NilError(t, ipv4.NewPacketConn(every).JoinGroup(card, group))
	c.Await("the join for any", last(IGMPJoin, 2))
	assert.NilError(t, every.Close())
	c.Await("its leave", last(IGMPLeave, 1))
	assert.NilError(t, one.Close())
	events := c.Await("the leave", last(IGMPLeave, 2))
	assert.Equal(t, brief(Only(events, IGMPJoin, IGMPLeave)), `a: IGMP join 232.1.2.3 from 10.0.0.2
a: IGMP join 232.1.2.3
a: IGMP leave 232.1.2.3
a: IGMP leave 232.1.2.3 from 10.0.0.2
`)
}

// The same by MLD. What every address joins for neighbour discovery is left out.
func TestMembershipIPv6(t *testing.T) {
	a, _, c := cable(t)
	var one, every net.PacketConn
	var card *net.Interface
	var errs [3]error
	a.Do(func() {
		one, errs[0] = net.ListenPacket("udp6", "[::]:0")
		every, errs[1] = net.ListenPacket("udp6", "[::]:0")
		card, errs[2] = net.InterfaceByName("eth0")
	})
	assert.NilError(t, errors.Join(errs[:]...))
	defer one.Close()
	defer every.Close()
	group, source := &net.UDPAddr{IP: net.ParseIP("ff35::1234")}, &net.UDPAddr{IP: net.ParseIP("fd00::2")}
	assert.NilError(t, ipv6.NewPacketConn(one).JoinSourceSpecificGroup(card, group, source))
	c.Await("the join", last(MLDJoin, 1))
	assert.NilError(t, ipv6.NewPacketConn(every).JoinGroup(card, group))
	c.Await("the join for any", last(MLDJoin, 2))
	assert.NilError(t, every.Close())
	c.Await("its leave", last(MLDLeave, 1))
	assert.NilError(t, one.Close())
	assert.Equal(t, brief(c.Await("the leave", last(MLDLeave, 2))), `a: MLD join ff35::1234 from fd00::2
a: MLD join ff35::1234
a: MLD leave ff35::1234
a: MLD leave ff35::1234 from fd00::2
`)
}
