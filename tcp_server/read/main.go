// Read prints each piece that it reads of a connection. The pieces are not the
// client's writes: TCP carries a stream of bytes, and a read returns what is there.
//
//	bazel run //tcp_server:read -- -buffer 8                     in one terminal
//	bazel run //tcp_client:client -- -message read-me-twice      in another
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
	log.SetPrefix("read: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "read shows that TCP is a stream: it prints each piece that it reads, and their sum.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	buffer := flag.Int("buffer", 1024, "`bytes` that one read takes at most, 1 to 16777216")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *buffer < 1 || *buffer > 1<<24:
		misuse("-buffer %d is not from 1 to %d", *buffer, 1<<24)
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
		go read(conn, *buffer)
	}
}

// read returns at the client's FIN, which Read reports as io.EOF.
func read(conn net.Conn, size int) {
	defer conn.Close()
	peer := conn.RemoteAddr()
	bytesRead := 0
	for buf := make([]byte, size); ; {
		// Read waits only while there is nothing: it does not fill buf.
		n, err := conn.Read(buf)
		if n > 0 { // data first: it is good even if an error came with it
			bytesRead += n
			fmt.Printf("%v read %d bytes: %s\n", peer, n, quote(buf[:n]))
		}
		if errors.Is(err, io.EOF) {
			fmt.Printf("%v ended after %d bytes\n", peer, bytesRead)
			return
		} else if err != nil {
			log.Print(err)
			return
		}
	}
}

// quote shows the first 64 bytes of data.
func quote(data []byte) string {
	if len(data) > 64 {
		return fmt.Sprintf("%q…", data[:64])
	}
	return fmt.Sprintf("%q", data)
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
	fmt.Fprintf(os.Stderr, "read: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
