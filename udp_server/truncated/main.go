// Truncated is an echo whose buffer may be too short, and tells which datagrams were cut,
// and on Linux how long they were. With -grow it makes room before it reads.
//
//	go run ./udp_server/truncated                                       or ./bazelw run //udp_server:truncated
//	go run ./udp_client/client -message 'longer than sixteen bytes'     in a second terminal
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)              // no date and time in front of an error
	log.SetPrefix("truncated: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	buffer := flag.Uint("buffer", 16, "`bytes` to read of each datagram, 1 to 65535")
	grow := flag.Bool("grow", false, "look how long a datagram is, and make the buffer longer if need be (Linux)")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || *buffer < 1 || *buffer > 65535 || *grow && !peeks {
		log.Fatalf("want -addr host:port, -buffer 1 to 65535, -grow on Linux only, and no argument after the flags, not %q %d %v %q", *addr, *buffer, *grow, flag.Args())
	}

	local, err := net.ResolveUDPAddr("udp", *addr) // of localhost, the IPv4 address; so does udp_client:client
	if err != nil {
		log.Fatal(err)
	} else if local.IP.IsMulticast() { // Go would bind every address instead, and join nothing
		log.Fatalf("listen udp %v: a multicast group has to be joined, see multicast:client", local)
	}
	conn, err := net.ListenUDP("udp", local)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); conn.Close() }) // reading ends; a second signal kills
	fmt.Println("listening on", conn.LocalAddr())
	if err := echo(ctx, conn, make([]byte, *buffer), *grow); ctx.Err() == nil {
		log.Fatal(err)
	} else if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// echo sends back what it has read of each datagram.
func echo(ctx context.Context, conn *net.UDPConn, buf []byte, grow bool) error {
	for {
		// The length of the datagram that the next read will take, see peek_linux.go. That
		// holds only as long as nobody else reads from the socket.
		size, err := next(conn)
		if err != nil {
			return err // closed
		}
		if grow && size > len(buf) {
			buf = make([]byte, size) // 65527 bytes at most: nobody can make it grow without end
		}
		// Of a datagram that is longer than buf the rest is gone, and err is nil. Read and
		// ReadFrom… leave it at that; this one also returns flags, MSG_TRUNC among them.
		n, _, flags, from, err := conn.ReadMsgUDPAddrPort(buf, nil)
		if err != nil {
			return err
		}
		told := fmt.Sprintf("%d bytes", n) // 0 if it is an empty one, which is not the end
		if flags&truncated != 0 && size < 0 {
			told = fmt.Sprintf("more than %d bytes", n) // how many more no call tells
		} else if flags&truncated != 0 {
			told = fmt.Sprintf("%d bytes, cut to %d", size, n)
		}
		peer := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		fmt.Printf("%v sent %s: %.64q\n", peer, told, buf[:n])
		if _, err := conn.WriteToUDPAddrPort(buf[:n], from); err != nil && ctx.Err() == nil {
			log.Print(err) // this peer's loss only
		}
	}
}
