// Server sends the time of day to a multicast group. Whoever has joined the
// group hears it; the server neither knows nor asks who that is.
//
//	bazel run //multicast:client      in one terminal, or in several
//	bazel run //multicast:server      in another
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
	log.SetFlags(0)
	log.SetPrefix("server: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "server shows how to send to a multicast group: it sends the time of day.")
		flag.PrintDefaults()
	}
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "multicast `address:port` to send to")
	ifname := flag.String("interface", "", "`name` of the interface to send from (default the loopback interface)")
	ttl := flag.Int("ttl", 128, "hops the datagrams may take, 0 to 255")
	loop := flag.Bool("loopback", true, "this machine's members hear the datagrams too")
	interval := flag.Duration("interval", time.Second, "time between two datagrams")
	count := flag.Int("count", 0, "datagrams to send, 0 for no end")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !group.Addr().Is4() || !group.Addr().IsMulticast() || group.Port() == 0:
		misuse("-group %q is not an IPv4 multicast address and a port", group)
	case *ttl < 0 || *ttl > 255:
		misuse("-ttl %d is not from 0 to 255", *ttl)
	case *interval <= 0:
		misuse("-interval %v is not positive", *interval)
	case *count < 0:
		misuse("-count %d is negative", *count)
	}

	ifi, ip, err := pick(*ifname)
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	// Bound to 0.0.0.0, the datagrams would leave lo with no source to answer.
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: ip})
	if err != nil {
		log.Fatal(err)
	}
	// Left alone, the kernel sends by its routes, with TTL 1 and loopback on.
	p := ipv4.NewPacketConn(conn)
	if err := cmp.Or(p.SetMulticastInterface(ifi), p.SetMulticastTTL(*ttl), p.SetMulticastLoopback(*loop)); err != nil {
		log.Fatalf("configure %v: %v", conn.LocalAddr(), err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from now on a second signal kills
	fmt.Printf("sending to %v from %v on %s, TTL %d, loopback %s\n",
		group, conn.LocalAddr(), ifi.Name, *ttl, map[bool]string{true: "on", false: "off"}[*loop])

	tick := time.NewTicker(*interval)
	for sent := 1; ; sent++ {
		data := time.Now().Format(time.DateTime)
		if _, err := conn.WriteToUDPAddrPort([]byte(data), group); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("sent %d bytes: %q\n", len(data), data)
		if sent == *count {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			conn.Close()
			fmt.Println("closed")
			return
		}
	}
}

// pick returns the named interface, or the loopback interface if name is
// empty, and its first IPv4 address.
func pick(name string) (*net.Interface, net.IP, error) {
	all, err := net.Interfaces()
	for _, ifi := range all {
		if ifi.Name == name || name == "" && ifi.Flags&net.FlagLoopback != 0 {
			addrs, _ := ifi.Addrs()
			for _, addr := range addrs {
				if n, ok := addr.(*net.IPNet); ok && n.IP.To4() != nil {
					return &ifi, n.IP, nil
				}
			}
			return nil, nil, errors.New("no IPv4 address")
		}
	}
	return nil, nil, cmp.Or(err, errors.New("no such network interface"))
}

func misuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "server: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
