// Relay connects each client to another server, and passes on what either of them sends.
//
//	go run ./tcp_server/half_open -addr 127.0.0.1:8081     replies after its client's FIN
//	go run ./tcp_server/relay                              or ./bazelw run //tcp_server:relay
//	go run ./tcp_client/client                             in a third terminal
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
	log.SetPrefix("relay: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	to := flag.String("to", "127.0.0.1:8081", "`host:port` to connect each client to; a name is looked up once, now")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *to == "" {
		log.Fatalf("want -addr host:port, -to host:port and no argument after the flags, not %q %q %q", *addr, *to, flag.Args())
	}
	target, errTo := net.ResolveTCPAddr("tcp", *to)
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // Go's default, but its addresses lack the IPv6 zone (golang/go#74643)
	ln, err := lc.Listen(context.Background(), "tcp", *addr)
	if err := cmp.Or(errTo, err); err != nil {
		log.Fatal(err) // as when the port is taken; exit code 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); ln.Close() }) // Accept returns; a second signal kills
	fmt.Println("listening on", ln.Addr())

	for ctx.Err() == nil {
		if conn, err := ln.Accept(); err == nil {
			go relay(conn.(*net.TCPConn), target)
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open are reset with the process's end
		log.Fatal(err)
	}
}

func relay(client *net.TCPConn, to *net.TCPAddr) {
	defer client.Close()
	// FIN says: that was all. So only the end of all may send one: with a linger time of
	// 0 whatever closes the socket before, even kill -9, sends RST.
	client.SetLinger(0)
	server, err := net.DialTCP("tcp", nil, to)
	if err != nil { // the client has been connected all the time: it learns by RST
		log.Print(err)
		return
	}
	defer server.Close()
	server.SetLinger(0)
	fmt.Println(client.RemoteAddr(), "connected to", server.RemoteAddr(), "from", server.LocalAddr())
	//weave:both
	sent := make(chan int64)
	go func() { sent <- pass(server, client) }()
	back, there := pass(client, server), <-sent // when one direction has ended, the other is under way
	client.SetLinger(-1)                        // as it was: after Close the kernel sends what it still has
	server.SetLinger(-1)
	//weave:end
	fmt.Printf("%v closed after %d bytes there and %d back\n", client.RemoteAddr(), there, back)
}

// pass passes on what one sends, and how it ends.
func pass(to, from *net.TCPConn) int64 {
	n, err := io.Copy(struct{ io.Writer }{to}, from) // by Write only: see tcp_server/server
	if err == nil {
		err = to.CloseWrite() // FIN for FIN. The other direction goes on.
	}
	if err != nil && !errors.Is(err, net.ErrClosed) { // closed here, for the other direction
		log.Print(err)
		to.Close() // RST for RST
		from.Close()
	}
	return n
}
