// Write sends many bytes over TCP and reads what comes back while it sends.
//
//	bazel run //tcp_server:server      in one terminal
//	bazel run //tcp_client:write      in another
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
	"strconv"
	"syscall"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("write: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "write shows how to write much to a TCP connection: it sends bytes and counts what comes back.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	bytes := flag.Int64("bytes", 1<<20, "`bytes` to send")
	chunk := flag.Int("chunk", 65536, "`bytes` of each write, 1 to 16777216")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *bytes < 0:
		misuse("-bytes %d is negative", *bytes)
	case *chunk < 1 || *chunk > 1<<24:
		misuse("-chunk %d is not from 1 to 16777216", *chunk)
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

	// A goroutine of its own reads, from the start. A peer that echoes stops
	// reading once nobody reads its echo; then our writes would stop as well, and
	// both would wait for ever.
	var received int64
	var readErr error
	read := make(chan struct{})
	go func() {
		received, readErr = io.Copy(io.Discard, conn) // ends at the peer's FIN
		close(read)
	}()

	// Write returns when the kernel has taken all, however long that needs: there
	// is no queue in the program, and nothing like 'drain' to wait for.
	var written, writes int64
	for buf := make([]byte, *chunk); err == nil && written < *bytes; {
		var n int
		n, err = conn.Write(buf[:min(int64(*chunk), *bytes-written)])
		written += int64(n)
		writes++
	}
	if err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
	fmt.Printf("wrote %d bytes in %d writes\n", written, writes)

	conn.(*net.TCPConn).CloseWrite()
	<-read
	if readErr != nil && ctx.Err() == nil {
		log.Fatal(readErr)
	}
	fmt.Printf("received %d bytes\n", received)
	conn.Close()
	fmt.Println("closed")
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
	fmt.Fprintf(os.Stderr, "write: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
