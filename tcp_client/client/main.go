// Client sends a message over TCP and prints all that comes back.
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
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("client: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "client shows a TCP client: it sends a message and prints all that comes back.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	message := flag.String("message", "hello", "`text` to send")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
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

	n, err := io.WriteString(conn, *message)
	if ctx.Err() == nil && err != nil {
		log.Fatal(err)
	} else if err == nil {
		fmt.Printf("sent %d bytes: %s\n", n, quote([]byte(*message)))
	}

	// FIN tells the server that this is all. Reading goes on until its FIN: a
	// Close here would throw away what it still has to say.
	conn.(*net.TCPConn).CloseWrite()
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
	fmt.Fprintf(os.Stderr, "client: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
