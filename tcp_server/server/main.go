// Server accepts connections and sends back whatever each of them sends: an echo.
//
//	go run ./tcp_server/server     or ./bazelw run //tcp_server:server
//	go run ./tcp_client/client     in a second terminal, or in several
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
	log.SetPrefix("server: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" {
		log.Fatalf("want -addr host:port and no argument after the flags, not %q %q", *addr, flag.Args())
	}

	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // Go's default, but its addresses lack the IPv6 zone (golang/go#74643)
	ln, err := lc.Listen(context.Background(), "tcp", *addr)
	if err != nil {
		log.Fatal(err) // as when the port is taken; exit code 1
	}
	//weave:frame
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); ln.Close() }) // Accept returns; a second signal kills
	fmt.Println("listening on", ln.Addr())

	for ctx.Err() == nil {
		if conn, err := ln.Accept(); err == nil {
			go echo(conn) // and back to Accept
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	//weave:end
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

// echo runs in a goroutine for each connection. Read and Write block it when there
// is nothing to read or no room to write, and block nobody else.
func echo(conn net.Conn) {
	peer := conn.RemoteAddr()
	fmt.Println(peer, "connected")
	// Copy reads, writes, and ends at EOF, the client's FIN, when all that came
	// before has been written. It would not even touch the bytes: it would find
	// conn's method ReadFrom, which lets the kernel move them by splice(2). But splice
	// gets no further than an urgent byte (MSG_OOB), and what follows would be lost
	// without an error. So Copy gets a Writer that can do nothing else.
	n, err := io.Copy(struct{ io.Writer }{conn}, conn)
	if err != nil { // a reset, say: this connection's error, and nobody else's
		log.Print(err)
	}
	conn.Close() // our FIN
	fmt.Println(peer, "closed after", n, "bytes")
}
