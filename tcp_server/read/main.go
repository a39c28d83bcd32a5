// Read prints each piece that it reads of a connection. The pieces are not the
// client's writes: TCP carries a stream of bytes, and a read returns what is there.
//
//	go run ./tcp_server/read -buffer 8                     or ./bazelw run //tcp_server:read -- -buffer 8
//	go run ./tcp_client/client -message read-me-twice      in a second terminal
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
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0) // no date and time in front
	log.SetPrefix("read: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	size := flag.Uint("buffer", 1024, "`bytes` that one read takes at most, 1 to 16777216")
	// With no room to read into, Read would return 0 bytes at once, and for ever.
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *size < 1 || *size > 1<<24 {
		log.Fatalf("want -addr host:port, -buffer 1 to 16777216 and no argument after the flags, not %q %d %q", *addr, *size, flag.Args())
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
			go read(conn, make([]byte, *size)) // to each its own buffer
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

// read prints what each Read brings, until the client's FIN.
func read(conn net.Conn, buf []byte) {
	defer conn.Close()
	for bytesRead := 0; ; {
		// Read waits only while there is nothing. It does not fill buf, and it knows
		// nothing of the client's writes: where a message ends is for us to find.
		n, err := conn.Read(buf)
		if n > 0 { // data first: it counts even if an error came with it
			bytesRead += n
			fmt.Printf("%v read %d bytes: %.64q\n", conn.RemoteAddr(), n, buf[:n])
		}
		if errors.Is(err, io.EOF) { // the client's FIN: no more will come
			fmt.Println(conn.RemoteAddr(), "ended after", bytesRead, "bytes")
			return
		} else if err != nil { // a reset is no end: there may have been more
			log.Print(err)
			return
		}
	}
}
