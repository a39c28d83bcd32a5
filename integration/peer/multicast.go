package peer

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// Groups that are defaults of the programs: that of the notes, and that of
// multicast/source.
const (
	NotesGroup  = "230.185.192.108:8080"
	SourceGroup = "232.185.192.108:8080"
)

// Member is a plain socket that has joined a group and tells what it hears.
func Member(t *testing.T, on *lab.Host, group, ifname string) *ipv4.PacketConn {
	t.Helper()
	addr := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(group))
	ifi := InterfaceOf(t, on, ifname)
	var p *ipv4.PacketConn
	var err error
	on.Do(func() {
		var conn net.PacketConn
		if conn, err = net.ListenPacket("udp4", group); err != nil {
			return
		}
		p = ipv4.NewPacketConn(conn)
		if err = p.JoinGroup(ifi, addr); err == nil {
			err = p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true)
		}
	})
	assert.NilError(t, err)
	t.Cleanup(func() { p.Close() })
	p.SetReadDeadline(time.Now().Add(harness.Patience()))
	return p
}

// Hear waits for the member's next datagram.
func Hear(t *testing.T, p *ipv4.PacketConn) (data string, cm *ipv4.ControlMessage, from string) {
	t.Helper()
	buf := make([]byte, 65535)
	n, cm, src, err := p.ReadFrom(buf)
	assert.NilError(t, err)
	return string(buf[:n]), cm, src.String()
}

// Memberships returns the groups that the kernel has joined on an interface of
// a host: /proc/net/igmp, where a group is a host-order number in hexadecimal.
func Memberships(t *testing.T, on *lab.Host, ifname string) (groups []string) {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/igmp") })
	assert.NilError(t, err)
	var current string
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case !strings.HasPrefix(line, "\t"):
			current = fields[1]
		case current == ifname:
			var group uint32
			_, err := fmt.Sscanf(fields[0], "%X", &group)
			assert.NilError(t, err)
			groups = append(groups, netip.AddrFrom4([4]byte(binary.NativeEndian.AppendUint32(nil, group))).String())
		}
	}
	return groups
}

// MembershipsIPv6 is the same of IPv6: /proc/net/igmp6, with an interface and a group on
// each line.
func MembershipsIPv6(t *testing.T, on *lab.Host, ifname string) (groups []string) {
	t.Helper()
	var text []byte
	var err error
	on.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/igmp6") })
	assert.NilError(t, err)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[1] == ifname {
			group, err := hex.DecodeString(fields[2])
			assert.NilError(t, err)
			groups = append(groups, netip.AddrFrom16([16]byte(group)).String())
		}
	}
	return groups
}

// InterfaceOf returns a host's interface of that name.
func InterfaceOf(t *testing.T, on *lab.Host, name string) (ifi *net.Interface) {
	t.Helper()
	var err error
	on.Do(func() { ifi, err = net.InterfaceByName(name) })
	assert.NilError(t, err)
	return ifi
}

// LoopbackOf returns a host's loopback interface, whatever the system calls it.
func LoopbackOf(t *testing.T, on *lab.Host) (ifi *net.Interface) {
	t.Helper()
	var all []net.Interface
	var err error
	on.Do(func() { all, err = net.Interfaces() })
	assert.NilError(t, err)
	i := slices.IndexFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	assert.Assert(t, i >= 0)
	return &all[i]
}

// Sender is a plain socket, bound to an address, that sends to groups by an
// interface.
func Sender(t *testing.T, on *lab.Host, ifname string, ip net.IP) *ipv4.PacketConn {
	t.Helper()
	conn := ListenUDP(t, on, "udp4", net.JoinHostPort(ip.String(), "0"))
	p := ipv4.NewPacketConn(conn)
	assert.NilError(t, p.SetMulticastInterface(InterfaceOf(t, on, ifname)))
	return p
}
