// Messages cuts what a client sends into messages, wherever TCP has cut it.
//
//	go run ./tcp_server/messages -framing character     or ./bazelw run //tcp_server:messages
//	go run ./tcp_client/no_delay -message 你好           in a second terminal: byte by byte
package main

import (
	"bufio"
	"context"
	"encoding/binary"
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
	log.SetFlags(0) // no date and time in front
	log.SetPrefix("messages: ")
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	framing := flag.String("framing", "line", "`what` tells where a message ends: line, length or character")
	flag.Parse()
	next := map[string]bufio.SplitFunc{"line": line, "length": length, "character": bufio.ScanRunes}[*framing]
	if flag.NArg() > 0 || *addr == "" || next == nil {
		log.Fatalf("want -addr host:port, -framing line, length or character and no argument, not %q %q %q", *addr, *framing, flag.Args())
	}

	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // Go's default, but its addresses lack the IPv6 zone (golang/go#74643)
	ln, err := lc.Listen(context.Background(), "tcp", *addr)
	if err != nil {
		log.Fatal(err) // as when the port is taken; exit code 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); ln.Close() }) // Accept returns; a second signal kills
	fmt.Println("listening on", ln.Addr())

	for ctx.Err() == nil {
		if conn, err := ln.Accept(); err == nil {
			go serve(conn, next)
		} else if ctx.Err() == nil { // most likely no descriptor is free: let some close
			log.Print(err)
			time.Sleep(time.Second / 2)
		}
	}
	if _, err := fmt.Println("closed"); err != nil { // connections still open end with the process
		log.Fatal(err)
	}
}

func serve(conn net.Conn, next bufio.SplitFunc) {
	// One Scanner for the connection, not one for each message: it reads whatever has
	// come, and keeps what is beyond this message's end for the next.
	s := bufio.NewScanner(conn)
	s.Buffer(nil, 1024) // what a message may take at most, lest one client fill our memory
	s.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if n, message, err := next(data, atEOF); n > 0 || !atEOF || len(data) == 0 {
			return n, message, err // with n 0 it is asked again when more has come
		}
		return 0, nil, io.ErrUnexpectedEOF // FIN came within a message: so that is none
	})
	n := 0
	for ; s.Scan(); n++ {
		fmt.Printf("%v message %d: %.64q\n", conn.RemoteAddr(), n+1, s.Bytes())
	}
	if s.Err() != nil { // that, too long a message, or a reset
		log.Printf("message %d of %v: %v", n+1, conn.RemoteAddr(), s.Err())
	}
	conn.Close()
	fmt.Println(conn.RemoteAddr(), "closed after", n, "messages")
}

// line is asked for the first message in data: how many bytes it takes, and which they
// are. With atEOF true ScanLines would also return what a FIN, or a reset, has cut off.
func line(data []byte, _ bool) (int, []byte, error) { return bufio.ScanLines(data, false) }

// length finds it in four bytes in front, the highest first. It counts bytes, not
// characters. What a stranger says is not what we allocate: four bytes can say 4 GiB.
func length(data []byte, _ bool) (int, []byte, error) {
	if len(data) < 4 || uint64(len(data)) < 4+uint64(binary.BigEndian.Uint32(data)) {
		return 0, nil, nil
	}
	end := 4 + int(binary.BigEndian.Uint32(data))
	return end, data[4:end], nil
}
