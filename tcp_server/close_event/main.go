// Close_event tells how each connection ended: in good order, with a FIN from the
// client, or with an error.
//
//	bazel run //tcp_server:close_event            in one terminal
//	bazel run //tcp_client:close -- -how end      in another; then -how reset
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
	"strconv"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("close_event: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "close_event shows how a connection ends: with a FIN, or with an error.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	}

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // from now on a second signal kills
		ln.Close()
	})
	fmt.Println("listening on", ln.Addr())

	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			fmt.Println("closed") // connections still open end with the process
			return
		} else if err != nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(500 * time.Millisecond)
			continue
		}
		go watch(conn)
	}
}

// watch reads to learn of the end: there is no event for it, and to Go the end
// of a connection is what its next Read, or Write, returns.
func watch(conn net.Conn) {
	defer conn.Close()
	peer := conn.RemoteAddr()
	_, err := io.Copy(io.Discard, conn) // io.EOF, a FIN, is no error to it
	if err == nil {
		fmt.Printf("%v closed\n", peer)
		return
	}
	// Inside "read tcp A->B: read: connection reset by peer" is the bare cause.
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		err = cause
	}
	fmt.Printf("%v closed with error: %v\n", peer, err)
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
	fmt.Fprintf(os.Stderr, "close_event: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
