// Pause_resume does not read from a connection for a while, and then reads all of
// it. Meanwhile the kernels make the client wait, and not a byte is lost.
//
//	go run ./tcp_server/pause_resume                 or ./bazelw run //tcp_server:pause_resume
//	go run ./tcp_client/write -bytes 67108864        in a second terminal: stands still for two seconds
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
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0) // no date and time in front
	log.SetPrefix("pause_resume: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	pause := flag.Duration("pause", 2*time.Second, "`time` not to read for, as 1s or 200ms")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *pause < 0 {
		log.Fatalf("want -addr host:port, -pause 0 or more and no argument after the flags, not %q %v %q", *addr, *pause, flag.Args())
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
			go read(conn, *pause)
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

// read has nothing to switch off: in Go nobody reads but you, and to pause is not
// to call Read.
func read(conn net.Conn, pause time.Duration) {
	defer conn.Close()
	fmt.Println(conn.RemoteAddr(), "paused")
	// Our kernel goes on receiving until its buffer for this connection is full. Then
	// the window that it announces has shrunk to nothing, the client's kernel stops
	// sending, and once its buffer is full as well, the client's Write waits.
	time.Sleep(pause) // this goroutine only: the others accept and read
	fmt.Println(conn.RemoteAddr(), "resumed")
	// The first Read makes room, the window opens, and the client is told so. What it
	// was not allowed to send was not lost: it had not been sent.
	n, err := io.Copy(io.Discard, conn)
	if err != nil { // a reset shows here only, though it came during the pause
		log.Print(err)
		return
	}
	fmt.Println(conn.RemoteAddr(), "ended after", n, "bytes")
}
