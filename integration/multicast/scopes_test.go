package multicast

import (
	"fmt"
	"net/netip"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// The program with nothing but its defaults, as the page shows it.
func TestScopesTranscript(t *testing.T) {
	t.Parallel()
	groups := []string{"224.0.0.1", "224.0.1.1", "230.185.192.108", "232.1.2.3", "239.192.0.1", "239.255.0.1", "ff02::1", "ff15::1234"}
	p := harness.Start(t, lab.NewHost(t, "h"), "multicast/scopes", groups...)
	for range groups {
		p.Line(`\S+: [a-z-]+, \S+, .+`)
	}
	p.Exit(0)
	harness.Transcript(t, "scopes.txt", p)
}

// The first and the last address of every range, the last also as IPv6 writes it.
func TestScopesEdges(t *testing.T) {
	harness.Both(t, func(t *testing.T, _ *lab.Host, start harness.Starter) {
		var args, want []string
		for _, r := range []struct{ scope, first, last, use string }{
			{"link-local", "224.0.0.0", "224.0.0.255", "local network control block"},
			{"global", "224.0.1.0", "224.0.1.255", "internetwork control block"},
			{"global", "224.0.2.0", "224.0.255.255", "AD-HOC block I"},
			{"global", "224.1.0.0", "224.1.255.255", "reserved"},
			{"global", "224.2.0.0", "224.2.255.255", "SDP/SAP block"},
			{"global", "224.3.0.0", "224.4.255.255", "AD-HOC block II"},
			{"global", "224.5.0.0", "224.255.255.255", "reserved"},
			{"global", "225.0.0.0", "231.255.255.255", "reserved"},
			{"global", "232.0.0.0", "232.255.255.255", "source-specific multicast (RFC 4607)"},
			{"global", "233.0.0.0", "233.251.255.255", "GLOP block (RFC 3180)"},
			{"global", "233.252.0.0", "233.255.255.255", "AD-HOC block III"},
			{"global", "234.0.0.0", "234.255.255.255", "unicast-prefix-based (RFC 6034)"},
			{"global", "235.0.0.0", "238.255.255.255", "reserved"},
			{"administrative", "239.0.0.0", "239.191.255.255", "for the growth of the organization-local scope"},
			{"administrative", "239.192.0.0", "239.195.255.255", "organization-local scope"},
			{"administrative", "239.196.0.0", "239.252.255.255", "unassigned"},
			{"administrative", "239.253.0.0", "239.254.255.255", "for the growth of the local scope"},
			{"administrative", "239.255.0.0", "239.255.255.255", "local scope"},
		} {
			args = append(args, r.first, r.last, "::ffff:"+r.last)
			for _, addr := range []string{r.first, r.last, r.last} {
				want = append(want, fmt.Sprintf("%s: %s, %s-%s, %s\n", addr, r.scope, r.first, r.last, r.use))
			}
		}
		p := start("multicast/scopes", args...)
		assert.Equal(t, p.Wait(), 0)
		assert.DeepEqual(t, p.Lines(), want)
		p.Complaint("")
	})
}

// IPv6: the fourth digit is the scope, the third the flags, however the address is written.
func TestScopesIPv6(t *testing.T) {
	harness.Both(t, func(t *testing.T, _ *lab.Host, start harness.Starter) {
		var addrs, want []string
		expect := func(addr, line string) {
			addrs = append(addrs, addr)
			want = append(want, addr+": "+line+"\n")
		}
		for digit, scope := range []string{
			"reserved", "interface-local", "link-local", "realm-local", "admin-local", "site-local", "unassigned", "unassigned",
			"organization-local", "unassigned", "unassigned", "unassigned", "unassigned", "unassigned", "global", "reserved",
		} {
			expect(fmt.Sprintf("ff0%x::1", digit), fmt.Sprintf("%s, ff0%x::/16, permanent", scope, digit))
		}
		expect("ff02::1%eth0", "link-local, ff02::/16, permanent")
		expect("ff12:ffff::1", "link-local, ff12::/16, transient")
		expect("ff3e:20:2001:db8::1", "global, ff3e::/16, unicast-prefix-based (RFC 3306)")
		expect("ff3e:2000::1", "global, ff3e::/16, unicast-prefix-based (RFC 3306)")
		expect("ff3e:20::1", "global, ff3e::/16, unicast-prefix-based (RFC 3306)")
		expect("ff3e::8000:1", "global, ff3e::/32, source-specific multicast (RFC 4607)")
		expect("ff75:140:2001:db8::1", "site-local, ff75::/16, embedded rendezvous point (RFC 3956)")
		expect("ff25::1", "site-local, ff25::/16, reserved")
		expect("ff85::1", "site-local, ff85::/16, reserved")
		expect("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved, ffff::/16, reserved")
		for _, c := range [][2]string{ // answered as it is written usually
			{"FF02:0::1%eth0.100", "ff02::1%eth0.100: link-local, ff02::/16, permanent\n"},
			{"ff02::224.0.0.1", "ff02::e000:1: link-local, ff02::/16, permanent\n"},
			{"ff02::1.2.3.4", "ff02::102:304: link-local, ff02::/16, permanent\n"},
			{"::ffff:e000:1", "224.0.0.1: link-local, 224.0.0.0-224.0.0.255, local network control block\n"},
		} {
			addrs, want = append(addrs, c[0]), append(want, c[1])
		}
		p := start("multicast/scopes", addrs...)
		assert.Equal(t, p.Wait(), 0)
		assert.DeepEqual(t, p.Lines(), want)
		p.Complaint("")
	})
}

// What is no multicast address is told on stderr, a line each, and the exit code is
// 1; the others are answered all the same.
func TestScopesFailures(t *testing.T) {
	harness.Both(t, func(t *testing.T, _ *lab.Host, start harness.Starter) {
		p := start("multicast/scopes",
			"223.255.255.255", "nonsense", "224.0.0.1", "240.0.0.0", "127.0.0.1", "255.255.255.255", "::1", "feff::1", "",
			"224.0.0.1:8080", "a\nb", "::ffff:10.0.0.1", "239.255.255.250")
		p.Line("224.0.0.1: link-local, 224.0.0.0-224.0.0.255, local network control block")
		p.Line("239.255.255.250: administrative, 239.255.0.0-239.255.255.255, local scope")
		unicast := func(addr string) string { return "scopes: classify " + addr + ": not a multicast address\n" }
		unknown := func(quoted string) string { return "scopes: .*" + quoted + ".*\n" } // in the library's words
		p.ExitSaying(1, unicast("223.255.255.255")+unknown(`"nonsense"`)+unicast("240.0.0.0")+unicast("127.0.0.1")+
			unicast("255.255.255.255")+unicast("::1")+unicast("feff::1")+unknown(`""`)+unknown(`"224.0.0.1:8080"`)+
			unknown(`"a\\nb"`)+unicast("(?:::ffff:)?10.0.0.1"))

		start("multicast/scopes").ExitSaying(1, "scopes: .*address.*\n")
	})
}

// What Go itself knows of an address's scope: link-local, and of IPv6 interface-local
// too. An IPv4 address as IPv6 writes it has its scope, but is in no IPv4 range.
func TestScopesInGo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		addr                 string
		multicast, link, ifc bool
	}{
		{addr: "223.255.255.255"},
		{addr: "224.0.0.1", multicast: true, link: true},
		{addr: "::ffff:224.0.0.1", multicast: true, link: true},
		{addr: "224.0.1.1", multicast: true},
		{addr: "239.255.0.1", multicast: true},
		{addr: "ff01::1", multicast: true, ifc: true},
		{addr: "ff02::1", multicast: true, link: true},
		{addr: "ff05::1", multicast: true},
		{addr: "ff0e::1", multicast: true},
	} {
		addr := netip.MustParseAddr(c.addr)
		assert.Equal(t, addr.IsMulticast(), c.multicast, c.addr)
		assert.Equal(t, addr.IsLinkLocalMulticast(), c.link, c.addr)
		assert.Equal(t, addr.IsInterfaceLocalMulticast(), c.ifc, c.addr)
	}
	mapped, all := netip.MustParseAddr("::ffff:224.0.0.1"), netip.MustParsePrefix("224.0.0.0/4")
	assert.Assert(t, !mapped.Is4() && !all.Contains(mapped))
	assert.Assert(t, all.Contains(mapped.Unmap()))
	assert.Assert(t, netip.MustParseAddr("255.255.255.255").Less(mapped))
	assert.Assert(t, mapped.Unmap().Less(netip.MustParseAddr("224.0.0.2")))
}
