// Unpipe appends what each connection sends to a file, for some time. After that
// the connection stays open, and what arrives stays unread in the kernel.
//
//	go run ./tcp_server/unpipe               or ./bazelw run //tcp_server:unpipe
//	nc 127.0.0.1 8080                        in a second terminal: type, wait 5 seconds, type
package main

import (
	"cmp"
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
	log.SetPrefix("unpipe: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	to := flag.String("to", "message.txt", "`file` to append to")
	after := flag.Duration("after", 5*time.Second, "`time` to pipe a connection for, as 1s or 200ms")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *after < 0 {
		log.Fatalf("want -addr host:port, -after 0 or longer and no argument, not %q %v %q", *addr, *after, flag.Args())
	}
	if err := os.Chdir(cmp.Or(os.Getenv("BUILD_WORKING_DIRECTORY"), ".")); err != nil {
		log.Fatal(err) // Bazel starts programs elsewhere, and tells where it was called
	}
	file, err := os.OpenFile(*to, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		log.Fatal(err)
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
			go pipe(file, conn.(*net.TCPConn), *after) // a net.Conn has no SetLinger, a *net.TCPConn has
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

// pipe stops copying by a read deadline: Go has no unpipe. It strikes before a read
// and never between that and its write: each byte is in the file, or unread.
func pipe(file *os.File, conn *net.TCPConn, after time.Duration) {
	defer fmt.Println(conn.RemoteAddr(), "closed") // after Close: what is deferred last runs first
	defer conn.Close()
	conn.SetLinger(0) // a reset, as in tcp_server/pipe, for whoever ends this too soon
	conn.SetReadDeadline(time.Now().Add(after))
	n, err := io.Copy(file, conn) // until the client's FIN, the deadline or a failure
	if errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Println(conn.RemoteAddr(), "unpiped after", n, "bytes")
		conn.SetReadDeadline(time.Time{}) // the one that has passed would end any waiting
		err = awaitEnd(conn)              // on Linux without reading
	} else {
		fmt.Println(conn.RemoteAddr(), "piped", n, "bytes")
	}
	if err != nil {
		log.Print(err)
		return
	}
	conn.SetLinger(-1) // now Close sends a FIN, or still a reset if something is unread
}

// awaitEnd waits for the peer's FIN or reset, by reading: there is no other way,
// save on Linux, where end_linux.go puts one here that leaves all unread.
var awaitEnd = func(conn *net.TCPConn) error {
	if n, err := io.Copy(io.Discard, conn); n == 0 || err != nil {
		return err
	}
	return fmt.Errorf("%v: only reading told of its end: what it sent since is thrown away", conn.RemoteAddr())
}
