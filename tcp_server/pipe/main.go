// Pipe appends what each connection sends to a file.
//
//	bazel run //tcp_server:pipe        in one terminal
//	bazel run //tcp_client:client      in another; then: cat message.txt
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
	log.SetPrefix("pipe: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "pipe shows how to pipe a connection into a file.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	to := flag.String("to", "message.txt", "`file` to append to")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	}

	if dir := os.Getenv("BUILD_WORKING_DIRECTORY"); dir != "" {
		os.Chdir(dir) // bazel run starts programs elsewhere and tells where it was called
	}
	// O_APPEND: each write goes to the end, wherever other writers moved that to.
	file, err := os.OpenFile(*to, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		log.Fatal(err)
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
		go pipe(file, conn)
	}
}

// pipe needs no buffer of its own and no back-pressure by hand: io.Copy reads no
// faster than it writes, and the kernel makes the client wait meanwhile.
func pipe(file *os.File, conn net.Conn) {
	defer conn.Close()
	n, err := io.Copy(file, conn) // until the client's FIN
	if err != nil {
		log.Print(err)
	}
	fmt.Printf("%v piped %d bytes\n", conn.RemoteAddr(), n)
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
	fmt.Fprintf(os.Stderr, "pipe: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
