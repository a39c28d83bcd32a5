// Loopback sends to a multicast group that it is a member of itself, once with
// loopback on and once with it off, and tells what it hears of that.
//
//	bazel run //multicast:loopback                        here lo returns everything
//	bazel run //multicast:loopback -- -interface eth0     a network card does not
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
	log.SetPrefix("loopback: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "loopback shows whether a machine hears its own multicast datagrams: it sends two and listens.")
		flag.PrintDefaults()
	}
	group := netip.MustParseAddrPort("230.185.192.108:8080")
	flag.TextVar(&group, "group", group, "multicast `address:port` to send to and to listen on")
	ifname := flag.String("interface", "", "`name` of the interface to use (default the loopback interface)")
	wait := flag.Duration("wait", 500*time.Millisecond, "`time` after which silence counts as silence")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !group.Addr().Is4() || !group.Addr().IsMulticast() || group.Port() == 0:
		misuse("-group %q is not an IPv4 multicast address and a port", group)
	case *wait <= 0:
		misuse("-wait %v is not positive", *wait)
	}

	ifi, ip, err := pick(*ifname)
	if err != nil {
		log.Fatalf("interface %q: %v", *ifname, err)
	}
	conn, err := net.ListenPacket("udp4", group.String())
	if err != nil {
		log.Fatal(err)
	}
	in := ipv4.NewPacketConn(conn)
	if err := in.JoinGroup(ifi, &net.UDPAddr{IP: group.Addr().AsSlice()}); err != nil {
		log.Fatalf("join %v on %s: %v", group.Addr(), ifi.Name, err)
	}
	conn, err = net.ListenPacket("udp4", net.JoinHostPort(ip.String(), "0"))
	if err != nil {
		log.Fatal(err)
	}
	out := ipv4.NewPacketConn(conn)
	// On a host with a member, and this one has one, TTL 0 stays on the host.
	if err := cmp.Or(out.SetMulticastInterface(ifi), out.SetMulticastTTL(0)); err != nil {
		log.Fatalf("configure %v: %v", conn.LocalAddr(), err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // from now on a second signal kills
		in.Close()
	})
	fmt.Printf("sending to %v from %v on %s, TTL 0\n", group, conn.LocalAddr(), ifi.Name)

	for _, loop := range []bool{true, false} {
		// The sender's option decides, on Windows the receiver's.
		if err := cmp.Or(out.SetMulticastLoopback(loop), in.SetMulticastLoopback(loop)); err != nil && ctx.Err() == nil {
			log.Fatalf("configure %v: %v", conn.LocalAddr(), err)
		}
		data := "loopback " + map[bool]string{true: "on", false: "off"}[loop]
		if _, err := out.WriteTo([]byte(data), nil, net.UDPAddrFromAddrPort(group)); err != nil {
			log.Fatal(err)
		}
		heard, err := hears(in, conn.LocalAddr(), data, *wait)
		switch {
		case errors.Is(err, net.ErrClosed):
			fmt.Println("closed")
			return
		case err != nil:
			log.Fatal(err)
		case !heard:
			fmt.Println(data + ": silent")
		default:
			fmt.Println(data + ": heard")
			if !loop { // so it is the loopback interface
				fmt.Printf("%s returns everything that is sent on it: try -interface with a network card's name\n", ifi.Name)
			}
		}
	}
}

// hears tells whether the datagram arrives, passing over others. It looks twice
// because a deadline may pass while the system lets this program wait, and a
// read after its deadline does not even look at what has arrived.
func hears(in *ipv4.PacketConn, sender net.Addr, data string, wait time.Duration) (bool, error) {
	buf := make([]byte, 65535)
	for range 2 {
		in.SetReadDeadline(time.Now().Add(wait / 2))
		for {
			n, _, from, err := in.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				return false, err
			} else if from.String() == sender.String() && string(buf[:n]) == data {
				return true, nil
			}
		}
	}
	return false, nil
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
	fmt.Fprintf(os.Stderr, "loopback: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
