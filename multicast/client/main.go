// Client joins a multicast group and prints what is sent to it. Any number of
// clients on one machine receive every datagram.
//
//	go run ./multicast/client     in one terminal, or in several
//	go run ./multicast/server     in another, or ./bazelw run //multicast:server
package main

import (
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
	log.SetPrefix("client: ") // log prints to stderr
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "IPv4 multicast `address:port` to join and listen on, port 0 for a free one")
	ifname := flag.String("interface", "", "`name` of the interface to join on (default the loopback interface)")
	if flag.Parse(); flag.NArg() > 0 || !group.Addr().Is4() || !group.Addr().IsMulticast() {
		log.Fatalf("want an IPv4 multicast -group and no argument after the flags, not %v %q", group, flag.Args())
	}

	//weave:interface
	ifi, err := net.InterfaceByIndex(1) // the loopback interface on Linux, macOS and Windows
	if *ifname != "" {
		ifi, err = net.InterfaceByName(*ifname)
	}
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	//weave:end
	//weave:join
	// Two things that have nothing to do with each other. Listening takes the port: for a
	// group Go binds 0.0.0.0, with SO_REUSEADDR, so that several programs may have it.
	conn, err := net.ListenPacket("udp4", group.String())
	if err != nil {
		log.Fatal(err)
	}
	p := ipv4.NewPacketConn(conn)
	if err := p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst|ipv4.FlagInterface, true); err != nil {
		log.Print(err) // Windows: below cm is nil, and all is printed
	}
	// Joining asks one interface for the group. It chooses no port, and keeps nothing out.
	if err := p.JoinGroup(ifi, net.UDPAddrFromAddrPort(group)); err != nil {
		log.Fatalf("join %v on %s: %v", group.Addr(), ifi.Name, err)
	}
	//weave:end
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); p.Close() }) // ReadFrom returns; a second signal kills
	fmt.Printf("listening on %v\njoined %v on %s\n", p.LocalAddr(), group.Addr(), ifi.Name)
	if err := receive(p, group.Addr(), ifi); ctx.Err() == nil { // no signal has closed it
		log.Fatal(err)
	} else if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// receive prints what was sent to the group and came by the interface. The socket is
// given more: whatever this machine's programs have joined, on any interface, goes to
// every socket that has the port on 0.0.0.0 (Linux: IP_MULTICAST_ALL, ip(7)).
func receive(p *ipv4.PacketConn, group netip.Addr, ifi *net.Interface) error {
	for buf := make([]byte, 65535); ; { // no datagram is larger
		n, cm, from, err := p.ReadFrom(buf)
		if err != nil {
			return err
		} else if cm == nil {
			fmt.Printf("%v: %.64q\n", from, buf[:n])
		} else if cm.Dst.Equal(group.AsSlice()) && cm.IfIndex == ifi.Index {
			fmt.Printf("%v TTL %d: %.64q\n", from, cm.TTL, buf[:n])
		}
	}
}
