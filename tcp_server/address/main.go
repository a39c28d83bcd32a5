// Address tells where it listens, which a program cannot always know beforehand:
// with port 0 the system chooses one, and 0.0.0.0 becomes [::].
//
//	go run ./tcp_server/address     or ./bazelw run //tcp_server:address
//	go run ./tcp_server/address -addr '[::1]:0'
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
	log.SetFlags(0) // no date and time in front
	log.SetPrefix("address: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" {
		log.Fatalf("want -addr host:port and no argument after the flags, not %q %q", *addr, flag.Args())
	}

	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // Go's default, but its addresses lack the IPv6 zone (golang/go#74643)
	ln, err := lc.Listen(context.Background(), "tcp", *addr)
	if err != nil {
		log.Fatal(err) // as when the port is taken; exit code 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	fmt.Println("listening on", ln.Addr())
	describe(ln)

	<-ctx.Done()
	ln.Close()
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// describe takes apart what the kernel says of the socket (getsockname): not what
// the program asked for, but what it got.
func describe(ln net.Listener) {
	// Addr returns an interface, net.Addr: it can be printed and no more. The parts
	// are in the *net.TCPAddr behind it.
	at := ln.Addr().(*net.TCPAddr).AddrPort()
	// The address knows its family. In [::]:8080 it is IPv6, though IPv4 clients get
	// in as well: the socket takes both (IPV6_V6ONLY is 0).
	family := "IPv6"
	if at.Addr().Is4() {
		family = "IPv4"
	}
	// An IPv6 link-local address prints with its zone, as in fe80::1%eth0: without it
	// nobody could tell on which of the machine's networks it is.
	fmt.Printf("address: %v\nport: %d\nfamily: %s\n", at.Addr(), at.Port(), family)
}
