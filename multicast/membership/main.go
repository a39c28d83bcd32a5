// Membership joins a multicast group, prints what is sent to it, and leaves
// again, with the socket still open.
//
//	bazel run //multicast:membership      in one terminal
//	bazel run //multicast:server          in another
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
	log.SetPrefix("membership: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "membership shows how to join a multicast group and leave it: it prints what the group is sent in between.")
		flag.PrintDefaults()
	}
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "multicast `address:port` to join and listen on, port 0 for a free one")
	ifname := flag.String("interface", "", "`name` of the interface to join on (default the loopback interface)")
	leaveAfter := flag.Duration("leave-after", 5*time.Second, "`time` until it leaves")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !group.Addr().Is4() || !group.Addr().IsMulticast():
		misuse("-group %q is not an IPv4 multicast address and a port", group)
	case *leaveAfter <= 0:
		misuse("-leave-after %v is not positive", *leaveAfter)
	}

	ifi, err := pick(*ifname)
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	// Binding chooses the port. It is not membership, and neither undoes the other.
	conn, err := net.ListenPacket("udp4", group.String())
	if err != nil {
		log.Fatal(err)
	}
	p := ipv4.NewPacketConn(conn)
	told := p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true)
	address := &net.UDPAddr{IP: group.Addr().AsSlice()}
	if err := p.JoinGroup(ifi, address); err != nil { // a second time: EADDRINUSE
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

	member := true
	p.SetReadDeadline(time.Now().Add(*leaveAfter))
	buf := make([]byte, 65535)
	for {
		n, cm, from, err := p.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// Closing the socket would leave as well. The host reports it to the
			// routers (IGMP, RFC 3376) once no socket of its is a member any more.
			if err := p.LeaveGroup(ifi, address); err != nil && ctx.Err() == nil { // if no member: EADDRNOTAVAIL
				log.Fatalf("leave %v on %s: %v", group.Addr(), ifi.Name, err)
			}
			member = false
			fmt.Printf("left %v on %s\n", group.Addr(), ifi.Name)
			p.SetReadDeadline(time.Time{})
			continue
		} else if errors.Is(err, net.ErrClosed) {
			fmt.Println("closed")
			return
		} else if err != nil {
			log.Fatal(err)
		}
		// While another program on this machine is a member, the socket goes on
		// hearing the group (IP_MULTICAST_ALL, ip(7)). Having left is for us to know.
		if !member {
			continue
		} else if cm == nil {
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
	fmt.Fprintf(os.Stderr, "membership: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
