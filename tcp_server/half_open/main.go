// Half_open replies when the client has finished: the client's FIN closes one
// half of the connection, and the other half is still ours.
//
//	go run ./tcp_server/half_open     or ./bazelw run //tcp_server:half_open
//	go run ./tcp_client/client        in a second terminal
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
	log.SetPrefix("half_open: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	allow := flag.Bool("allow", true, "reply after the client's FIN; false closes, as Node does by default")
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
			go reply(conn, *allow)
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

const most = 64 << 20 // bytes that we keep of one client, lest it fill our memory

// reply waits for the end of what the client sends, and only then answers.
func reply(conn net.Conn, allow bool) {
	defer fmt.Println(conn.RemoteAddr(), "closed") // after Close: what is deferred last runs first
	defer conn.Close()                             // our FIN
	// ReadAll ends at EOF, the client's FIN: no more will come from there. It says
	// nothing of the other half: that one is open until we close it.
	data, err := io.ReadAll(io.LimitReader(conn, most+1))
	if err == nil && len(data) > most { // the one byte more tells that there is more
		err = fmt.Errorf("read %v: more than %d bytes", conn.RemoteAddr(), most)
	}
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(conn.RemoteAddr(), "ended after", len(data), "bytes")
	if !allow {
		return // Close sends our FIN at once, as Node would have
	}
	// Data now flows one way only, from our CLOSE_WAIT to the client's FIN_WAIT2. To
	// a client that has not half-closed but gone it flows too, and RST comes back.
	if _, err := conn.Write(data); err != nil {
		log.Print(err)
	} else {
		fmt.Println(conn.RemoteAddr(), "replied", len(data), "bytes")
	}
}
