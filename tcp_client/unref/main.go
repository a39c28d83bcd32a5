// Unref ends with its connection open, or waits for the peer to close it: what
// keeps a Go program running is that main has not returned.
//
//	go run ./tcp_server/server                in one terminal
//	go run ./tcp_client/unref -ref=false      in another, or ./bazelw run //tcp_client:unref -- -ref=false
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
)

func main() {
	log.SetFlags(0)          // no date and time in front of an error
	log.SetPrefix("unref: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	ref := flag.Bool("ref", true, "wait for the peer to close the connection")
	if flag.Parse(); flag.NArg() > 0 {
		log.Fatalf("want no argument after the flags, not %q", flag.Args())
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	err := connect(ctx, *addr, *ref)
	if ctx.Err() != nil {
		_, err = fmt.Println("closed")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func connect(ctx context.Context, addr string, ref bool) error {
	// A Dialer tries all addresses of a name, and gives up when ctx does.
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { conn.Close() }) // ends a Read that waits
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())

	//weave:wait
	// In Node the socket that is read keeps the process alive until it is unref'd. In
	// Go no socket does, and no goroutine either.
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, conn) // nil at the peer's FIN
		done <- err
	}()
	if !ref {
		// main returns, and the process ends in the midst of that Read. Nobody has
		// called Close: the kernel closes what a process leaves open, and sends FIN.
		_, err := fmt.Println("not waiting")
		return err
	}
	if _, err := fmt.Println("waiting for the peer"); err != nil {
		return err
	}
	return <-done // this is what waits
	//weave:end
}
