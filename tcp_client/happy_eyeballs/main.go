// Happy_eyeballs connects to a name that has addresses of two families, IPv6 and IPv4, and
// tells of each attempt: where the one does not answer, the other may.
//
//	go run ./tcp_server/server           in one terminal: of localhost it has 127.0.0.1
//	go run ./tcp_client/happy_eyeballs   in another, or ./bazelw run //tcp_client:happy_eyeballs
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptrace"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("happy_eyeballs: ")
	var dialer net.Dialer
	addr := flag.String("addr", "localhost:8080", "`host:port` to connect to")
	family := flag.Int("family", 0, "4 or 6 for addresses of this family only, 0 for both")
	flag.DurationVar(&dialer.FallbackDelay, "delay", 0, "`time` until the second family's turn, as 50ms or 1s; 0s is Go's 300ms, less is no race")
	dns := flag.String("dns", "", "`host:port` of a name server to ask instead of the system's")
	network := map[int]string{0: "tcp", 4: "tcp4", 6: "tcp6"}
	if flag.Parse(); flag.NArg() > 0 || network[*family] == "" {
		log.Fatalf("want -family 0, 4 or 6 and no argument after the flags, not %d and %q", *family, flag.Args())
	}
	if *dns != "" {
		dialer.Resolver = resolver(*dns)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	if err := talk(ctx, dialer, network[*family], *addr); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// resolver asks that server. Without PreferGo the system may look names up, its own way.
func resolver(dns string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, dns) // not to the address in resolv.conf; network: tcp once an answer was too long for udp
	}}
}

// trace tells what a Dialer is at. The package is one for HTTP, but they all heed it.
var trace = &httptrace.ClientTrace{
	DNSDone: func(info httptrace.DNSDoneInfo) { // once both families' answers are there
		for _, addr := range info.Addrs { // sorted (RFC 6724)
			fmt.Println("found", addr.String())
		}
	},
	ConnectStart: func(_, addr string) { fmt.Println("trying", addr) }, // now its SYN is sent
	ConnectDone: func(_, addr string, err error) {
		if err != nil && !errors.Is(err, context.Canceled) { // which the loser is
			fmt.Println("failed:", err)
		}
	},
}

func talk(ctx context.Context, dialer net.Dialer, network, addr string) error {
	// The family of the first address begins, and the other when that has failed, or after
	// FallbackDelay. Without a Timeout nobody is given up: both may be under way until one
	// is connected and the other called off. Within a family it is one address after the other.
	conn, err := dialer.DialContext(httptrace.WithClientTrace(ctx, trace), network, addr)
	if err != nil {
		return err // that of the first address
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a Read that waits; the last () undoes it
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())
	_, err = io.Copy(io.Discard, conn) // until the peer's FIN
	return err
}
