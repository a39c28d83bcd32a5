// Listen listens with a backlog of your choice and never accepts: the kernel
// connects clients all the same, and queues them until the queue is full.
//
//	go run ./tcp_server/listen -backlog 1     or ./bazelw run //tcp_server:listen -- -backlog 1
//	go run ./tcp_client/client                in a second, a third and a fourth terminal
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0) // no date and time in front
	log.SetPrefix("listen: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	backlog := flag.Uint("backlog", 511, "`connections` that may wait for Accept; the system has a limit of its own")
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
	if n, err := setBacklog(ln, int(min(*backlog, math.MaxInt32))); err == nil {
		fmt.Printf("listening on %v with a backlog of %d\n", ln.Addr(), n)
	} else {
		log.Print("cannot tell the backlog: ", err)
		fmt.Println("listening on", ln.Addr())
	}

	//weave:never
	// A server would call Accept now. The handshake does not wait for that: the kernel
	// answers SYN by itself, and keeps what the client sends.
	<-ctx.Done()
	ln.Close() // those in the queue get a RST
	//weave:end
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// setBacklog changes how many connections may wait, and returns how many that are.
// Go has no way to do it. On Unix, backlog_unix.go puts one here.
var setBacklog = func(ln net.Listener, n int) (int, error) { return 0, errors.ErrUnsupported }
