// Close ends a connection in one of three ways: with FIN while it goes on reading,
// with FIN and no more reading, or with RST.
//
//	go run ./tcp_server/server                  in one terminal
//	go run ./tcp_client/close -how destroy      in another, or ./bazelw run //tcp_client:close -- -how destroy
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func main() {
	log.SetFlags(0)          // no date and time in front of an error
	log.SetPrefix("close: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	how := flag.String("how", "end", "`way` to end the connection: end, destroy or reset")
	if flag.Parse(); flag.NArg() > 0 || !slices.Contains([]string{"end", "destroy", "reset"}, *how) {
		log.Fatalf("want -how end, destroy or reset and no argument after the flags, not %q %q", *how, flag.Args())
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	last, err := connect(ctx, *addr, *how)
	if ctx.Err() != nil {
		last = "closed" // by a signal, and what that causes is no failure
	} else if err != nil {
		log.Fatal(err) // exit code 1
	}
	if _, err := fmt.Println(last); err != nil { // a full disk, for example
		log.Fatal(err)
	}
}

func connect(ctx context.Context, addr, how string) (last string, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a Read that waits; the last () undoes it
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())
	return end(conn.(*net.TCPConn), how) // what is TCP's own, a net.Conn lacks
}

// end ends the connection, and returns what there is to say when that is done.
func end(conn *net.TCPConn, how string) (last string, err error) {
	switch how {
	case "destroy":
		// Both halves at once. The peer gets a FIN here too, and learns that nobody reads
		// any more only when it sends: our kernel answers that with RST. If data has come
		// that we have not read, Close itself sends RST, no FIN (RFC 9293, 3.6.1).
		return "destroyed", conn.Close()
	case "reset":
		// With a linger time of 0 Close is ABORT (RFC 9293, 3.10.5): the kernel drops what
		// it has not sent yet, and sends RST.
		return "reset: sent RST", cmp.Or(conn.SetLinger(0), conn.Close())
	}
	// Our half only: FIN says that we have sent all, and we read on until the peer's.
	if err := conn.CloseWrite(); err != nil {
		return "", err
	}
	fmt.Println("ended: sent FIN, still reading")
	return "closed", receive(conn)
}

// receive prints what comes until the peer's FIN.
func receive(conn net.Conn) error {
	for buf := make([]byte, 65536); ; {
		n, err := conn.Read(buf) // all has to be read, or Close would be a reset
		if n > 0 {
			fmt.Printf("received %d bytes: %.64q\n", n, buf[:n])
		}
		if err == io.EOF { // the peer's FIN: now both halves have ended
			return nil
		} else if err != nil {
			return err
		}
	}
}
