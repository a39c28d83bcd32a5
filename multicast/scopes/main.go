// Scopes tells what multicast addresses are for and how far they may reach.
//
//	go run ./multicast/scopes 224.0.0.1 230.185.192.108 239.255.0.1 ff02::1
//	./bazelw run //multicast:scopes -- 224.0.0.1
package main

import (
	"cmp"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
)

// blocks are those of RFC 5771, section 3, and in 239.0.0.0/8 those of RFC 2365. Each
// ends where the next begins. "Global" means that no border stops it, not that it is yours.
var blocks = []struct{ first, scope, use string }{
	{"224.0.0.0", "link-local", "local network control block"}, // no router forwards these, whatever their TTL
	{"224.0.1.0", "global", "internetwork control block"},      // NTP is 224.0.1.1
	{"224.0.2.0", "global", "AD-HOC block I"},
	{"224.1.0.0", "global", "reserved"},
	{"224.2.0.0", "global", "SDP/SAP block"},
	{"224.3.0.0", "global", "AD-HOC block II"},
	{"224.5.0.0", "global", "reserved"},
	{"225.0.0.0", "global", "reserved"},                             // the notes' 230.185.192.108 is one of them
	{"232.0.0.0", "global", "source-specific multicast (RFC 4607)"}, // see multicast/source
	{"233.0.0.0", "global", "GLOP block (RFC 3180)"},                // by the number of your autonomous system
	{"233.252.0.0", "global", "AD-HOC block III"},
	{"234.0.0.0", "global", "unicast-prefix-based (RFC 6034)"},
	{"235.0.0.0", "global", "reserved"},
	{"239.0.0.0", "administrative", "for the growth of the organization-local scope"},
	{"239.192.0.0", "administrative", "organization-local scope"}, // yours, where your border routers are set up so
	{"239.196.0.0", "administrative", "unassigned"},
	{"239.253.0.0", "administrative", "for the growth of the local scope"},
	{"239.255.0.0", "administrative", "local scope"}, // yours, in one place
	{"240.0.0.0", "", ""},
}

func main() {
	log.SetFlags(0)           // no date and time before what log prints
	log.SetPrefix("scopes: ") // log prints to stderr
	if flag.Parse(); flag.NArg() == 0 {
		log.Fatal("want one IP address, or several")
	}
	code := 0
	for _, arg := range flag.Args() { // what is left after the flags
		addr, err := netip.ParseAddr(arg)
		addr = addr.Unmap() // ::ffff:224.0.0.1 becomes 224.0.0.1
		switch {
		case err != nil:
		case !addr.IsMulticast():
			err = fmt.Errorf("classify %v: not a multicast address", addr)
		case addr.Is4():
			_, err = fmt.Printf("%v: %s\n", addr, classify4(addr))
		default:
			_, err = fmt.Printf("%v: %s\n", addr, classify6(addr))
		}
		if err != nil { // the others are answered all the same
			log.Print(err)
			code = 1
		}
	}
	os.Exit(code)
}

// classify4 finds the first block that begins after addr: addr is in the one before.
func classify4(addr netip.Addr) string {
	for i := 0; ; i++ {
		next := netip.MustParseAddr(blocks[i+1].first)
		if addr.Less(next) {
			return fmt.Sprintf("%s, %s-%v, %s", blocks[i].scope, blocks[i].first, next.Prev(), blocks[i].use)
		}
	}
}

// classify6 reads the first 16 bits, ffFS: F are the flags, S is the scope.
func classify6(addr netip.Addr) string {
	scopes := map[byte]string{0: "reserved", 1: "interface-local", 2: "link-local", 3: "realm-local", 4: "admin-local",
		5: "site-local", 8: "organization-local", 14: "global", 15: "reserved"} // RFC 7346
	uses := map[byte]string{0: "permanent", 1: "transient", 3: "unicast-prefix-based (RFC 3306)", 7: "embedded rendezvous point (RFC 3956)"}
	b, bits := addr.As16(), 16 // an IPv6 address has 16 bytes
	flags, scope := b[1]>>4, b[1]&15
	if flags == 3 && b[2] == 0 && b[3] == 0 { // ff3x::/32
		bits, uses[3] = 32, "source-specific multicast (RFC 4607)"
	}
	return fmt.Sprintf("%s, %v, %s", cmp.Or(scopes[scope], "unassigned"), // a map has "" for what is not in it
		netip.PrefixFrom(addr.WithZone(""), bits).Masked(), cmp.Or(uses[flags], "reserved"))
}
