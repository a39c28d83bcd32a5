// Keepalive holds a connection on which nothing is sent, and has the kernel ask
// from time to time whether the peer is still there.
//
//	go run ./tcp_server/server        in one terminal
//	go run ./tcp_client/keepalive     in another, or ./bazelw run //tcp_client:keepalive
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
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)              // no date and time in front of an error
	log.SetPrefix("keepalive: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	idle := flag.Duration("idle", 15*time.Second, "`time` of silence before the first probe, in whole seconds, as 15s or 2m")
	interval := flag.Duration("interval", 15*time.Second, "`time` between two probes, in whole seconds, as 15s or 2m")
	count := flag.Int("count", 9, "probes without an answer before the peer counts as gone, 1 to 127")
	if flag.Parse(); flag.NArg() > 0 || !seconds(*idle) || !seconds(*interval) || *count < 1 || *count > 127 {
		log.Fatalf("want -idle and -interval of whole seconds, 1s to 32767s, a -count of 1 to 127 and no argument, not %v %v %d %q",
			*idle, *interval, *count, flag.Args())
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	end, err := hold(ctx, *addr, net.KeepAliveConfig{Enable: true, Idle: *idle, Interval: *interval, Count: *count})
	if ctx.Err() != nil { // a signal: what failed then, failed because of it
		end, err = "closed", nil
	}
	if err == nil {
		_, err = fmt.Println(end)
	}
	if err != nil {
		log.Fatal(err) // exit code 1
	}
}

// seconds tells whether Linux can keep d (tcp(7)). Go rounds up without a word.
func seconds(d time.Duration) bool {
	return d >= time.Second && d <= 32767*time.Second && d%time.Second == 0
}

func hold(ctx context.Context, addr string, config net.KeepAliveConfig) (end string, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a Read that waits; the last () undoes it
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())

	//weave:probes
	// Go has keep-alive on already, for this connection as for every other, with the
	// values that are this program's defaults.
	if err := conn.(*net.TCPConn).SetKeepAliveConfig(config); err != nil {
		return "", err
	}
	if kernel == nil {
		log.Print("what the kernel has been told only Linux tells") // to stderr
	} else if err := kernel(conn.(*net.TCPConn)); err != nil {
		return "", err
	}
	// From a peer that has vanished nothing comes, not even an end: by itself a Read
	// would wait for ever. It fails once the kernel's probes have gone unanswered.
	_, err = io.Copy(io.Discard, conn)
	if cause := syscall.Errno(0); errors.As(err, &cause) {
		return "closed with error: " + cause.Error(), nil // which is what this program is for
	}
	return "closed", err // nil at the peer's FIN
	//weave:end
}

// kernel, set by kernel_linux.go, prints what the kernel has, not what it was told.
var kernel func(*net.TCPConn) error
