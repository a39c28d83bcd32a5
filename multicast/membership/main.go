// Membership joins a multicast group, prints what is sent to it, and leaves again,
// with the socket still open.
//
//	go run ./multicast/membership     in one terminal, or ./bazelw run //multicast:membership
//	go run ./multicast/server         in another
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

func main() {
	log.SetFlags(0)               // no date and time before what log prints
	log.SetPrefix("membership: ") // log prints to stderr
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "IPv4 multicast `address:port` to join and listen on, port 0 for a free one")
	ifname := flag.String("interface", "", "`name` of the interface to join on (default the loopback interface)")
	leaveAfter := flag.Duration("leave-after", 5*time.Second, "`time` until it leaves, as 5s or 300ms")
	if flag.Parse(); flag.NArg() > 0 || !group.Addr().Is4() || !group.Addr().IsMulticast() || *leaveAfter <= 0 {
		log.Fatalf("want an IPv4 multicast -group, -leave-after above 0, no argument, not %v %v %q", group, *leaveAfter, flag.Args())
	}
	ifi, err := net.InterfaceByIndex(1) // the loopback interface on Linux, macOS and Windows
	if *ifname != "" {
		ifi, err = net.InterfaceByName(*ifname)
	}
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	conn, err := net.ListenPacket("udp4", group.String()) // takes the port, and joins nothing
	if err != nil {
		log.Fatal(err)
	}
	p, addr := ipv4.NewPacketConn(conn), net.UDPAddrFromAddrPort(group)
	if err := p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst|ipv4.FlagInterface, true); err != nil {
		log.Print(err) // Windows: below cm is nil, and all is printed
	}
	// Where no other socket was a member here, IGMP now tells routers and switches of one.
	if err := p.JoinGroup(ifi, addr); err != nil { // a second time it is EADDRINUSE
		log.Fatalf("join %v on %s: %v", addr.IP, ifi.Name, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); p.Close() }) // closing leaves, too; a second signal kills
	fmt.Printf("listening on %v\njoined %v on %s\n", p.LocalAddr(), addr.IP, ifi.Name)
	if err := receive(p, addr.IP, ifi, *leaveAfter); ctx.Err() == nil { // no signal has closed it
		log.Fatal(err)
	} else if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err) // prints it, and exits with 1
	}
}

// receive prints what was sent to the group and came by the interface, and leaves.
func receive(p *ipv4.PacketConn, group net.IP, ifi *net.Interface, leaveAfter time.Duration) error {
	p.SetReadDeadline(time.Now().Add(leaveAfter))
	for buf, member, late := make([]byte, 65535), true, false; ; { // 65535: no datagram is larger
		//weave:leave
		n, cm, from, err := p.ReadFrom(buf) // an error once the deadline has passed
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && !late:
			late = true // past its deadline a read looks at nothing: what came in time may be there
			p.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := p.LeaveGroup(ifi, &net.UDPAddr{IP: group}); err != nil {
				return fmt.Errorf("leave %v on %s: %w", group, ifi.Name, err)
			}
			fmt.Printf("left %v on %s\n", group, ifi.Name)
			member = false
			p.SetReadDeadline(time.Time{}) // never
		case err != nil:
			return err
		case !member: // it has left, and is still given the group while any program of this machine is a member
		//weave:end
		case cm == nil:
			fmt.Printf("%v: %.64q\n", from, buf[:n])
		case cm.Dst.Equal(group) && cm.IfIndex == ifi.Index:
			fmt.Printf("%v TTL %d: %.64q\n", from, cm.TTL, buf[:n])
		}
	}
}
