// TTL sends datagrams to a multicast group that may go more or less far: each
// router takes one from the TTL, and passes on only what is left above 0.
//
//	bazel run //multicast:client      in one terminal
//	bazel run //multicast:ttl         in another
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/ipv4"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("ttl: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "ttl shows how far multicast datagrams go: it sends one for each TTL.")
		flag.PrintDefaults()
	}
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "multicast `address:port` to send to")
	ifname := flag.String("interface", "", "`name` of the interface to send from (default the loopback interface)")
	ttls := []int{0, 1, 2, 128}
	flag.Func("ttl", "comma-separated `list` of hops a datagram may take, each 0 to 255 (default 0,1,2,128)", func(list string) error {
		ttls = nil
		for _, text := range strings.Split(list, ",") {
			n, err := strconv.ParseUint(text, 10, 8) // the header's field is 8 bits (RFC 791)
			if err != nil {
				return fmt.Errorf("%q is not a number from 0 to 255", text)
			}
			ttls = append(ttls, int(n))
		}
		return nil
	})
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !group.Addr().Is4() || !group.Addr().IsMulticast() || group.Port() == 0:
		misuse("-group %q is not an IPv4 multicast address and a port", group)
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
	p := ipv4.NewPacketConn(conn)
	if err := p.SetMulticastInterface(ifi); err != nil {
		log.Fatalf("configure %v: %v", conn.LocalAddr(), err)
	}
	fmt.Printf("sending to %v from %v on %s\n", group, conn.LocalAddr(), ifi.Name)

	for _, ttl := range ttls {
		// The option counts for what is sent from now on. It is not IP_TTL, which
		// is for unicast. A member of this machine hears any TTL.
		if err := p.SetMulticastTTL(ttl); err != nil {
			log.Fatalf("configure %v: %v", conn.LocalAddr(), err)
		}
		if _, err := conn.WriteToUDPAddrPort(fmt.Appendf(nil, "TTL %d", ttl), group); err != nil {
			log.Fatal(err)
		}
		fmt.Println("sent TTL", ttl)
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
	fmt.Fprintf(os.Stderr, "ttl: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
