// Source joins a multicast group for the sake of one sender, and prints what that
// one sends to the group: source-specific multicast.
//
//	go run ./multicast/source                                 in one terminal, or ./bazelw run //multicast:source
//	go run ./multicast/server -group 232.185.192.108:8080     in another
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/net/ipv4"
)

func main() {
	log.SetFlags(0)           // no date and time before what log prints
	log.SetPrefix("source: ") // log prints to stderr
	// 232.0.0.0/8 is for this: two senders may use one group of it (RFC 4607).
	group := netip.MustParseAddrPort("232.185.192.108:8080")
	flag.TextVar(&group, "group", group, "IPv4 multicast `address:port` to join and listen on, port 0 for a free one")
	source := netip.MustParseAddr("127.0.0.1")
	flag.TextVar(&source, "source", source, "IPv4 `address` of the sender to receive from")
	ifname := flag.String("interface", "", "`name` of the interface to join on (default the loopback interface)")
	flag.Parse()
	host := source.Is4() && !source.IsUnspecified() && source.As4()[0] < 224 // what is above names no host (RFC 1112, 4)
	if flag.NArg() > 0 || !group.Addr().Is4() || !group.Addr().IsMulticast() || !host {
		log.Fatalf("want an IPv4 multicast -group, the IPv4 -source of a host and no argument, not %v %v %q", group, source, flag.Args())
	}

	ifi, err := net.InterfaceByIndex(1) // the loopback interface on Linux, macOS and Windows
	if *ifname != "" {
		ifi, err = net.InterfaceByName(*ifname)
	}
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	// For a group Go binds 0.0.0.0, and sets SO_REUSEADDR: others may share the port.
	conn, err := net.ListenPacket("udp4", group.String())
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); conn.Close() }) // ReadFrom returns; a second signal kills
	if err := receive(conn, ifi, group.Addr().AsSlice(), source.AsSlice()); ctx.Err() == nil {
		log.Fatal(err)
	}
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// receive joins the group for the sake of one source, and prints what it sends.
func receive(conn net.PacketConn, ifi *net.Interface, group, source net.IP) error {
	p := ipv4.NewPacketConn(conn) // the same socket, with the options that package net has not
	// The report to the routers has the source in it (IGMP version 3, RFC 3376), so
	// that they need not pass on to here what others send. Windows: not in x/net.
	if err := cmp.Or(p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst|ipv4.FlagInterface, true),
		p.JoinSourceSpecificGroup(ifi, &net.UDPAddr{IP: group}, &net.UDPAddr{IP: source})); err != nil {
		return fmt.Errorf("join %v from %v on %s: %w", group, source, ifi.Name, err)
	}
	fmt.Printf("listening on %v\njoined %v from %v on %s\n", conn.LocalAddr(), group, source, ifi.Name)

	for buf := make([]byte, 65535); ; { // no datagram is larger
		n, cm, from, err := p.ReadFrom(buf) // in cm is what SetControlMessage has asked for
		if err != nil {
			return err
		}
		// The kernel keeps other senders out from the join on, and on this interface only. What
		// other programs have joined elsewhere reaches our port too (IP_MULTICAST_ALL, ip(7)).
		if cm.IfIndex == ifi.Index && cm.Dst.Equal(group) && from.(*net.UDPAddr).IP.Equal(source) {
			fmt.Printf("%v TTL %d: %.64q\n", from, cm.TTL, buf[:n])
		}
	}
}
