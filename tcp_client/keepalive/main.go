// Keepalive holds a connection on which nothing is sent, and has the kernel ask
// from time to time whether the peer is still there.
//
//	bazel run //tcp_server:server         in one terminal
//	bazel run //tcp_client:keepalive      in another
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
	log.SetPrefix("keepalive: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "keepalive shows how a peer that vanished is noticed: it holds a connection and has the kernel probe it.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	idle := flag.Duration("idle", 15*time.Second, "`time` of silence before the first probe, in whole seconds")
	interval := flag.Duration("interval", 15*time.Second, "`time` between two probes, in whole seconds")
	count := flag.Int("count", 9, "probes without an answer before the peer counts as gone, 1 to 127")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case !seconds(*idle):
		misuse("-idle %v is not whole seconds from 1s to 32767s", *idle)
	case !seconds(*interval):
		misuse("-interval %v is not whole seconds from 1s to 32767s", *interval)
	case *count < 1 || *count > 127:
		misuse("-count %d is not from 1 to 127", *count)
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
	// Go has switched keep-alive on already, with the values that are this
	// program's defaults. net.Dialer has a field to set others, or none.
	config := net.KeepAliveConfig{Enable: true, Idle: *idle, Interval: *interval, Count: *count}
	if err := conn.(*net.TCPConn).SetKeepAliveConfig(config); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())
	if on, err := readBack(conn.(*net.TCPConn)); err == nil {
		fmt.Println(on)
	} else if ctx.Err() == nil {
		log.Printf("this system does not tell its keep-alive times: %v", err)
	}

	// Nobody notices that a peer has vanished who only waits for it: nothing
	// arrives, and nothing is sent that could fail. The kernel's probes are sent,
	// and when none is answered the read fails.
	_, err = io.Copy(io.Discard, conn)
	cause := syscall.Errno(0)
	if ctx.Err() == nil && errors.As(err, &cause) {
		fmt.Printf("closed with error: %v\n", cause)
	} else {
		fmt.Println("closed")
	}
}

// seconds tells whether Linux can keep d as a keep-alive time (tcp(7)): it counts
// whole seconds, to 32767. Go would round up without a word.
func seconds(d time.Duration) bool {
	return d >= time.Second && d <= 32767*time.Second && d%time.Second == 0
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
	fmt.Fprintf(os.Stderr, "keepalive: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
