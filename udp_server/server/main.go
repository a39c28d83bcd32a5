// Server prints each datagram that arrives, and who sent it, and echoes it.
//
//	bazel run //udp_server:server      in one terminal
//	bazel run //udp_client:client      in another
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
	"syscall"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("server: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "server shows a UDP server: it echoes each datagram to whoever sent it.")
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

	pc, err := net.ListenPacket("udp", *addr)
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

	// Nothing to accept: one socket hears every peer, and one read takes one whole
	// datagram. What does not fit in buf is lost without a word; the largest there
	// can be has 65527 bytes (over IPv6: 65535 less the header's 8, RFC 768).
	for buf := make([]byte, 65535); ; {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			fmt.Println("closed")
			return
		} else if err != nil {
			log.Fatal(err)
		}
		// n is 0 for an empty datagram: there is no EOF, since there is no
		// connection that could end.
		peer := unmap(from)
		fmt.Printf("%v %s sent %d bytes: %s\n", peer, family(peer), n, quote(buf[:n]))
		if _, err := conn.WriteToUDPAddrPort(buf[:n], from); err != nil && ctx.Err() == nil {
			log.Print(err) // this peer's loss only
		}
	}
}

// unmap turns the ::ffff:192.0.2.1 that a socket for both families reports
// (RFC 4291, 2.5.5.2) into the IPv4 address that the peer has.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func family(a netip.AddrPort) string {
	if a.Addr().Is4() {
		return "IPv4"
	}
	return "IPv6"
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
	fmt.Fprintf(os.Stderr, "server: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
