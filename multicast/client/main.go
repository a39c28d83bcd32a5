// Client joins a multicast group and prints what is sent to it. Any number of
// clients on one machine hear every datagram.
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

	"golang.org/x/net/ipv4"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("client: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "client shows how to join a multicast group: it prints what the group is sent.")
		flag.PrintDefaults()
	}
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "multicast `address:port` to join and listen on, port 0 for a free one")
	ifname := flag.String("interface", "", "`name` of the interface to join on (default the loopback interface)")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !group.Addr().Is4() || !group.Addr().IsMulticast():
		misuse("-group %q is not an IPv4 multicast address and a port", group)
	}

	ifi, err := pick(*ifname)
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	// For a group address Go binds 0.0.0.0 and sets SO_REUSEADDR, so that several
	// programs can share the port. It does not join: that is JoinGroup's work.
	conn, err := net.ListenPacket("udp4", group.String())
	if err != nil {
		log.Fatal(err)
	}
	p := ipv4.NewPacketConn(conn)
	told := p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true)
	if err := p.JoinGroup(ifi, &net.UDPAddr{IP: group.Addr().AsSlice()}); err != nil {
		log.Fatalf("join %v on %s: %v", group.Addr(), ifi.Name, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // from now on a second signal kills
		conn.Close()
	})
	fmt.Println("listening on", conn.LocalAddr())
	fmt.Printf("joined %v on %s\n", group.Addr(), ifi.Name)
	if told != nil { // Windows
		log.Printf("this system does not tell a datagram's TTL and destination: %v", told)
	}

	buf := make([]byte, 65535)
	for {
		n, cm, from, err := p.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			fmt.Println("closed")
			return
		} else if err != nil {
			log.Fatal(err)
		}
		// The socket also hears the groups that other programs on this machine
		// have joined (IP_MULTICAST_ALL, ip(7)), so it is for us to look.
		if cm == nil {
			fmt.Printf("%v: %s\n", from, quote(buf[:n]))
		} else if dst, _ := netip.AddrFromSlice(cm.Dst.To4()); dst == group.Addr() {
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
	fmt.Fprintf(os.Stderr, "client: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
