// Listen listens with a backlog of your choice and never accepts: connections
// wait in the kernel's queue until that is full.
//
//	bazel run //tcp_server:listen      in one terminal
//	bazel run //tcp_client:client      in another
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
	"strconv"
	"syscall"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("listen: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "listen shows the backlog: it listens and never accepts.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	backlog := flag.Int("backlog", 511, "finished connections that wait for Accept, 1 to 2147483647")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *backlog < 1 || *backlog > math.MaxInt32:
		misuse("-backlog %d is not from 1 to 2147483647", *backlog)
	}

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	// Go asks for as many as the system allows and has no parameter for it.
	n, err := setBacklog(ln.(*net.TCPListener), *backlog)
	if errors.Is(err, errors.ErrUnsupported) {
		log.Print("only on Linux can this program change the backlog and ask for it")
	} else if err != nil {
		log.Fatalf("listen %v: %v", ln.Addr(), err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from now on a second signal kills
	if err == nil {
		fmt.Printf("listening on %v with a backlog of %d\n", ln.Addr(), n)
	} else {
		fmt.Println("listening on", ln.Addr())
	}

	// The kernel shakes hands with clients and queues them: no Accept is needed
	// for them to be connected, and to send.
	<-ctx.Done()
	ln.Close() // those in the queue get a RST
	fmt.Println("closed")
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
	fmt.Fprintf(os.Stderr, "listen: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
