// Client sends a message in one datagram and waits for the reply, but not for ever.
//
//	go run ./udp_server/server     in one terminal
//	go run ./udp_client/client     in another, or ./bazelw run //udp_client:client
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
	log.SetFlags(0)           // no date and time in front of an error
	log.SetPrefix("client: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to send to")
	message := flag.String("message", "hello", "`text` to send")
	timeout := flag.Duration("timeout", 2*time.Second, "`time` to wait for the reply, as 1s or 200ms")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *timeout <= 0 {
		log.Fatalf("want -addr host:port, a -timeout above 0 and no argument after the flags, not %q %v %q", *addr, *timeout, flag.Args())
	}

	//weave:frame
	// localhost may be 127.0.0.1 and ::1. This takes the first IPv4 address, as
	// udp_server:server does. net.Dial would take whichever comes first, and with
	// UDP nothing tells it that it should have tried the other.
	to, err := net.ResolveUDPAddr("udp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	// Connecting sends nothing. The kernel notes the peer: it picks our address by
	// its routes, lets in no datagrams but the peer's, and passes on a refusal (ICMP)
	// as the error of a later call.
	conn, err := net.DialUDP("udp", nil, to)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); conn.Close() }) // ends a Read; a second signal kills
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())
	err = ask(conn, *message, *timeout)
	if ctx.Err() != nil { // a signal: what failed then, failed because of it
		_, err = fmt.Println("closed")
	}
	if err != nil {
		log.Fatal(err)
	}
	//weave:end
}

// ask sends one datagram and waits for one. Whether it has arrived nobody says: only
// a deadline ends the wait for a reply that does not come.
func ask(conn *net.UDPConn, message string, timeout time.Duration) error {
	n, err := conn.Write([]byte(message)) // one Write, one datagram, all of it or an error
	if err != nil {
		return err
	}
	fmt.Printf("sent %d bytes: %.64q\n", n, message)

	buf := make([]byte, 65535) // any datagram fits
	conn.SetReadDeadline(time.Now().Add(timeout))
	n, err = conn.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// After its deadline Read does not even look into the socket. Who was held up
		// (Ctrl+Z and fg) may have the reply there: look once more.
		conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		n, err = conn.Read(buf)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("read %v: no reply within %v", conn.RemoteAddr(), timeout)
	} else if err == nil {
		_, err = fmt.Printf("received %d bytes from %v: %.64q\n", n, conn.RemoteAddr(), buf[:n])
	}
	return err
}
