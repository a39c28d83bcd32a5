// Client prints the datagrams that are broadcast to a port. Any number of clients
// on one machine receive each of them.
//
//	go run ./broadcast/client     in one terminal, or in several
//	go run ./broadcast/server     in another, or ./bazelw run //broadcast:server
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

func main() {
	log.SetFlags(0)           // no date and time in front of an error
	log.SetPrefix("client: ") // but the name of the program
	addr := flag.String("addr", "127.255.255.255:8080",
		"broadcast `address:port` to listen on, port 0 for a free one; on Windows 0.0.0.0, which takes whatever reaches the machine")
	flag.Parse()
	at, err := net.ResolveUDPAddr("udp4", *addr) // over IPv6 there is no broadcast
	if err != nil {
		log.Fatal(err)
	} else if flag.NArg() > 0 || *addr == "" || at.IP.IsMulticast() { // for a group Go would bind 0.0.0.0
		log.Fatalf("want -addr address:port, which is no multicast group, and no argument after the flags, not %q %q", *addr, flag.Args())
	}

	conn, err := listen(at)
	if err != nil {
		log.Fatal(err)
	}
	//weave:frame
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); conn.Close() }) // ReadFrom returns; a second signal kills
	fmt.Println("listening on", conn.LocalAddr())

	for buf := make([]byte, 65535); ctx.Err() == nil; {
		if n, from, err := conn.ReadFrom(buf); err == nil {
			fmt.Printf("%v: %.64q\n", from, buf[:n])
		} else if ctx.Err() == nil {
			log.Fatal(err)
		}
	}
	//weave:end
	if _, err := fmt.Println("closed"); err != nil { // a full disk, for example
		log.Fatal(err)
	}
}

// listen binds a socket that shares its port with all that say the same.
func listen(at *net.UDPAddr) (net.PacketConn, error) {
	options := []int{syscall.SO_REUSEADDR}
	if runtime.GOOS == "darwin" || strings.HasSuffix(runtime.GOOS, "bsd") {
		options = append(options, 0x200) // SO_REUSEPORT, which these want as well
	}
	// A port is one program's, unless each of them said before bind that it would
	// share. Control is called in between: after bind it would be too late.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (failed error) {
		err := c.Control(func(fd uintptr) {
			for _, option := range options {
				failed = cmp.Or(failed, set(syscall.SetsockoptInt, fd, option))
			}
		})
		return cmp.Or(err, failed)
	}}
	// The kernel compares the address that a socket is bound to with the one that a
	// datagram was sent to. Bound to the broadcast address we get the broadcasts and
	// nothing else; to 0.0.0.0 whatever is sent to the port; to our own no broadcast.
	return lc.ListenPacket(context.Background(), "udp4", at.String())
}

// set calls SetsockoptInt, to which a socket is an int, or on Windows a Handle.
func set[FD ~int | ~uintptr](setsockopt func(fd FD, level, option, value int) error, fd uintptr, option int) error {
	return setsockopt(FD(fd), syscall.SOL_SOCKET, option, 1) // 1 is on
}
