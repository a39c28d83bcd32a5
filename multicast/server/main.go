// Server sends the time of day to a multicast group, whoever has joined it.
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
	log.SetFlags(0)           // no date and time before what log prints
	log.SetPrefix("server: ") // log prints to stderr
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "IPv4 multicast `address:port` to send to")
	ifname := flag.String("interface", "", "`name` of the interface to send on (default the loopback interface)")
	ttl := flag.Uint("ttl", 128, "how far it may go, 0 to 255: a router takes 1 off, and does not pass on what is left with 0")
	loopback := flag.Bool("loopback", true, "members on this machine receive it too")
	interval := flag.Duration("interval", time.Second, "`time` between two datagrams, as 1s or 200ms")
	count := flag.Uint("count", 0, "datagrams to send, 0 for no end")
	if flag.Parse(); flag.NArg() > 0 || !group.Addr().Is4() || !group.Addr().IsMulticast() || *ttl > 255 || *interval <= 0 { // x/net would send 4294967297 as 1
		log.Fatalf("want an IPv4 multicast -group, -ttl to 255, -interval above 0, no argument, not %v %d %v %q", group, *ttl, *interval, flag.Args())
	}
	ifi, err := net.InterfaceByIndex(1) // the loopback interface on Linux, macOS and Windows
	if *ifname != "" {
		ifi, err = net.InterfaceByName(*ifname)
	}
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	addrs, _ := ifi.Addrs() // as 127.0.0.1/8 and ::1/128: the first of IPv4 is wanted
	i := slices.IndexFunc(addrs, func(a net.Addr) bool { n, ok := a.(*net.IPNet); return ok && n.IP.To4() != nil })
	if i < 0 {
		log.Fatalf("interface %s: no IPv4 address", ifi.Name)
	}
	//weave:options
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: addrs[i].(*net.IPNet).IP}) // from 0.0.0.0 the source on lo would not be 127.0.0.1
	if err == nil {                                                                // left alone, the kernel takes the interface that its routes name, TTL 1, and loopback on
		p := ipv4.NewPacketConn(conn) // the same socket, with the options that package net has not
		err = cmp.Or(p.SetMulticastInterface(ifi), p.SetMulticastTTL(int(*ttl)), p.SetMulticastLoopback(*loopback))
	}
	//weave:end
	if err != nil {
		log.Fatal(err) // prints it, and exits with 1
	}
	state := "off"
	if *loopback {
		state = "on"
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	fmt.Printf("sending to %v from %v on %s, TTL %d, loopback %s\n", group, conn.LocalAddr(), ifi.Name, *ttl, state)
	//weave:loop
	for sent := uint(0); ctx.Err() == nil; {
		text := time.Now().Format(time.DateTime)               // 2006-01-02 15:04:05
		_, err := conn.WriteToUDPAddrPort([]byte(text), group) // once, however many members the group has
		if err == nil {
			_, err = fmt.Printf("sent %d bytes: %q\n", len(text), text)
		}
		if err != nil && sent == 0 { // more likely a mistake than a network that is down
			log.Fatal(err)
		} else if err != nil { // a network that was there comes back: a sender outlives it
			log.Print(err)
		} else if sent++; sent == *count { // never, if that is 0
			return
		}
		select { // waits for whichever comes first
		case <-time.After(*interval): // the next is due
		case <-ctx.Done(): // a signal
		}
	}
	//weave:end
	conn.Close()
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}
