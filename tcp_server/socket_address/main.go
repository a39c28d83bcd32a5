// Socket_address tells both ends of each connection.
//
//	bazel run //tcp_server:socket_address      in one terminal
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
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("socket_address: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "socket_address shows both ends of each connection: address, port and family.")
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
		go func() {
			defer conn.Close()
			fmt.Printf("local %s, remote %s\n", describe(conn.LocalAddr()), describe(conn.RemoteAddr()))
			if _, err := io.Copy(io.Discard, conn); err != nil {
				log.Print(err)
			}
		}()
	}
}

func describe(addr net.Addr) string {
	at := addr.(*net.TCPAddr).AddrPort()
	ip := at.Addr().Unmap() // an IPv4 client of an IPv6 socket is ::ffff:127.0.0.1
	family := "IPv6"
	if ip.Is4() {
		family = "IPv4"
	}
	return fmt.Sprintf("%v port %d family %s", ip, at.Port(), family)
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
	fmt.Fprintf(os.Stderr, "socket_address: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
