// Unpipe appends what each connection sends to a file, for some time. After that
// the connection stays open, and what arrives stays unread in the kernel.
//
//	bazel run //tcp_server:unpipe      in one terminal
//	nc 127.0.0.1 8080                  in another: type, wait 5 seconds, type; then: cat message.txt
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
	log.SetPrefix("unpipe: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "unpipe shows how to stop piping a connection into a file while it stays open.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	to := flag.String("to", "message.txt", "`file` to append to")
	after := flag.Duration("after", 5*time.Second, "`time` to pipe a connection for")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *after < 0:
		misuse("-after %v is negative", *after)
	}

	if dir := os.Getenv("BUILD_WORKING_DIRECTORY"); dir != "" {
		os.Chdir(dir) // bazel run starts programs elsewhere and tells where it was called
	}
	// O_APPEND: each write goes to the end, wherever other writers moved that to.
	file, err := os.OpenFile(*to, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		log.Fatal(err)
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
		go pipe(file, conn.(*net.TCPConn), *after)
	}
}

// pipe stops copying with a read deadline: Go has no unpipe. It strikes before a
// read, never between a read and its write, so that each byte is either in the
// file or still in the kernel.
func pipe(file *os.File, conn *net.TCPConn, after time.Duration) {
	defer conn.Close()
	peer := conn.RemoteAddr()
	conn.SetReadDeadline(time.Now().Add(after))
	n, err := io.Copy(file, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Printf("%v unpiped after %d bytes\n", peer, n)
		conn.SetReadDeadline(time.Time{}) // it has passed: waiting would end at once
		err = awaitEnd(conn)
	} else {
		fmt.Printf("%v piped %d bytes\n", peer, n)
	}
	if err != nil {
		log.Print(err)
	}
	fmt.Printf("%v closed\n", peer)
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
	fmt.Fprintf(os.Stderr, "unpipe: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
