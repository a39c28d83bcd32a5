// Unref ends with a connection open, or waits for its peer to close it.
//
//	bazel run //tcp_server:server      in one terminal
//	bazel run //tcp_client:unref      in another
package main

import (
	"context"
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
	log.SetPrefix("unref: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "unref shows what keeps a Go program running: it ends with a connection open, or waits for the peer.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	ref := flag.Bool("ref", true, "wait for the peer to close the connection")
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

	// In Node this reader would keep the process alive until unref(). In Go no
	// socket and no goroutine does: the process ends when main returns.
	done := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, conn) // ends at the peer's FIN
		done <- err
	}()
	if !*ref {
		fmt.Println("not waiting")
		return // the connection is open still; the kernel closes what a process leaves
	}

	fmt.Println("waiting for the peer")
	err = <-done // this is what waits
	if ctx.Err() != nil {
		fmt.Println("closed")
	} else if err != nil {
		log.Fatal(err)
	}
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
	fmt.Fprintf(os.Stderr, "unref: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
