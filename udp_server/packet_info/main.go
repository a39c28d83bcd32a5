// Packet_info is an echo on any number of addresses that replies from the one that was
// asked, and tells which that was, and by which interface.
//
//	go run ./udp_server/packet_info -addr :8080         or ./bazelw run //udp_server:packet_info
//	go run ./udp_client/client -addr 127.9.9.9:8080     in a second terminal
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

func main() {
	log.SetFlags(0)                // no date and time in front of an error
	log.SetPrefix("packet_info: ") // but the name of the program
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on, port 0 for a free one")
	if flag.Parse(); flag.NArg() > 0 || *addr == "" {
		log.Fatalf("want -addr host:port and no argument after the flags, not %q %q", *addr, flag.Args())
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
	//weave:ask
	// IP_PKTINFO, and IPv6's: the kernel tells of each datagram which address it was sent to, and
	// the interface it came by. A socket for both families, as on :8080, takes both; x/net wants both.
	err4 := ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	err6 := ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	if err4 != nil && err6 != nil {
		log.Fatal(err4)
	}
	//weave:end
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { stop(); conn.Close() }) // reading ends; a second signal kills
	fmt.Println("listening on", conn.LocalAddr())
	if err := echo(ctx, conn); ctx.Err() == nil {
		log.Fatal(err)
	} else if _, err := fmt.Println("closed"); err != nil {
		log.Fatal(err)
	}
}

// echo replies from the address that a datagram was sent to.
func echo(ctx context.Context, conn *net.UDPConn) error {
	for buf, control := make([]byte, 65535), make([]byte, 128); ; {
		n, size, _, from, err := conn.ReadMsgUDPAddrPort(buf, control)
		var asked ipv4.ControlMessage
		var asked6 ipv6.ControlMessage
		if err = errors.Join(err, asked.Parse(control[:size]), asked6.Parse(control[:size])); err != nil { // each reads its own
			return err
		}
		dst, index := asked.Dst, asked.IfIndex
		if dst == nil {
			dst, index = asked6.Dst, asked6.IfIndex
		}
		by := "an interface that is gone"
		if ifi, err := net.InterfaceByIndex(index); err == nil { // asks for the list of them all: servers keep the names
			by = ifi.Name
		}
		peer := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		fmt.Printf("%v sent %d bytes to %v by %s: %.64q\n", peer, n, dst, by, buf[:n])
		// The same the other way: where a reply is to come from, which the routes would
		// choose. The interface is left to them: the one it came by may not lead back.
		source := append((&ipv4.ControlMessage{Src: asked.Dst}).Marshal(), (&ipv6.ControlMessage{Src: asked6.Dst}).Marshal()...)
		if _, _, err = conn.WriteMsgUDPAddrPort(buf[:n], source, from); err != nil { // a broadcast or a group was asked, say, from which nobody can reply
			_, _, err = conn.WriteMsgUDPAddrPort(buf[:n], nil, from)
		}
		if err != nil && ctx.Err() == nil {
			log.Print(err) // this peer's loss only
		}
	}
}
