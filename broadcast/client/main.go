// Client prints each datagram that arrives on a port, broadcasts included. Any
// number of clients on one machine hear every broadcast.
//
//	bazel run //broadcast:client      in one terminal, or in several
//	bazel run //broadcast:server      in another
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("client: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "client shows how to hear broadcasts: it prints the datagrams that arrive.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "0.0.0.0:8080", "`host:port` to listen on, port 0 for a free one")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	}

	// Bound to one of the machine's own addresses, the socket would get what is
	// sent to that address and nothing else, so no broadcast. "udp" takes 0.0.0.0
	// for both families: udp4 keeps the ready line and the peers plain IPv4.
	network := "udp4"
	if strings.HasPrefix(*addr, "[") {
		network = "udp"
	}
	// A port is one program's, unless all of them said before bind that they
	// would share it: reuse does.
	config := net.ListenConfig{Control: reuse}
	pc, err := config.ListenPacket(context.Background(), network, *addr)
	if err != nil {
		log.Fatal(err)
	}
	conn := pc.(*net.UDPConn)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // from now on a second signal kills
		conn.Close()
	})
	fmt.Println("listening on", conn.LocalAddr())

	for buf := make([]byte, 65535); ; {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			fmt.Println("closed")
			return
		} else if err != nil {
			log.Fatal(err)
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		fmt.Printf("%v: %s\n", from, quote(buf[:n]))
	}
}

// quote shows the first 64 bytes of data.
func quote(data []byte) string {
	if len(data) > 64 {
		return fmt.Sprintf("%q…", data[:64])
	}
	return fmt.Sprintf("%q", data)
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
	fmt.Fprintf(os.Stderr, "client: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
