// Buffer_size writes to a peer that does not read, until the kernel takes no more.
//
//	go run ./tcp_server/listen          in one terminal: it never accepts, so never reads
//	go run ./tcp_client/buffer_size     in another, or ./bazelw run //tcp_client:buffer_size
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)                // no date and time in front of an error
	log.SetPrefix("buffer_size: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	size := flag.Uint64("bytes", 64<<20, "`bytes` to write at most")
	if flag.Parse(); flag.NArg() > 0 {
		log.Fatalf("want no argument after the flags, not %q", flag.Args())
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	err := measure(ctx, *addr, *size)
	if ctx.Err() != nil { // a signal: what failed then, failed because of it
		_, err = fmt.Println("closed")
	}
	if err != nil {
		log.Fatal(err) // exit code 1
	}
}

// measure fills a connection and asks the kernel what it keeps of that.
func measure(ctx context.Context, addr string, size uint64) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()                                      // what the kernel has taken it goes on sending
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a Write that waits; the last () undoes it
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())

	written, err := fill(conn, size)
	if err == nil && kernel != nil {
		err = kernel(conn.(*net.TCPConn))
	} else if err == nil {
		log.Print("what the kernel keeps only Linux tells") // to stderr
	}
	if err == nil && written < size {
		_, err = fmt.Printf("wrote %d bytes before blocking\n", written)
	} else if err == nil {
		_, err = fmt.Printf("wrote %d bytes, the kernel took them all\n", written)
	}
	return err
}

// kernel, set by kernel_linux.go, prints what waits. Go has no queue of its own,
// and no bufferSize: what Write has returned for is in the kernel.
var kernel func(*net.TCPConn) error

// fill writes until the kernel takes no more, or size bytes.
func fill(conn net.Conn, size uint64) (written uint64, err error) {
	buf := make([]byte, 65536) // zeroes, as good as any
	// A slow peer makes room again, so "no more" is a guess: three Writes in a row that
	// hand over nothing. One would not do: it may be we who were held up during it,
	// until its deadline.
	for idle := 0; written < size && idle < 3; {
		// Write hands over what there is room for and then waits for more, until the
		// deadline. That is a moment, not a duration: it is set anew each time.
		conn.SetWriteDeadline(time.Now().Add(400 * time.Millisecond))
		n, err := conn.Write(buf[:min(uint64(len(buf)), size-written)])
		written += uint64(n) // a Write that fails may have handed over a part
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err // a reset, or our own Close after a signal
		}
		if idle++; n > 0 {
			idle = 0
		}
	}
	return written, nil
}
