// Server accepts TCP connections and echoes what each of them sends.
//
//	bazel run //tcp_server:server      in one terminal
//	bazel run //tcp_client:client      in another
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
	log.SetPrefix("server: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "server shows a TCP server: it echoes what each connection sends.")
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
		go echo(conn)
	}
}

// echo needs no event loop: it blocks in its own goroutine, one a connection.
func echo(conn net.Conn) {
	defer conn.Close()
	peer := conn.RemoteAddr()
	fmt.Printf("%v connected\n", peer)
	n, err := io.Copy(conn, conn) // ends at the client's FIN, once all is sent back
	if err != nil {
		log.Print(err)
	}
	fmt.Printf("%v closed after %d bytes\n", peer, n)
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
