// Source joins a multicast group for the sake of one sender, and prints what that
// one sends to the group: source-specific multicast.
//
//	bazel run //multicast:source                                    in one terminal
//	bazel run //multicast:server -- -group 232.185.192.108:8080     in another
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

	"golang.org/x/net/ipv4"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("source: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "source shows how to join a multicast group for one sender: it prints what that one sends to the group.")
		flag.PrintDefaults()
	}
	group := netip.MustParseAddrPort("232.185.192.108:8080") // 232.0.0.0/8 is for this (RFC 4607)
	flag.TextVar(&group, "group", group, "multicast `address:port` to join and listen on, port 0 for a free one")
	source := netip.MustParseAddr("127.0.0.1")
	flag.TextVar(&source, "source", source, "`address` of the sender to hear")
	ifname := flag.String("interface", "", "`name` of the interface to join on (default the loopback interface)")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !group.Addr().Is4() || !group.Addr().IsMulticast():
		misuse("-group %q is not an IPv4 multicast address and a port", group)
	case !source.Is4() || source.IsUnspecified() || source.As4()[0] >= 224: // groups, and reserved (RFC 1112)
		misuse("-source %q is not the IPv4 address of a host", source)
	}

	ifi, err := pick(*ifname)
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	conn, err := net.ListenPacket("udp4", group.String())
	if err != nil {
		log.Fatal(err)
	}
	p := ipv4.NewPacketConn(conn)
	// The request goes to the routers with the sender's address in it (IGMP version
	// 3, RFC 3376), so that nobody else's datagrams have to come this way.
	err = p.JoinSourceSpecificGroup(ifi, &net.UDPAddr{IP: group.Addr().AsSlice()}, &net.UDPAddr{IP: source.AsSlice()})
	if err != nil { // on Windows golang.org/x/net has no such call
		log.Fatalf("join %v from %v on %s: %v", group.Addr(), source, ifi.Name, err)
	}
	if err := p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true); err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // from now on a second signal kills
		conn.Close()
	})
	fmt.Println("listening on", conn.LocalAddr())
	fmt.Printf("joined %v from %v on %s\n", group.Addr(), source, ifi.Name)

	buf := make([]byte, 65535)
	for {
		n, cm, from, err := p.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			fmt.Println("closed")
			return
		} else if err != nil {
			log.Fatal(err)
		}
		// The kernel keeps other senders out on the interface of the membership only.
		// What other programs have joined, there or elsewhere, the socket hears as
		// well (IP_MULTICAST_ALL, ip(7)), so it is for us to look.
		dst, _ := netip.AddrFromSlice(cm.Dst.To4())
		if dst == group.Addr() && from.(*net.UDPAddr).AddrPort().Addr() == source {
			fmt.Printf("%v TTL %d: %s\n", from, cm.TTL, quote(buf[:n]))
		}
	}
}

// pick returns the named interface, or the loopback interface if name is empty.
func pick(name string) (*net.Interface, error) {
	all, err := net.Interfaces()
	for _, ifi := range all {
		if ifi.Name == name || name == "" && ifi.Flags&net.FlagLoopback != 0 {
			return &ifi, nil
		}
	}
	return nil, cmp.Or(err, errors.New("no such network interface"))
}

// quote shows the first 64 bytes of data.
func quote(data []byte) string {
	if len(data) > 64 {
		return fmt.Sprintf("%q…", data[:64])
	}
	return fmt.Sprintf("%q", data)
}

func misuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "source: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
