// Timeout echoes, and closes a connection on which nothing has moved for some time.
//
//	go run ./tcp_server/timeout -timeout 1s     or ./bazelw run //tcp_server:timeout -- -timeout 1s
//	go run ./tcp_client/unref                   in a second terminal: connects and says nothing
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
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
			go echo(conn, cmp.Or(*timeout, math.MaxInt64)) // for 0, never: 292 years
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

// echo sends back what comes, until for that long no byte has moved. A client that reads
// slowly is not idle; one that sends and does not read is closed like a silent one.
func echo(conn net.Conn, timeout time.Duration) {
	defer conn.Close() // our FIN, or RST if there is something unread
	buf := make([]byte, 65536)
	n, err := 0, error(nil)
	for err == nil {
		n, err = move(conn, conn.Read, buf, timeout)
		for data := buf[:n]; len(data) > 0 && err == nil; data = data[n:] {
			n, err = move(conn, conn.Write, data, timeout)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Println(conn.RemoteAddr(), "timed out after", timeout)
	} else if err != io.EOF { // EOF is the client's FIN, and no failure
		log.Print(err)
	}
}

// move is one Read or Write, of which something has to move within the timeout.
func move(conn net.Conn, call func([]byte) (int, error), data []byte, timeout time.Duration) (n int, err error) {
	// A deadline is a moment, not a duration: set once only, it would end the busiest
	// connection. So each call gets its own.
	conn.SetDeadline(time.Now().Add(timeout))
	n, err = call(data)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		// Past its deadline a call fails without a look at the socket. Were we stopped
		// meanwhile (SIGSTOP), there may be something in it: so look once more.
		conn.SetDeadline(time.Now().Add(99 * time.Millisecond))
		n, err = call(data)
	}
	if n > 0 && (err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded)) {
		err = nil // part of the echo has gone: the client reads, if slowly; an EOF comes again
	}
	return n, err
}
