// Connect binds a socket, connects it to a peer at the first Enter, undoes that at the
// second, and so on. Meanwhile it prints what the socket receives.
//
//	go run ./udp_server/server                         in one terminal
//	go run ./udp_client/connect                        in another, or ./bazelw run //udp_client:connect
//	go run ./udp_client/client -addr 127.0.0.1:8081    in a third, before, while and after
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)            // no date and time in front of an error
	log.SetPrefix("connect: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	from := flag.String("from", "127.0.0.1:8081", "`host:port` to bind, port 0 for a free one")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *from == "" {
		log.Fatalf("want -addr and -from host:port and no argument after the flags, not %q %q %q", *addr, *from, flag.Args())
	}
	to, err := net.ResolveUDPAddr("udp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", *from) // net.DialUDP would connect, and for good
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); conn.Close() }) // reading ends; a second signal kills
	fmt.Println("listening on", conn.LocalAddr())
	go steps(ctx, conn.(*net.UDPConn), to)
	if err := receive(conn); ctx.Err() == nil {
		log.Fatal(err)
	} else if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// steps takes one at each Enter, beside receive, whose read waits on.
func steps(ctx context.Context, conn *net.UDPConn, to *net.UDPAddr) {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		// Nothing is sent. From now on the kernel lets in the peer's datagrams only, and
		// refuses others', as if the port were free. What is here already stays.
		local, peer, err := connect(conn, to) // connect(2), see connect_linux.go
		if err == nil {
			fmt.Printf("connected to %v from %v\n", peer, local) // what Go has noted is out of date
			_, err = conn.Write([]byte("hello"))                 // to the peer: no address is needed now
			if errors.Is(err, syscall.ECONNREFUSED) {            // what was sent before, and this was not sent
				_, err = conn.Write([]byte("hello"))
			}
		}
		if err == nil && in.Scan() {
			// Anybody is heard again, at the port that we have bound. One that the system
			// chose is lost: then we are at none, until we send or bind again.
			if local, err = disconnect(conn); err == nil {
				fmt.Println("disconnected, bound to", local)
			}
		}
		if err != nil && ctx.Err() == nil {
			log.Fatal(err)
		}
	}
}

// receive prints what the kernel lets in, whether that is connected or not.
func receive(conn net.PacketConn) error {
	for buf := make([]byte, 65535); ; {
		n, from, err := conn.ReadFrom(buf)
		if errors.Is(err, syscall.ECONNREFUSED) {
			// The peer's machine has refused a datagram (ICMP). The Write of that has long
			// succeeded, so the next call tells, once, and the socket is as good as ever.
			fmt.Println("refused: nobody is at the peer's port")
		} else if err != nil {
			return err
		} else {
			fmt.Printf("%v sent %d bytes: %.64q\n", from, n, buf[:n])
		}
	}
}
