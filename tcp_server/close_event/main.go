// Close_event tells how each connection ended: with the client's FIN, or with an
// error. A connection has no event for its end: one learns of it by reading.
//
//	go run ./tcp_server/close_event           or ./bazelw run //tcp_server:close_event
//	go run ./tcp_client/close -how reset      in a second terminal; or -how end
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0) // no date and time in front
	log.SetPrefix("close_event: ")
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
	context.AfterFunc(ctx, func() { stop(); ln.Close() }) // Accept returns; a second signal kills
	fmt.Println("listening on", ln.Addr())

	for ctx.Err() == nil {
		if conn, err := ln.Accept(); err == nil {
			go watch(conn)
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

// watch reads to learn of the end: to Go, that is what the next Read returns.
func watch(conn net.Conn) {
	// Read gives io.EOF once all that came before the client's FIN has been read.
	// To Copy that is the good end, and no error.
	_, err := io.Copy(io.Discard, conn)
	conn.Close() // our FIN; after a reset there is nobody to send it to
	if err == nil {
		fmt.Println(conn.RemoteAddr(), "closed")
		return
	}
	// A reset, or keep-alive probes that nobody answers: Go sends them unasked, from
	// 15 s of silence on. Of a client that lost its power nothing else would tell.
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		err = cause // within "read tcp A->B: read: connection reset by peer" the last part
	}
	fmt.Printf("%v closed with error: %v\n", conn.RemoteAddr(), err)
}
