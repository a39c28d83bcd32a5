// Connections counts its connections, and drops those over a limit.
//
//	bazel run //tcp_server:connections      in one terminal
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
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("connections: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "connections shows how to count connections, and to limit them.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	most := flag.Int("max", 0, "connections at a time, 0 for no limit")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *most < 0:
		misuse("-max %d is negative", *most)
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

	var mu sync.Mutex // also for printing: lines come in the order of their counts
	open := 0
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
		mu.Lock()
		if *most > 0 && open == *most {
			conn.Close() // the kernel had connected it: it cannot be refused any more
			fmt.Printf("%v dropped, %d open\n", conn.RemoteAddr(), open)
			mu.Unlock()
			continue
		}
		open++
		fmt.Printf("%v connected, %d open\n", conn.RemoteAddr(), open)
		mu.Unlock()
		go func() {
			if _, err := io.Copy(io.Discard, conn); err != nil {
				log.Print(err)
			}
			conn.Close()
			mu.Lock()
			defer mu.Unlock()
			open--
			fmt.Printf("%v closed, %d open\n", conn.RemoteAddr(), open)
		}()
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
	fmt.Fprintf(os.Stderr, "connections: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
