// Server prints each datagram that arrives, and who sent it, and sends it back.
//
//	go run ./udp_server/server     or ./bazelw run //udp_server:server
//	go run ./udp_client/client     in a second terminal
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)           // no date and time in front of an error
	log.SetPrefix("server: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" {
		log.Fatalf("want -addr host:port and no argument after the flags, not %q %q", *addr, flag.Args())
	}

	//weave:frame
	local, err := net.ResolveUDPAddr("udp", *addr) // of localhost, the IPv4 address; so does udp_client:client
	if err != nil {
		log.Fatal(err)
	} else if local.IP.IsMulticast() { // Go would bind every address instead, and join nothing
		log.Fatalf("listen udp %v: a multicast group has to be joined, see multicast:client", local)
	}
	conn, err := net.ListenUDP("udp", local)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); conn.Close() }) // reading ends; a second signal kills
	fmt.Println("listening on", conn.LocalAddr())

	if err := echo(ctx, conn); ctx.Err() == nil {
		log.Fatal(err)
	} else if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
	//weave:end
}

// echo serves all peers: there is nothing to accept, and no connection that could end.
func echo(ctx context.Context, conn *net.UDPConn) error {
	// One read takes one whole datagram. What does not fit in buf is lost without a
	// word, so it is as large as a datagram can be: 65527 bytes, over IPv6.
	for buf := make([]byte, 65535); ; {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		// A socket for both families, as on [::]:8080, shows an IPv4 peer as
		// ::ffff:192.0.2.1. Unmap makes it 192.0.2.1 again.
		peer, family := netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), "IPv6"
		if peer.Addr().Is4() {
			family = "IPv4"
		}
		fmt.Printf("%v %s sent %d bytes: %.64q\n", peer, family, n, buf[:n]) // n may be 0
		// If from is forged, this goes to somebody who has not asked. If nobody is there
		// any more we are not told: that needs a connected socket.
		if _, err := conn.WriteToUDPAddrPort(buf[:n], from); err != nil && ctx.Err() == nil {
			log.Print(err) // this peer's loss only
		}
	}
}
