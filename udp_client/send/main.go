// Send sends a part of a message from a socket that was given no address, and
// waits for one reply at the port that the system chose.
//
//	go run ./udp_server/server                         in one terminal
//	go run ./udp_client/send -offset 1 -length 3       in another, or ./bazelw run //udp_client:send
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)         // no date and time in front of an error
	log.SetPrefix("send: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to send to")
	message := flag.String("message", "hello", "`text` to send a part of")
	offset := flag.Uint("offset", 0, "`bytes` of the message to leave out")
	length := flag.Uint("length", 0, "`bytes` to send (default all after the offset)")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" {
		log.Fatalf("want -addr host:port and no argument after the flags, not %q %q", *addr, flag.Args())
	}
	end := uint(len(*message))
	flag.Visit(func(f *flag.Flag) { // those that were given
		if f.Name == "length" {
			end = *offset + *length // if that overflows, it ends below the offset
		}
	})
	if *offset > end || end > uint(len(*message)) {
		log.Fatalf("-offset %d and -length %d reach beyond the message's %d bytes", *offset, *length, len(*message))
	}

	to, err := net.ResolveUDPAddr("udp", *addr) // once; Node looks a name up at each send
	if err != nil {
		log.Fatal(err)
	}
	//weave:listen
	network := "udp4"
	if to.IP != nil && to.IP.To4() == nil {
		network = "udp6"
	}
	// No address: the kernel takes 0.0.0.0, or [::], and a free port, here and now.
	// Node does the same at the first send. On 0.0.0.0 other machines can write to it.
	conn, err := net.ListenUDP(network, nil)
	if err != nil {
		log.Fatal(err)
	}
	//weave:end
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); conn.Close() }) // ends a read; a second signal kills
	err = send(conn, to, []byte(*message)[*offset:end])
	if ctx.Err() != nil { // a signal: what failed then, failed because of it
		_, err = fmt.Println("closed")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// send sends data, which in Node would be a buffer, an offset and a length. Like
// these, a slice counts bytes, and may cut a character in two.
func send(conn *net.UDPConn, to *net.UDPAddr, data []byte) error {
	n, err := conn.WriteToUDP(data, to) // one datagram, or none: it is never cut
	if err != nil {
		return err
	}
	fmt.Printf("sent %d bytes to %v from %v\n", n, to, conn.LocalAddr())

	// Not connected, so the first datagram is the reply, whoever sent it. A refusal
	// (ICMP) does not reach this socket: with no server it waits for ever.
	buf := make([]byte, 65535) // any datagram fits
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	if err == nil {
		_, err = fmt.Printf("received %d bytes from %v: %.64q\n", n, from, buf[:n])
	}
	return err
}
