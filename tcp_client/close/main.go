// Close ends a TCP connection in one of the three ways there are.
//
//	bazel run //tcp_server:server      in one terminal
//	bazel run //tcp_client:close      in another
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
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("close: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "close shows the ways to end a TCP connection: with a FIN and still reading, at once, or with a reset.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	how := flag.String("how", "end", "end, destroy or reset: the `way` to end the connection")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *how != "end" && *how != "destroy" && *how != "reset":
		misuse("-how %q is not end, destroy or reset", *how)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", *addr)
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

	tcp := conn.(*net.TCPConn)
	switch *how {
	case "end":
		// FIN: we have sent all. The other direction stays open.
		if err := tcp.CloseWrite(); err == nil {
			fmt.Println("ended: sent FIN, still reading")
		} else if ctx.Err() == nil {
			log.Fatal(err)
		}
	case "destroy":
		// Both directions at once. The peer sees a FIN too, and learns that nobody
		// reads any more only when it sends: the kernel answers that with a reset.
		// Bytes that came and were not read make it a reset at once (RFC 9293, 3.6.1).
		tcp.Close()
		fmt.Println("destroyed")
		return
	case "reset":
		// With a linger time of 0 closing is ABORT of RFC 9293, 3.10.5: the kernel
		// drops what it has not sent yet, and sends RST instead of FIN.
		if err := tcp.SetLinger(0); err == nil {
			tcp.Close()
			fmt.Println("reset: sent RST")
			return
		} else if ctx.Err() == nil {
			log.Fatal(err)
		}
	}

	for buf := make([]byte, 65536); ; {
		n, err := conn.Read(buf)
		if n > 0 {
			fmt.Printf("received %d bytes: %s\n", n, quote(buf[:n]))
		}
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			conn.Close()
			fmt.Println("closed")
			return
		} else if err != nil {
			log.Fatal(err)
		}
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
	fmt.Fprintf(os.Stderr, "close: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
