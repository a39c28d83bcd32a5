// No_delay writes a message byte by byte, with Nagle's algorithm off, as Go has it, or
// on, or all bytes by one write, and tells how many segments have left by then.
//
//	go run ./tcp_server/listen                     in one terminal: it says nothing
//	go run ./tcp_client/no_delay -no-delay=false   in another, or ./bazelw run //tcp_client:no_delay
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
	"slices"
	"syscall"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("no_delay: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	noDelay := flag.Bool("no-delay", true, "false for Nagle's algorithm, as in Node")
	cork := flag.Bool("cork", false, "hand all bytes over by one write")
	message := flag.String("message", "twenty bytes of text", "`text` to write, 1 to 1024 bytes")
	if flag.Parse(); flag.NArg() > 0 || len(*message) < 1 || len(*message) > 1024 { // pieces of one writev(2)
		log.Fatalf("want a -message of 1 to 1024 bytes and no argument after the flags, not %d and %q", len(*message), flag.Args())
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	if err := talk(ctx, *addr, *noDelay, *cork, []byte(*message)); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

func talk(ctx context.Context, addr string, noDelay, cork bool, message []byte) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a Read that waits; the last () undoes it
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())
	if err = write(conn.(*net.TCPConn), noDelay, cork, message); err == nil {
		// To close now would send what waits: FIN does not wait, nor do bytes before it.
		_, err = io.Copy(io.Discard, conn) // until the peer's FIN
	}
	return err
}

func write(conn *net.TCPConn, noDelay, cork bool, message []byte) error {
	//weave:pieces
	// True is what Go has set, on this connection as on every other. With false, what
	// fills no segment waits in the kernel for the ACK of what has left before it:
	// Nagle's algorithm (RFC 9293, 3.7.4).
	err := conn.SetNoDelay(noDelay)
	pieces := net.Buffers(slices.Collect(slices.Chunk(message, 1)))
	writes := len(pieces)
	if cork && err == nil {
		_, err = pieces.WriteTo(conn) // one writev(2) has them all, and leaves no pieces
		writes = 1
	}
	for i := 0; i < len(pieces) && err == nil; i++ {
		_, err = conn.Write(pieces[i]) // returns at once: the kernel has it, it may not have left
	}
	//weave:end
	if err != nil {
		return err
	}
	fmt.Printf("wrote %d bytes in %d writes\n", len(message), writes)
	return kernel(conn) // see kernel_linux.go
}

var kernel = func(*net.TCPConn) error { log.Print("what has left only Linux tells"); return nil }
