// Buffer_size writes to a peer that does not read, until the kernel takes no more.
//
//	bazel run //tcp_server:listen           in one terminal: it never accepts, so never reads
//	bazel run //tcp_client:buffer_size      in another
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
	"strconv"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("buffer_size: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "buffer_size shows how much the kernel keeps for a peer that does not read: it writes until no more fits.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	bytes := flag.Int64("bytes", 64<<20, "`bytes` to write at most")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *bytes < 0:
		misuse("-bytes %d is negative", *bytes)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", *addr)
	if ctx.Err() != nil {
		fmt.Println("closed")
		return
	} else if err != nil {
		log.Fatal(err)
	}
	context.AfterFunc(ctx, func() {
		stop() // from now on a second signal kills
		conn.Close()
	})
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())

	// Each Write first offers the kernel its bytes, then waits for room until the
	// deadline. A deadline is a moment, so it is set anew for each. The kernel takes
	// no more if it took nothing twice in a row, a second together: less might be a
	// peer that is slow, and once this program that was held up.
	buf := make([]byte, 65536)
	var written int64
	for idle := 0; written < *bytes && idle < 2; {
		conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := conn.Write(buf[:min(int64(len(buf)), *bytes-written)])
		written += int64(n)
		switch {
		case ctx.Err() != nil:
			fmt.Println("closed")
			return
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			log.Fatal(err)
		case n > 0:
			idle = 0
		default:
			idle++
		}
	}

	// Go keeps no queue of its own. What waits is in the kernel, and it is the
	// kernel that knows.
	if size, err := sendBuffer(conn.(*net.TCPConn)); err == nil {
		fmt.Printf("send buffer %d bytes\n", size)
	} else if ctx.Err() == nil {
		log.Printf("this system does not tell the size of the send buffer: %v", err)
	}
	if queued, err := queued(conn.(*net.TCPConn)); err == nil {
		fmt.Printf("queued %d bytes, the peer has not acknowledged them\n", queued)
	} else if ctx.Err() == nil {
		log.Printf("this system does not tell how much is queued: %v", err)
	}
	if written < *bytes {
		fmt.Printf("wrote %d bytes before blocking\n", written)
	} else {
		fmt.Printf("wrote %d bytes, the kernel took them all\n", written)
	}
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
	fmt.Fprintf(os.Stderr, "buffer_size: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
