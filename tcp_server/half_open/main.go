// Half_open reads until the client has finished sending (its FIN), and only
// then sends everything back: a connection has two halves, closed one by one.
//
//	bazel run //tcp_server:half_open      in one terminal
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
	log.SetPrefix("half_open: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "half_open shows a connection of which one half is closed: it replies when the client has finished sending.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	allow := flag.Bool("allow", true, "reply after the client's FIN; false closes, as Node does by default")
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
		go serve(conn, *allow)
	}
}

// limit is what one client may make us keep.
const limit = 64 << 20

func serve(conn net.Conn, allow bool) {
	peer := conn.RemoteAddr()
	defer fmt.Printf("%v closed\n", peer)
	defer conn.Close()
	// EOF is the client's FIN: no more will come from there. It says nothing of
	// the other half, which stays open until we close it.
	data, err := io.ReadAll(io.LimitReader(conn, limit+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("read %v: more than %d bytes", peer, limit)
	}
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Printf("%v ended after %d bytes\n", peer, len(data))
	if !allow {
		return
	}
	n, err := conn.Write(data)
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Printf("%v replied %d bytes\n", peer, n)
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
	fmt.Fprintf(os.Stderr, "half_open: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
