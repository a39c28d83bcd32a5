// Write sends many bytes, and reads what comes back while it still sends.
//
//	go run ./tcp_server/server     in one terminal
//	go run ./tcp_client/write      in another, or ./bazelw run //tcp_client:write
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
	"sync"
	"syscall"
)

func main() {
	log.SetFlags(0)          // no date and time in front of an error
	log.SetPrefix("write: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	bytes := flag.Uint64("bytes", 1<<20, "`number` of bytes to send")
	chunk := flag.Uint64("chunk", 65536, "`number` of bytes in each write, 1 to 16777216")
	if flag.Parse(); flag.NArg() > 0 || *chunk < 1 || *chunk > 1<<24 {
		log.Fatalf("want a -chunk from 1 to 16777216 and no argument after the flags, not %d %q", *chunk, flag.Args())
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	if err := connect(ctx, *addr, *bytes, *chunk); err != nil && ctx.Err() == nil {
		log.Fatal(err) // exit code 1; what a signal causes is no failure
	}
	if _, err := fmt.Println("closed"); err != nil { // a full disk, for example
		log.Fatal(err)
	}
}

func connect(ctx context.Context, addr string, bytes, chunk uint64) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a Write and a Read that wait; the last () undoes it
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())
	return exchange(conn.(*net.TCPConn), bytes, chunk) // a net.Conn has no CloseWrite
}

// exchange writes and reads, each in a goroutine of its own.
func exchange(conn *net.TCPConn, bytes, chunk uint64) error {
	// Reading begins before writing does. A peer that echoes stops reading when nobody
	// reads its echo; then our Write would wait for room, for ever.
	var received int64
	var failed error
	var reading sync.WaitGroup
	reading.Go(func() { received, failed = io.Copy(io.Discard, conn) }) // until the peer's FIN

	written, writes, err := write(conn, bytes, chunk)
	fmt.Printf("wrote %d bytes in %d writes\n", written, writes)
	err = cmp.Or(err, conn.CloseWrite()) // FIN follows the last byte
	reading.Wait()                       // from here on both are final
	fmt.Printf("received %d bytes\n", received)
	return cmp.Or(err, failed) // the first that is an error
}

// write returns how many bytes the kernel has taken. More a write cannot tell.
func write(conn net.Conn, bytes, chunk uint64) (written uint64, writes int, err error) {
	for buf := make([]byte, chunk); err == nil && written < bytes; writes++ {
		// Write returns when the kernel has taken all, however long it waits for room: no
		// queue in the program, no 'drain'. One that fails may have written a part, n.
		var n int
		n, err = conn.Write(buf[:min(chunk, bytes-written)])
		written += uint64(n) // Node's bytesWritten, but nothing that still waits in the process
	}
	return written, writes, err
}
