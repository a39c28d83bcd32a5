// Socket_address prints both ends of each connection: address, port and family.
//
//	go run ./tcp_server/socket_address     or ./bazelw run //tcp_server:socket_address
//	go run ./tcp_client/client             in a second terminal, more than once
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0) // no date and time in front
	log.SetPrefix("socket_address: ")
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
	context.AfterFunc(ctx, func() { stop(); ln.Close() }) // Accept returns; a second signal kills
	fmt.Println("listening on", ln.Addr())

	for ctx.Err() == nil {
		if conn, err := ln.Accept(); err == nil {
			go tell(conn)
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

// tell prints the two ends, and keeps the connection until the client leaves.
func tell(conn net.Conn) {
	defer conn.Close() // when tell returns
	// Two addresses and two ports: no other connection has the same four. The local
	// port is the listener's; accepting makes a new socket, and no new port.
	fmt.Printf("local %s, remote %s\n", describe(conn.LocalAddr()), describe(conn.RemoteAddr()))
	if _, err := io.Copy(io.Discard, conn); err != nil { // waits for the client's FIN
		log.Print(err)
	}
}

// describe takes an end of a connection apart.
func describe(addr net.Addr) string {
	// A net.Addr is text. Its parts are those of the type behind it.
	at := addr.(*net.TCPAddr).AddrPort()
	// A socket for both families sees an IPv4 client as ::ffff:127.0.0.1, and so
	// does Node. Unmap gives the address that the client has.
	ip := at.Addr().Unmap()
	family := "IPv6"
	if ip.Is4() {
		family = "IPv4"
	}
	return fmt.Sprintf("%v port %d family %s", ip, at.Port(), family) // %v of ip: with its zone
}
