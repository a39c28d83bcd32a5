// Address tells where it listens, which a program cannot know beforehand: with
// port 0 the system chooses one.
//
//	bazel run //tcp_server:address
//	bazel run //tcp_server:address -- -addr '[::1]:8080'
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("address: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "address shows where a server listens: its address, port and family.")
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
	context.AfterFunc(ctx, stop) // from now on a second signal kills
	fmt.Println("listening on", ln.Addr())
	at := ln.Addr().(*net.TCPAddr).AddrPort()
	family := "IPv6"
	if at.Addr().Is4() {
		family = "IPv4"
	}
	fmt.Printf("address: %v\nport: %d\nfamily: %s\n", at.Addr(), at.Port(), family)

	<-ctx.Done()
	ln.Close()
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
	fmt.Fprintf(os.Stderr, "address: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
