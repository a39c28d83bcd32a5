// Address binds a socket and tells what it is bound to: the IP, the port that
// the system chose if none was given, and the family.
//
//	bazel run //udp_server:address
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
		fmt.Fprintln(os.Stderr, "address shows what a UDP socket is bound to: the IP, the port and the family.")
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

	conn, err := net.ListenPacket(*network, *addr)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from now on a second signal kills
	fmt.Println("listening on", conn.LocalAddr())

	// LocalAddr is a net.Addr, an interface; the parts are in the type below it.
	local := conn.LocalAddr().(*net.UDPAddr)
	family := "IPv6"
	if local.IP.To4() != nil {
		family = "IPv4"
	}
	fmt.Println("address:", local.AddrPort().Addr())
	fmt.Println("port:", local.Port)
	fmt.Println("family:", family)

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
	fmt.Fprintf(os.Stderr, "address: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
