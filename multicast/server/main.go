// Server sends the time of day to a multicast group. Whoever has joined the group
// receives it; the server neither knows nor asks who that is.
//
//	go run ./multicast/client     in one terminal, or in several
//	go run ./multicast/server     in another, or ./bazelw run //multicast:server
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
	"slices"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("server: ")
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "IPv4 multicast `address:port` to send to")
	ifname := flag.String("interface", "", "`name` of the interface to send on (default the loopback interface)")
	ttl := flag.Uint("ttl", 128, "networks that a datagram may reach, one router further each, 0 to 255")
	loop := flag.Bool("loopback", true, "members on this machine receive it too")
	interval := flag.Duration("interval", time.Second, "`time` between two datagrams, as 1s or 200ms")
	count := flag.Uint("count", 0, "datagrams to send, 0 for no end")
	if flag.Parse(); flag.NArg() > 0 || !group.Addr().Is4() || !group.Addr().IsMulticast() || *interval <= 0 {
		log.Fatalf("want an IPv4 multicast -group, an -interval above 0 and no argument, not %v %v %q", group, *interval, flag.Args())
	}

	ifi, err := net.InterfaceByIndex(1) // the loopback interface, whatever the system calls it
	if *ifname != "" {
		ifi, err = net.InterfaceByName(*ifname)
	}
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	// Bound to 0.0.0.0, what we send on lo would have no source that one can answer.
	addrs, _ := ifi.Addrs()
	i := slices.IndexFunc(addrs, func(a net.Addr) bool { return a.(*net.IPNet).IP.To4() != nil })
	if i < 0 {
		log.Fatalf("interface %s: no IPv4 address", ifi.Name)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: addrs[i].(*net.IPNet).IP})
	if err != nil {
		log.Fatal(err)
	}
	// Left alone, the kernel takes the interface that its routes name, and TTL 1.
	p := ipv4.NewPacketConn(conn)
	if err := cmp.Or(p.SetMulticastInterface(ifi), p.SetMulticastTTL(int(*ttl)), p.SetMulticastLoopback(*loop)); err != nil {
		log.Fatalf("configure %v: %v", conn.LocalAddr(), err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	fmt.Printf("sending to %v from %v on %s, TTL %d, loopback %s\n",
		group, conn.LocalAddr(), ifi.Name, *ttl, map[bool]string{true: "on", false: "off"}[*loop])

	for sent := uint(0); ctx.Err() == nil; {
		text := time.Now().Format(time.DateTime)
		if _, err = conn.WriteToUDPAddrPort([]byte(text), group); err == nil {
			sent++
			_, err = fmt.Printf("sent %d bytes: %q\n", len(text), text)
		}
		if err != nil && sent == 0 {
			log.Fatal(err)
		} else if err != nil { // a network that was there comes back: a sender outlives it
			log.Print(err)
		}
		if sent == *count && sent > 0 {
			return
		}
		select {
		case <-time.After(*interval):
		case <-ctx.Done():
		}
	}
	conn.Close()
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}
