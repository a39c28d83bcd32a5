// Server sends the time of day to a broadcast address: one datagram, which every
// host of that network takes, and every program there that is bound to the port.
//
//	go run ./broadcast/client     in one terminal, or in several
//	go run ./broadcast/server     in another, or ./bazelw run //broadcast:server
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)           // no date and time in front of an error
	log.SetPrefix("server: ") // but the name of the program
	addr := flag.String("addr", "127.255.255.255:8080", "broadcast `address:port` to send to")
	from := flag.String("from", "0.0.0.0:0", "`address:port` of this machine to send from, port 0 for a free one")
	interval := flag.Duration("interval", time.Second, "`time` between two datagrams, as 1s or 200ms")
	count := flag.Uint("count", 0, "datagrams to send, 0 for no end")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *interval <= 0 {
		log.Fatalf("want -addr address:port, an -interval above 0 and no argument after the flags, not %q %v %q",
			*addr, *interval, flag.Args())
	}

	to, err := net.ResolveUDPAddr("udp4", *addr) // over IPv6 there is no broadcast
	local, errFrom := net.ResolveUDPAddr("udp4", *from)
	if err := cmp.Or(err, errFrom); err != nil {
		log.Fatal(err)
	}
	conn, err := net.ListenUDP("udp4", local) // not connected: each datagram says to whom
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	fmt.Printf("sending to %v from %v\n", to, conn.LocalAddr())

	for sent := uint(0); ctx.Err() == nil; {
		//weave:datagram
		text := time.Now().Format(time.DateTime) // 2006-01-02 15:04:05
		// The kernel lets no socket broadcast that has not asked to (SO_BROADCAST), so
		// that nobody does by a mistyped address. Go asks for every UDP socket of IPv4.
		_, err := conn.WriteTo([]byte(text), to)
		if err == nil { // handed to the network: whether anybody receives it nobody tells
			_, err = fmt.Printf("sent %d bytes: %q\n", len(text), text)
		}
		if err != nil && sent == 0 { // more likely a mistake than a network that is down
			log.Fatal(err)
		} else if err != nil { // a network that was there comes back: a sender outlives it
			log.Print(err)
		} else if sent++; sent == *count { // never, if that is 0
			return
		}
		//weave:end
		select { // waits for whichever comes first
		case <-time.After(*interval): // the next is due
		case <-ctx.Done(): // a signal does not wait for the next datagram
		}
	}
	conn.Close()
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}
