// Pipe appends what each connection sends to a file. A client that gets our FIN
// knows that all is in the file; one that gets a reset, that it may not be.
//
//	go run ./tcp_server/pipe       or ./bazelw run //tcp_server:pipe
//	go run ./tcp_client/client     in a second terminal; then: cat message.txt
package main

import (
	"cmp"
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
	log.SetPrefix("pipe: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	to := flag.String("to", "message.txt", "`file` to append to")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" {
		log.Fatalf("want -addr host:port and no argument after the flags, not %q %q", *addr, flag.Args())
	}

	if err := os.Chdir(cmp.Or(os.Getenv("BUILD_WORKING_DIRECTORY"), ".")); err != nil {
		log.Fatal(err) // Bazel starts programs elsewhere, and tells where it was called
	}
	// O_APPEND: each write goes to the end, wherever others have moved that to.
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
			go pipe(file, conn.(*net.TCPConn)) // a net.Conn has no SetLinger, a *net.TCPConn has
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

// pipe needs no buffer of its own, and nothing that makes the client wait: Copy reads
// again when the write is done, and what is not read the client's kernel keeps.
func pipe(file *os.File, conn *net.TCPConn) {
	defer conn.Close()
	// With 0 here the end of the connection is a reset, whatever brings it about: a
	// full disk, Ctrl+C, SIGKILL. By itself the kernel would send a FIN once all
	// is read, stored or not, and the client would take it for a good end.
	conn.SetLinger(0)
	n, err := io.Copy(file, conn) // until the client's FIN
	if err == nil {
		conn.SetLinger(-1) // all is in the file: now Close sends a FIN
	} else {
		log.Print(err)
	}
	fmt.Println(conn.RemoteAddr(), "piped", n, "bytes")
}
