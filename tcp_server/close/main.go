// Close echoes. Told to stop, it takes no new connection, goes on serving those
// it has, and ends when the last of them has gone.
//
//	go run ./tcp_server/close     or ./bazelw run //tcp_server:close
//	go run ./tcp_client/unref     in a second terminal; then Ctrl+C in the first, and here
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
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0) // no date and time in front
	log.SetPrefix("close: ")
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
	portFree := make(chan struct{})
	context.AfterFunc(ctx, func() { stop(); ln.Close(); close(portFree) }) // a second signal kills
	fmt.Println("listening on", ln.Addr())

	serve(ctx, ln, portFree)
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// serve returns when the listener has been closed and the last client has gone.
func serve(ctx context.Context, ln net.Listener, portFree <-chan struct{}) {
	var open atomic.Int64  // a number to print
	var all sync.WaitGroup // a number to wait for: until it is 0
	for ctx.Err() == nil {
		if conn, err := ln.Accept(); err == nil {
			open.Add(1)
			all.Go(func() { echo(conn, &open) })
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	<-portFree // Close wakes Accept, which may return before the port is free
	fmt.Printf("no longer listening, %d open\n", open.Load())
	// The listener's Close has not touched these connections. The end of main would:
	// goroutines are not waited for, and the kernel closes what a process leaves.
	all.Wait()
}

// echo sends back what comes, until the client's FIN.
func echo(conn net.Conn, open *atomic.Int64) {
	// The struct hides that conn is a TCP connection. From one to another Copy would
	// use splice(2), which gets no further than an urgent byte, and tells no error (Linux).
	if _, err := io.Copy(struct{ io.Writer }{conn}, conn); err != nil {
		log.Print(err)
	}
	open.Add(-1) // before our FIN: who sees that is not counted any more
	conn.Close()
}
