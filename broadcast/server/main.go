// Server sends the time of day to a broadcast address: every host of that
// network, and every program there that listens on the port, hears it.
//
//	bazel run //broadcast:client      in one terminal, or in several
//	bazel run //broadcast:server      in another
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("server: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "server shows how to broadcast: it sends the time of day to all on a network.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.255.255.255:8080", "broadcast `address:port` to send to")
	interval := flag.Duration("interval", time.Second, "time between two datagrams")
	count := flag.Int("count", 0, "datagrams to send, 0 for no end")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *interval <= 0:
		misuse("-interval %v is not positive", *interval)
	case *count < 0:
		misuse("-count %d is negative", *count)
	}

	to, err := net.ResolveUDPAddr("udp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	network := "udp4"
	if to.IP != nil && to.IP.To4() == nil {
		network = "udp6" // which has no broadcast: like any unicast address, one host hears it
	}
	// The kernel lets no socket broadcast that has not asked to (SO_BROADCAST,
	// socket(7)). Go has asked, as for every UDP socket that it makes.
	conn, err := net.ListenUDP(network, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from now on a second signal kills
	fmt.Printf("sending to %v from %v\n", to, conn.LocalAddr())

	tick := time.NewTicker(*interval)
	for sent := 1; ; sent++ {
		data := time.Now().Format(time.DateTime)
		if _, err := conn.WriteToUDP([]byte(data), to); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("sent %d bytes: %q\n", len(data), data)
		if sent == *count {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			conn.Close()
			fmt.Println("closed")
			return
		}
	}
}

// hasPort tells whether addr is a host, which may be empty, and a port number.
func hasPort(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return err == nil
}

func misuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "server: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
