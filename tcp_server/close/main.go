// Close echoes. Told to stop, it takes no new connection, serves those it has,
// and ends when the last of them has left.
//
//	bazel run //tcp_server:close      in one terminal
//	bazel run //tcp_client:client      in another
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
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("close: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "close shows how a server closes: no new connections, and the end after the last has left.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	}

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	refusing := make(chan struct{})
	context.AfterFunc(ctx, func() {
		stop() // from now on a second signal kills
		ln.Close()
		close(refusing)
	})
	fmt.Println("listening on", ln.Addr())

	var open atomic.Int64
	var all sync.WaitGroup
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			break
		} else if err != nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(500 * time.Millisecond)
			continue
		}
		open.Add(1)
		all.Go(func() {
			if _, err := io.Copy(conn, conn); err != nil {
				log.Print(err)
			}
			open.Add(-1)
			conn.Close()
		})
	}
	<-refusing // Accept may return a moment before Close has closed the port
	fmt.Printf("no longer listening, %d open\n", open.Load())
	all.Wait() // when main returns, connections are cut off
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
	fmt.Fprintf(os.Stderr, "close: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
