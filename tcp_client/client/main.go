// Client sends a message, says that this was all, and prints what comes back.
//
//	go run ./tcp_server/server     in one terminal
//	go run ./tcp_client/client     in another, or ./bazelw run //tcp_client:client
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)           // no date and time in front of an error
	log.SetPrefix("client: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to connect to")
	message := flag.String("message", "hello", "`text` to send")
	if flag.Parse(); flag.NArg() > 0 { // flags end at the first word that is none
		log.Fatalf("want no argument after the flags, not %q", flag.Args())
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	if err := talk(ctx, *addr, *message); err != nil && ctx.Err() == nil {
		log.Fatal(err) // exit code 1; what a signal causes is no failure
	}
	if _, err := fmt.Println("closed"); err != nil { // a full disk, for example
		log.Fatal(err)
	}
}

func talk(ctx context.Context, addr, message string) error {
	// DialContext tries all addresses of a name, and gives up when ctx does.
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()                                      // however talk returns
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a Read that waits; the last () undoes it
	fmt.Printf("connected to %v from %v\n", conn.RemoteAddr(), conn.LocalAddr())

	if _, err := io.WriteString(conn, message); err != nil { // returns when the kernel has it all
		return err
	}
	fmt.Printf("sent %d bytes: %.64q\n", len(message), message)
	// FIN tells the server that this was all. Close would send it too, but then our
	// kernel would answer with RST what the server has still to say.
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	return receive(conn)
}

// receive prints what comes until the server's FIN.
func receive(conn net.Conn) error {
	for buf := make([]byte, 65536); ; {
		n, err := conn.Read(buf) // as much as is there: one reply may be several reads
		if n > 0 {
			fmt.Printf("received %d bytes: %.64q\n", n, buf[:n])
		}
		if err == io.EOF { // FIN is no error: the server has sent all
			return nil
		} else if err != nil {
			return err
		}
	}
}
