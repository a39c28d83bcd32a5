// Connecting connects to a server that may not be there yet: it gives each attempt some
// time, and after one that has failed waits longer than before until the next.
//
//	go run ./tcp_client/connecting -tries 9   in one terminal, or ./bazelw run //tcp_client:connecting -- -tries 9
//	go run ./tcp_server/server                in another, some seconds later
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("connecting: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	timeout := flag.Duration("timeout", 5*time.Second, "`time` for an attempt, as 200ms or 1s; 0s for as long as the system tries")
	tries := flag.Int("tries", 1, "attempts, 1 or more")
	pause := flag.Duration("pause", 100*time.Millisecond, "`time` to wait after the first attempt, 1ms to 1h")
	var block netip.Prefix // which contains no address
	flag.TextVar(&block, "block", block, "`network` not to connect to, as 10.0.0.0/8")
	if flag.Parse(); flag.NArg() > 0 || *timeout < 0 || *tries < 1 || *pause < time.Millisecond || *pause > time.Hour {
		log.Fatalf("want -timeout 0 or more, -tries 1 or more, -pause 1ms to 1h and no argument, not %v %d %v %q", *timeout, *tries, *pause, flag.Args())
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	conn, err := connect(ctx, dialer(*timeout, block), *addr, *tries, *pause)
	if err == nil {
		context.AfterFunc(ctx, func() { conn.Close() }) // ctx was for connecting: it ends no connection
		fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())
		_, err = io.Copy(io.Discard, conn) // until the peer's FIN
		conn.Close()
	}
	if err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// dialer gives up after that time, or with 0 when the system does.
func dialer(timeout time.Duration, block netip.Prefix) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error {
		// Called for each address, after the name's look-up and before the SYN.
		if to, err := netip.ParseAddrPort(address); err == nil && block.Contains(to.Addr().WithZone("")) {
			return fmt.Errorf("%v is blocked", block)
		}
		return nil
	}}
}

// connect tries until it has a connection, or no further attempt is left or of use.
func connect(ctx context.Context, dialer *net.Dialer, addr string, tries int, pause time.Duration) (net.Conn, error) {
	for n := 1; ; n++ {
		// Each attempt is a new socket, with a new port. When its time is over, or ctx
		// ends, Dial closes it: the kernel forgets it, and sends its SYN no more.
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		// That nobody has such a name, or that it is no address, will not change.
		var name *net.DNSError
		hopeless := errors.As(err, &name) && name.IsNotFound || errors.As(err, new(*net.AddrError))
		if err == nil || hopeless || n == tries || ctx.Err() != nil {
			return conn, err
		}
		// Somewhat more, at random: when a server restarts all its clients lose it in one
		// moment, and should not come back in one.
		wait := pause + rand.N(pause/2)
		fmt.Printf("attempt %d: %v; again in %v\n", n, err, wait.Round(time.Millisecond))
		select {
		case <-time.After(wait):
		case <-ctx.Done(): // and with it the next attempt, as soon as it begins
		}
		pause = min(2*pause, max(pause, time.Minute)) // a server in need is asked less and less
	}
}
