// TTL sends datagrams to a multicast group that may go more or less far: each
// router takes one from the TTL, and passes on only what has some left.
//
//	go run ./multicast/client     in one terminal
//	go run ./multicast/ttl        in another, or ./bazelw run //multicast:ttl
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/ipv4"
)

func main() {
	log.SetFlags(0)        // no date and time before what log prints
	log.SetPrefix("ttl: ") // log prints to stderr
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "IPv4 multicast `address:port` to send to")
	ifname := flag.String("interface", "", "`name` of the interface to send on (default the loopback interface)")
	ttls := []int{0, 1, 2, 128} // unless there is a -ttl
	flag.Func("ttl", "`list` of TTLs, each 0 to 255, a datagram for each (default 0,1,2,128)", func(list string) error {
		ttls = nil // the list takes the place of the default
		for text := range strings.SplitSeq(list, ",") {
			// 8 bits, as the IP header has. x/net keeps 32 on Linux: 4294967297 would be 1.
			n, err := strconv.ParseUint(text, 10, 8)
			if err != nil {
				return err // flag prints it and the usage, and exits with 2
			}
			ttls = append(ttls, int(n))
		}
		return nil
	})
	if flag.Parse(); flag.NArg() > 0 || !group.Addr().Is4() || !group.Addr().IsMulticast() {
		log.Fatalf("want an IPv4 multicast -group and no argument after the flags, not %v %q", group, flag.Args())
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
	// From a socket bound to 0.0.0.0, what is sent on lo would have another interface's address for its source, or none.
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: addrs[i].(*net.IPNet).IP})
	if err != nil {
		log.Fatal(err)
	}
	p := ipv4.NewPacketConn(conn)
	if err := p.SetMulticastInterface(ifi); err != nil { // left alone, the routes decide
		log.Fatal(err)
	}
	fmt.Printf("sending to %v from %v on %s\n", group, conn.LocalAddr(), ifi.Name)

	//weave:send
	for _, ttl := range ttls {
		// The option is the socket's, for all that it sends to groups from now on. IP_TTL
		// is another, for unicast. The kernel refuses 256, and takes -1 for the default, 1.
		if err := p.SetMulticastTTL(ttl); err != nil {
			log.Fatal(err)
		}
		// Members on this machine receive it whatever its TTL: no router is on the way.
		// Where one is and throws it away, it must not tell us (RFC 1812, 4.3.2.7).
		_, err := conn.WriteToUDPAddrPort(fmt.Appendf(nil, "TTL %d", ttl), group)
		if err == nil {
			_, err = fmt.Println("sent TTL", ttl)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	//weave:end
}
