// Bind binds a socket of one address family to an address and a port. From
// then on the kernel keeps what is sent there, whether anybody reads it or not.
//
//	bazel run //udp_server:bind
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
	log.SetPrefix("bind: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "bind shows how to bind a UDP socket of one address family to an address.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	network := flag.String("network", "udp4", "`family` of the socket, udp4 or udp6")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *network != "udp4" && *network != "udp6":
		misuse("-network %q is not udp4 or udp6", *network)
	}

	// "udp" alone would take the family from the address, and both families for
	// an address that is left out, as in :8080. Go's udp6 is IPv6 only.
	conn, err := net.ListenPacket(*network, *addr)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from now on a second signal kills
	fmt.Printf("listening on %v (%s)\n", conn.LocalAddr(), *network)

	<-ctx.Done()
	conn.Close()
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
	fmt.Fprintf(os.Stderr, "bind: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
