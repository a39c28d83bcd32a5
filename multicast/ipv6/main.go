// Ipv6 joins an IPv6 group on one interface, says something to it if told to, and prints
// what is sent to it. Linux has no way for that by lo: name another interface.
//
//	go run ./multicast/ipv6 -interface eth0                           or ./bazelw run //multicast:ipv6
//	go run ./multicast/ipv6 -interface eth0 -message hello -hops 0    0: only on this machine
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

	"golang.org/x/net/ipv6"
)

func main() {
	log.SetFlags(0)         // no date and time before what log prints
	log.SetPrefix("ipv6: ") // log prints to stderr
	group := netip.MustParseAddrPort("[ff12::1234]:8080")
	flag.TextVar(&group, "group", group, "IPv6 multicast `address:port` to join and listen on, port 0 for a free one")
	ifname := flag.String("interface", "", "`name` of the interface (default the loopback interface)")
	message := flag.String("message", "", "`text` to send to the group, once")
	hops := flag.Uint("hops", 1, "how far it may go, 0 to 255: a router takes 1 off, and does not pass on what is left with 0")
	flag.Parse()
	ip := group.Addr()
	if flag.NArg() > 0 || ip.As16()[0] != 0xff || ip.Zone() != "" || *hops > 255 { // the zone is -interface
		log.Fatalf("want a -group in ff00::/8, without a zone, -hops to 255 and no argument after the flags, not %v %d %q", group, *hops, flag.Args())
	}

	ifi, err := net.InterfaceByIndex(1) // the loopback interface on Linux, macOS and Windows
	if *ifname != "" {
		ifi, err = net.InterfaceByName(*ifname)
	}
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	conn, err := net.ListenPacket("udp6", group.String()) // takes the port on [::], and joins nothing
	if err != nil {
		log.Fatal(err)
	}
	//weave:join
	p, to := ipv6.NewPacketConn(conn), &net.UDPAddr{IP: ip.AsSlice(), Port: conn.LocalAddr().(*net.UDPAddr).Port, Zone: ifi.Name}
	if err := p.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagDst|ipv6.FlagInterface, true); err != nil {
		log.Print(err) // Windows: below cm is nil, and all is printed
	}
	// ff12:: is of one link: each link has a group of that address, and the one that is
	// meant goes by its interface. The zone in to says so as well, where the scope is a link.
	if err := cmp.Or(p.JoinGroup(ifi, to), p.SetMulticastInterface(ifi), p.SetMulticastHopLimit(int(*hops))); err != nil {
		log.Fatalf("join %v on %s: %v", ip, ifi.Name, err)
	}
	//weave:end
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); p.Close() }) // ReadFrom returns; a second signal kills
	fmt.Printf("listening on %v\njoined %v on %s\n", p.LocalAddr(), ip, ifi.Name)
	if err := talk(p, to, ifi, *message); ctx.Err() == nil { // no signal has closed it
		log.Fatal(err)
	} else if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// talk says the message, and prints what comes to the group by the interface, its own
// message too.
func talk(p *ipv6.PacketConn, to *net.UDPAddr, ifi *net.Interface, message string) error {
	if message != "" {
		if _, err := p.WriteTo([]byte(message), nil, to); err != nil {
			return err
		}
		fmt.Printf("sent %d bytes to %v\n", len(message), to)
	}
	for buf := make([]byte, 65535); ; { // no datagram is larger
		//weave:hear
		n, cm, from, err := p.ReadFrom(buf) // from has its zone, if it is an address of a link
		if err != nil {
			return err
		} else if cm == nil {
			fmt.Printf("%v: %.64q\n", from, buf[:n])
		} else if cm.Dst.Equal(to.IP) && cm.IfIndex == ifi.Index {
			fmt.Printf("%v hop limit %d: %.64q\n", from, cm.HopLimit, buf[:n])
		}
		//weave:end
	}
}
