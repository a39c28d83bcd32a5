// Buffer_sizes asks for a receive and a send buffer and tells what the kernel made of that.
// It echoes what comes, and in the end tells how much it was, and how much it missed.
//
//	go run ./udp_server/buffer_sizes -receive 65536     or ./bazelw run //udp_server:buffer_sizes
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)                 // no date and time in front of an error
	log.SetPrefix("buffer_sizes: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	receive := flag.Uint("receive", 0, "`bytes` to ask for, 0 to leave it to the system")
	send := flag.Uint("send", 0, "`bytes` to ask for, 0 to leave it to the system")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" || max(*receive, *send) > math.MaxInt32 { // the system call has an int
		log.Fatalf("want -addr host:port, sizes below 2 GiB and no argument after the flags, not %q %d %d %q", *addr, *receive, *send, flag.Args())
	}

	local, err := net.ResolveUDPAddr("udp", *addr)
	if err != nil {
		log.Fatal(err)
	} else if local.IP.IsMulticast() { // Go would bind every address instead, and join nothing
		log.Fatalf("listen udp %v: a multicast group has to be joined, see multicast:client", local)
	}
	conn, err := net.ListenUDP("udp", local)
	if err == nil {
		err = resize(conn, int(*receive), int(*send))
	}
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); conn.SetDeadline(time.Now()) }) // ends what waits; a second signal kills
	fmt.Println("listening on", conn.LocalAddr())
	sizes, _ := kernel(conn) // see kernel_linux.go
	fmt.Println(sizes)
	n, bytes, err := echo(ctx, conn)
	if ctx.Err() == nil { // not a signal
		log.Fatal(err)
	}
	_, dropped := kernel(conn) // a closed socket can be asked nothing
	conn.Close()
	fmt.Printf("read %d datagrams, %d bytes; %s\n", n, bytes, dropped)
	if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// resize asks for room. On Linux that is memory, bookkeeping included, so the kernel takes
// the number twice; not above net.core.rmem_max and wmem_max, of which it says no word.
func resize(conn *net.UDPConn, receive, send int) (err error) {
	if receive > 0 {
		err = conn.SetReadBuffer(receive)
	}
	if send > 0 && err == nil {
		err = conn.SetWriteBuffer(send)
	}
	return err
}

// echo reads as fast as it can. What comes while it is held up waits in the receive
// buffer, and what finds no room there is dropped: nobody is told, but the kernel counts.
func echo(ctx context.Context, conn *net.UDPConn) (n, bytes int, err error) {
	for buf := make([]byte, 65535); ; n++ {
		size, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return n, bytes, err
		}
		bytes += size // of which the kernel does not speak: it counts memory
		// The send buffer has what is on its way to the network card's queue and in it. If
		// it is full, this waits, and nothing is read meanwhile.
		if _, err := conn.WriteToUDPAddrPort(buf[:size], from); err != nil && ctx.Err() == nil {
			log.Print(err) // this peer's loss only
		}
	}
}
