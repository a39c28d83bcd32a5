// Loopback sends to a group that it is a member of, with loopback on and off, and tells which it receives.
//
//	go run ./multicast/loopback     or -interface eth0; or ./bazelw run //multicast:loopback
package main

import (
	"cmp"
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
	log.SetFlags(0)             // no date and time before what log prints
	log.SetPrefix("loopback: ") // log prints to stderr
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "IPv4 multicast `address:port` to send to and to listen on")
	ifname := flag.String("interface", "", "`name` of the interface to use (default the loopback interface)")
	wait := flag.Duration("wait", 500*time.Millisecond, "`time` after which silence counts as silence, as 1s or 200ms")
	if flag.Parse(); flag.NArg() > 0 || !group.Addr().Is4() || !group.Addr().IsMulticast() || *wait <= 0 {
		log.Fatalf("want an IPv4 multicast -group, a -wait above 0 and no argument, not %v %v %q", group, *wait, flag.Args())
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
	// TTL 0 stays on the machine, on Linux, as a program has joined. Join and leave go to a card's routers (IGMP).
	p, to := ipv4.NewPacketConn(conn), net.UDPAddrFromAddrPort(group)
	if err := cmp.Or(p.JoinGroup(ifi, to), p.SetMulticastInterface(ifi), p.SetMulticastTTL(0)); err != nil {
		log.Fatalf("join %v on %s: %v", group.Addr(), ifi.Name, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); conn.Close() }) // ends a read; a second signal kills
	fmt.Printf("sending to %v on %s, TTL 0\n", group, ifi.Name)
	heard, err := try("on", p, to, *wait) // on is the default
	if err == nil {
		heard, err = try("off", p, to, *wait)
	}
	if err == nil && heard { // with the option off
		_, err = fmt.Printf("%s returns everything that is sent on it: try -interface with a network card's name\n", ifi.Name)
	}
	if ctx.Err() != nil { // a signal has closed the socket: err says so, and is no failure
		_, err = fmt.Println("closed")
	}
	if err != nil {
		log.Fatal(err) // prints it, and exits with 1
	}
}

// try sends a datagram with loopback on or off, and says whether this machine receives it.
func try(state string, p *ipv4.PacketConn, group net.Addr, wait time.Duration) (heard bool, err error) {
	text, buf := fmt.Sprintf("loopback %s %d", state, os.Getpid()), make([]byte, 65535)
	if err = p.SetMulticastLoopback(state == "on"); err == nil { // the sender's option, on Windows the receiver's
		_, err = p.WriteTo([]byte(text), nil, group) // nil: no control message
	}
	for range 2 { // one held up (SIGSTOP) past its deadline reads nothing, whatever has arrived: it looks once more
		p.SetReadDeadline(time.Now().Add(wait / 2))
		for n := 0; err == nil && !heard; {
			n, _, _, err = p.ReadFrom(buf)
			heard = string(buf[:n]) == text // what others send has another pid in it
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil // silence is no failure
		}
	}
	if err == nil && heard {
		_, err = fmt.Printf("loopback %s: heard\n", state)
	} else if err == nil {
		_, err = fmt.Printf("loopback %s: silent\n", state)
	}
	return heard, err // err is nil, unless something else than silence ended it
}
