// Connections counts the clients that are connected. Over -max of them, it
// drops whoever comes.
//
//	go run ./tcp_server/connections -max 1     or ./bazelw run //tcp_server:connections -- -max 1
//	go run ./tcp_client/unref                  in a second terminal, then in a third
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
	"sync"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0) // no date and time in front
	log.SetPrefix("connections: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	most := flag.Uint("max", 0, "connections at a time, 0 for no limit")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" {
		log.Fatalf("want -addr host:port and no argument after the flags, not %q %q", *addr, flag.Args())
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
			go serve(conn, *most)
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

// One number for the goroutines of all clients, so it needs a lock. That is held
// while printing too: the lines come in the order of their counts.
var open uint
var mu sync.Mutex

// serve counts a client until it has gone, or drops it if there are too many.
func serve(conn net.Conn, most uint) {
	mu.Lock()
	if most > 0 && open == most {
		// Too late to refuse: the kernel had connected the client before Accept
		// returned. It gets our FIN, or RST if it has sent what nobody will read.
		conn.Close()
		fmt.Printf("%v dropped, %d open\n", conn.RemoteAddr(), open)
		mu.Unlock()
		return
	}
	open++
	fmt.Printf("%v connected, %d open\n", conn.RemoteAddr(), open)
	mu.Unlock() // others come and go while we wait

	// Only who reads learns of its end: FIN ends Copy, RST is its error. A client that
	// vanishes without either keeps its place until keep-alive finds it gone.
	if _, err := io.Copy(io.Discard, conn); err != nil {
		log.Print(err)
	}
	mu.Lock()
	conn.Close() // locked, so that whoever sees this FIN and comes finds the place free
	open--       // the next has this place
	fmt.Printf("%v closed, %d open\n", conn.RemoteAddr(), open)
	mu.Unlock()
}
