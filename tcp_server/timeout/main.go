// Timeout echoes, and closes a connection on which nothing has moved for some time.
//
//	go run ./tcp_server/timeout -timeout 1s     or ./bazelw run //tcp_server:timeout -- -timeout 1s
//	go run ./tcp_client/unref                   in a second terminal: connects and says nothing
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
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0) // no date and time in front
	log.SetPrefix("timeout: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	timeout := flag.Duration("timeout", 10*time.Second, "`time` after which to close when nothing moves, as 1s or 200ms; 0 for never")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *timeout < 0 {
		log.Fatalf("want -addr host:port, -timeout 0 or more and no argument after the flags, not %q %v %q", *addr, *timeout, flag.Args())
	}

	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // Go's default, but its addresses lack the IPv6 zone (golang/go#74643)
	ln, err := lc.Listen(context.Background(), "tcp", *addr)
	if err != nil {
		log.Fatal(err) // as when the port is taken; exit code 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); ln.Close() }) // Accept returns; a second signal kills
	fmt.Println("listening on", ln.Addr())

	for ctx.Err() == nil {
		if conn, err := ln.Accept(); err == nil {
			go echo(conn, *timeout)
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

// echo gives each Read and each Write the whole time. A client that reads slowly is
// not idle; one that sends and does not read is closed like a silent one.
func echo(conn net.Conn, timeout time.Duration) {
	defer conn.Close() // our FIN, or RST if there is something unread
	var err error
	for buf := make([]byte, 65536); err == nil; { // until a call fails
		var n int
		n, err = move(conn, conn.Read, buf, timeout)
		for data := buf[:n]; err == nil && len(data) > 0; data = data[n:] { // n: what has been written
			n, err = move(conn, conn.Write, data, timeout)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Println(conn.RemoteAddr(), "timed out after", timeout)
	} else if !errors.Is(err, io.EOF) { // EOF is the client's FIN, and no failure
		log.Print(err)
	}
}

// move reads or writes some of data, and fails when no byte moves for that long. A
// deadline is a moment, not a duration: it stays where it was put, and set once
// only, after Accept, it would end the busiest connection. So each call gets its own.
func move(conn net.Conn, call func([]byte) (int, error), data []byte, timeout time.Duration) (n int, err error) {
	// A call past its deadline fails without a look at the socket. A process that was
	// stopped meanwhile may find there what came in time: so it looks once more.
	for _, wait := range []time.Duration{timeout, 100 * time.Millisecond} {
		if timeout > 0 { // with no deadline a call waits for ever
			conn.SetDeadline(time.Now().Add(wait))
		}
		if n, err = call(data); !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		} else if n > 0 { // a Write has got rid of a part: the peer reads, if slowly
			return n, nil
		}
	}
	return 0, err
}
