// Send sends a part of a message from a socket that nobody gave an address,
// and waits for one reply at the port that the system chose.
//
//	bazel run //udp_server:server      in one terminal
//	bazel run //udp_client:send        in another
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("send: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "send shows how to send a part of a buffer from a socket that was never bound by hand.")
		flag.PrintDefaults()
	}
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to send to")
	message := flag.String("message", "hello", "`text` to send a part of")
	offset := flag.Int("offset", 0, "`bytes` of the message to leave out")
	length := flag.Int("length", 0, "`bytes` to send (default all after the offset)")
	flag.Parse()
	all := true
	flag.Visit(func(f *flag.Flag) { all = all && f.Name != "length" })
	if all {
		*length = len(*message) - *offset
	}
	switch {
	case flag.NArg() > 0:
		misuse("unexpected argument %q", flag.Arg(0))
	case !hasPort(*addr):
		misuse("-addr %q is not a host and a port", *addr)
	case *offset < 0 || *offset > len(*message):
		misuse("-offset %d is not from 0 to the message's %d bytes", *offset, len(*message))
	case *length < 0 || *length > len(*message)-*offset:
		misuse("-length %d is not from 0 to the %d bytes after the offset", *length, len(*message)-*offset)
	}

	to, err := net.ResolveUDPAddr("udp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	network := "udp4"
	if to.IP != nil && to.IP.To4() == nil {
		network = "udp6"
	}
	// No address: the kernel takes 0.0.0.0, or [::], and a free port, here and
	// now. Node does the same, but only on the way to its first send.
	conn, err := net.ListenUDP(network, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // from now on a second signal kills
		conn.Close()
	})

	// Node's offset and length are a slice in Go. Both count bytes, and may cut
	// a character in two.
	data := []byte(*message)[*offset : *offset+*length]
	n, err := conn.WriteToUDP(data, to)
	if ctx.Err() == nil && err != nil {
		log.Fatal(err)
	} else if err == nil {
		fmt.Printf("sent %d bytes to %v from %v\n", n, to, conn.LocalAddr())
	}

	// Not connected, so the first datagram is the reply, whoever it is from; and
	// nobody tells this socket that there is none to come.
	buf := make([]byte, 65535)
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	switch {
	case ctx.Err() != nil:
		fmt.Println("closed")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Printf("received %d bytes from %v: %s\n", n, from, quote(buf[:n]))
	}
}

// quote shows the first 64 bytes of data.
func quote(data []byte) string {
	if len(data) > 64 {
		return fmt.Sprintf("%q…", data[:64])
	}
	return fmt.Sprintf("%q", data)
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
	fmt.Fprintf(os.Stderr, "send: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
