// Address binds a socket and asks the kernel what it is bound to: the address,
// the port that the system chose if none was given, and the family.
//
//	go run ./udp_server/address -addr 127.0.0.1:0     or ./bazelw run //udp_server:address
//	go run ./udp_server/address -network udp6 -addr :8080
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)            // no date and time in front of an error
	log.SetPrefix("address: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	network := flag.String("network", "udp4", "`family` of the socket, udp4 or udp6")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *network != "udp4" && *network != "udp6" {
		log.Fatalf("want -addr host:port, -network udp4 or udp6, and no argument after the flags, not %q %q %q", *addr, *network, flag.Args())
	}

	local, err := net.ResolveUDPAddr(*network, *addr)
	if err != nil {
		log.Fatal(err)
	} else if local.IP.IsMulticast() { // Go would bind every address instead, and join nothing
		log.Fatalf("listen %s %v: a multicast group has to be joined, see multicast:client", *network, local)
	}
	conn, err := net.ListenUDP(*network, local)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	fmt.Println("listening on", conn.LocalAddr())
	describe(conn)

	<-ctx.Done()
	conn.Close()
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// describe takes apart what the kernel says of the socket (getsockname): not what
// the program asked for, but what it got.
func describe(conn net.PacketConn) {
	// LocalAddr returns an interface, net.Addr: it can be printed and no more. The
	// parts are in the *net.UDPAddr behind it.
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	// A netip.Addr knows its family. An older net.IP does not: it may keep an IPv4
	// address in 16 bytes, and only its To4 tells.
	family := "IPv6"
	if local.Addr().Is4() {
		family = "IPv4"
	}
	// An IPv6 link-local address is printed with its zone, as in fe80::1%eth0.
	fmt.Printf("address: %v\nport: %d\nfamily: %s\n", local.Addr(), local.Port(), family)
}
