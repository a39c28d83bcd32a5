// Pause_resume does not read from a connection for a while, then reads it all. The
// kernel makes the client wait meanwhile, and not a byte is lost.
//
//	bazel run //tcp_server:pause_resume                  in one terminal
//	bazel run //tcp_client:write -- -bytes 67108864      in another
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
	log.SetPrefix("pause_resume: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "pause_resume shows that a client stalls while nobody reads what it sends, and that nothing is lost.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	pause := flag.Duration("pause", 2*time.Second, "`time` not to read for")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *pause < 0:
		misuse("-pause %v is negative", *pause)
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
		go read(conn, *pause)
	}
}

// read has no flow to switch off: to pause is not to call Read. What arrives fills
// the kernel's receive buffer, the window that TCP announces shrinks to zero
// (RFC 9293, section 3.8.6), and the client's writes wait.
func read(conn net.Conn, pause time.Duration) {
	defer conn.Close()
	peer := conn.RemoteAddr()
	fmt.Printf("%v paused\n", peer)
	time.Sleep(pause) // this goroutine only: others accept and read
	fmt.Printf("%v resumed\n", peer)
	n, err := io.Copy(io.Discard, conn)
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Printf("%v ended after %d bytes\n", peer, n)
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
	fmt.Fprintf(os.Stderr, "pause_resume: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
