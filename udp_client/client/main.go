// Client sends a message in one datagram and waits for the reply.
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
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("client: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "client shows a UDP client: it sends a message and waits for the reply.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to send to")
	message := flag.String("message", "hello", "`text` to send")
	timeout := flag.Duration("timeout", 2*time.Second, "time to wait for the reply")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *timeout <= 0:
		misuse("-timeout %v is not positive", *timeout)
	}

	// Dialing sends nothing. The kernel notes the peer: it picks a source address
	// by its routes, lets no other peer's datagrams in, and passes on the peer's
	// refusal (ICMP) as an error, which only a connected socket gets (udp(7)).
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	conn, err := new(net.Dialer).DialContext(ctx, "udp", *addr)
	if ctx.Err() != nil {
		fmt.Println("closed")
		return
	} else if err != nil {
		log.Fatal(err)
	}
	context.AfterFunc(ctx, func() {
		stop() // from now on a second signal kills
		conn.Close()
	})
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())

	n, err := conn.Write([]byte(*message))
	if ctx.Err() == nil && err != nil {
		log.Fatal(err)
	} else if err == nil {
		fmt.Printf("sent %d bytes: %s\n", n, quote([]byte(*message)))
	}

	// Whether it arrived, nobody says: a deadline is the only way to find out
	// that no reply is coming.
	conn.SetReadDeadline(time.Now().Add(*timeout))
	buf := make([]byte, 65535)
	n, err = conn.Read(buf)
	switch {
	case ctx.Err() != nil:
		fmt.Println("closed")
	case errors.Is(err, os.ErrDeadlineExceeded):
		log.Fatalf("read %v: no reply within %v", conn.RemoteAddr(), *timeout)
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Printf("received %d bytes from %v: %s\n", n, conn.RemoteAddr(), quote(buf[:n]))
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
