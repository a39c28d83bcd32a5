// Bind takes an address and a port for a socket of one family. From then on the
// kernel keeps what is sent there, whether anybody reads it or not.
//
//	go run ./udp_server/bind     or ./bazelw run //udp_server:bind
//	go run ./udp_server/bind -network udp6 -addr '[::1]:8080'     beside it
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
	log.SetFlags(0)         // no date and time in front of an error
	log.SetPrefix("bind: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	network := flag.String("network", "udp4", "`family` of the socket, udp4 or udp6")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *network != "udp4" && *network != "udp6" {
		log.Fatalf("want -addr host:port, -network udp4 or udp6, and no argument after the flags, not %q %q %q", *addr, *network, flag.Args())
	}

	conn, err := bind(*network, *addr)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	fmt.Printf("listening on %v (%s)\n", conn.LocalAddr(), *network)

	<-ctx.Done() // nothing is read: what comes waits in the kernel
	conn.Close()
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// bind returns when the socket is bound, or tells why it cannot be: there is no
// event to wait for, as in Node.
func bind(network, addr string) (*net.UDPConn, error) {
	// A name may have addresses of both families: udp4 and udp6 take their own.
	local, err := net.ResolveUDPAddr(network, addr)
	if err != nil {
		return nil, err
	}
	// The group's address is none of this machine's. Go would bind every address
	// instead, and join nothing.
	if local.IP.IsMulticast() {
		return nil, fmt.Errorf("listen %s %v: a multicast group has to be joined, see multicast:client", network, local)
	}
	// Go's udp6 on [::] leaves the port free for IPv4 (IPV6_V6ONLY is set); "udp" on
	// :8080, [::]:8080 and 0.0.0.0:8080 takes it in both families. Nor does
	// Go set SO_REUSEADDR here: the port is ours alone, or the error says that it is in use.
	return net.ListenUDP(network, local)
}
