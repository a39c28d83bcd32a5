// Scopes tells what multicast addresses are for and how far they may reach.
//
//	bazel run //multicast:scopes -- 224.0.0.1 230.185.192.108 239.255.0.1 ff02::1
package main

import (
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
)

// ipv4 is the address space of RFC 5771, section 3, and within 239.0.0.0/8 that
// of RFC 2365. A row goes to where the next one begins.
var ipv4 = []struct{ first, scope, use string }{
	{"224.0.0.0", "link-local", "local network control block"}, // no router forwards these, whatever their TTL
	{"224.0.1.0", "global", "internetwork control block"},
	{"224.0.2.0", "global", "AD-HOC block I"},
	{"224.1.0.0", "global", "reserved"},
	{"224.2.0.0", "global", "SDP/SAP block"},
	{"224.3.0.0", "global", "AD-HOC block II"},
	{"224.5.0.0", "global", "reserved"},
	{"225.0.0.0", "global", "reserved"},
	{"232.0.0.0", "global", "source-specific multicast (RFC 4607)"},
	{"233.0.0.0", "global", "GLOP block (RFC 3180)"},
	{"233.252.0.0", "global", "AD-HOC block III"},
	{"234.0.0.0", "global", "unicast-prefix-based (RFC 6034)"},
	{"235.0.0.0", "global", "reserved"},
	{"239.0.0.0", "administrative", "for the growth of the organization-local scope"},
	{"239.192.0.0", "administrative", "organization-local scope"},
	{"239.196.0.0", "administrative", "unassigned"},
	{"239.253.0.0", "administrative", "for the growth of the local scope"},
	{"239.255.0.0", "administrative", "local scope"},
	{"240.0.0.0", "", ""},
}

// ipv6 has the names of the scopes, the fourth digit of the address (RFC 7346).
var ipv6 = [16]string{
	1: "interface-local", 2: "link-local", 3: "realm-local", 4: "admin-local",
	5: "site-local", 8: "organization-local", 14: "global",
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("scopes: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "scopes shows how far multicast addresses may reach: its arguments are the addresses.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		misuse("no address")
	}

	code := 0
	for _, arg := range flag.Args() {
		addr, err := netip.ParseAddr(arg)
		switch addr = addr.Unmap(); {
		case err != nil:
			log.Printf("classify %q: not an IP address", arg)
			code = 1
		case !addr.IsMulticast():
			log.Printf("classify %v: not a multicast address", addr)
			code = 1
		case addr.Is4():
			fmt.Printf("%v: %s\n", addr, classify4(addr))
		default:
			fmt.Printf("%v: %s\n", addr, classify6(addr))
		}
	}
	os.Exit(code)
}

func classify4(addr netip.Addr) string {
	for i := 0; ; i++ {
		next := netip.MustParseAddr(ipv4[i+1].first)
		if addr.Less(next) {
			return fmt.Sprintf("%s, %s-%v, %s", ipv4[i].scope, ipv4[i].first, next.Prev(), ipv4[i].use)
		}
	}
}

// classify6 reads ffFS::, where S is the scope and F the flags: permanent or
// transient (RFC 4291), with a prefix (RFC 3306), with a router (RFC 3956).
func classify6(addr netip.Addr) string {
	b := addr.As16()
	scope := ipv6[b[1]&15]
	switch {
	case b[1]&15 == 0 || b[1]&15 == 15:
		scope = "reserved"
	case scope == "":
		scope = "unassigned"
	}
	bits, use := 16, "reserved"
	switch b[1] >> 4 {
	case 0:
		use = "permanent"
	case 1:
		use = "transient"
	case 3:
		use = "unicast-prefix-based (RFC 3306)"
		if b[2] == 0 && b[3] == 0 {
			bits, use = 32, "source-specific multicast (RFC 4607)"
		}
	case 7:
		use = "embedded rendezvous point (RFC 3956)"
	}
	return fmt.Sprintf("%s, %v, %s", scope, netip.PrefixFrom(addr.WithZone(""), bits).Masked(), use)
}

func misuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "scopes: "+format+"\n", args...)
	flag.Usage()
	os.Exit(2)
}
