// Timeout echoes, and closes a connection on which neither side has sent anything
// for some time.
//
//	bazel run //tcp_server:timeout      in one terminal
//	nc 127.0.0.1 8080                   in another: type, then wait 10 seconds
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
	log.SetPrefix("timeout: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "timeout shows an idle timeout: it echoes until neither side has sent for that long.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	timeout := flag.Duration("timeout", 10*time.Second, "`time` of silence after which to close, 0 for never")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *timeout < 0:
		misuse("-timeout %v is negative", *timeout)
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
		go echo(conn, *timeout)
	}
}

// echo gives every Read and every Write a deadline of its own. A deadline is a
// moment, not a duration: one set only once would end the busiest connection.
func echo(conn net.Conn, timeout time.Duration) {
	defer conn.Close()
	arm := func() {
		if timeout > 0 {
			conn.SetDeadline(time.Now().Add(timeout))
		}
	}
	for buf := make([]byte, 65536); ; {
		arm()
		n, err := conn.Read(buf)
		if n > 0 {
			arm()
			_, err = conn.Write(buf[:n])
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			fmt.Printf("%v timed out after %v\n", conn.RemoteAddr(), timeout)
			return
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			log.Print(err)
			return
		}
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
	fmt.Fprintf(os.Stderr, "timeout: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
