package multicast

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// multicastTap shows every frame that an interface sends and receives
// (packet(7)).
type multicastTap struct {
	t *testing.T
	f *os.File
}

func tapMulticast(t *testing.T, on *lab.Host, ifname string) multicastTap {
	t.Helper()
	lab.Require(t, "namespaces", lab.Isolated())
	var fd int
	var err error
	on.Do(func() {
		var ifi *net.Interface
		if ifi, err = net.InterfaceByName(ifname); err != nil {
			return
		}
		// Protocol 0: nothing comes before the socket is bound to the interface.
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index})
	})
	assert.NilError(t, err)
	f := os.NewFile(uintptr(fd), "tap")
	t.Cleanup(func() { f.Close() })
	assert.NilError(t, f.SetReadDeadline(time.Now().Add(harness.Patience())))
	return multicastTap{t, f}
}

// next returns the next IPv4 packet of a protocol and the Ethernet address that
// it is for.
func (tap multicastTap) next(protocol byte) (packet []byte, to net.HardwareAddr) {
	tap.t.Helper()
	for {
		buf := make([]byte, 65536)
		n, err := tap.f.Read(buf)
		assert.NilError(tap.t, err)
		if n > 14+20 && binary.BigEndian.Uint16(buf[12:]) == unix.ETH_P_IP && buf[14+9] == protocol {
			return buf[14:n], net.HardwareAddr(buf[:6])
		}
	}
}

// said waits until something is said of a group that differs from what was said
// before: hosts repeat themselves in case of loss.
func (tap multicastTap) said(group, before string) (message string, packet []byte) {
	tap.t.Helper()
	for {
		packet, _ = tap.next(unix.IPPROTO_IGMP)
		for _, message := range igmpMessages(packet, group) {
			if message != before {
				return message, packet
			}
		}
	}
}

func ipOption(t *testing.T, conn *net.UDPConn, option int) int {
	t.Helper()
	return sockOption(t, conn, unix.IPPROTO_IP, option)
}

func sockOption(t *testing.T, conn *net.UDPConn, level, option int) (value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	var failed error
	err = raw.Control(func(fd uintptr) { value, failed = unix.GetsockoptInt(int(fd), level, option) })
	assert.NilError(t, errors.Join(err, failed))
	return value
}

// stopNode ends a script that would go on.
func stopNode(p *harness.Program) {
	p.Signal(syscall.SIGKILL)
	p.ExitSaying(-1, "")
}

// igmpMessages says what an IGMP packet tells of a group: version 2 (RFC 2236)
// "report" and "leave", version 3 (RFC 3376, section 4.2) the records' types.
func igmpMessages(packet []byte, group string) (said []string) {
	igmp := packet[int(packet[0]&15)*4:]
	want := netip.MustParseAddr(group).As4()
	switch igmp[0] {
	case 0x16, 0x17:
		if [4]byte(igmp[4:8]) == want {
			said = append(said, map[byte]string{0x16: "v2 report", 0x17: "v2 leave"}[igmp[0]])
		}
	case 0x22:
		records := igmp[8:]
		for range binary.BigEndian.Uint16(igmp[6:]) {
			if [4]byte(records[4:8]) == want {
				name := map[byte]string{3: "change to include", 4: "change to exclude", 5: "allow", 6: "block"}[records[0]]
				if name == "" {
					name = fmt.Sprintf("type %d", records[0])
				}
				sources := "none"
				for i := range int(binary.BigEndian.Uint16(records[2:])) {
					sources = net.IP(records[8+4*i:][:4]).String() // no program here has two
				}
				said = append(said, "v3 "+name+" "+sources)
			}
			records = records[8+4*int(binary.BigEndian.Uint16(records[2:]))+4*int(records[1]):]
		}
	}
	return said
}

// routeMulticast starts smcroute, Debian's static multicast router, and waits
// until the kernel has its route: what comes in for the group from 10.0.1.2, or from
// fd01::2, on eth0 goes out on eth1. (Without the source the kernel would ask about the
// first datagram, and one that comes while it is being told can get stuck.)
func routeMulticast(t *testing.T, router *lab.Host, group string) *harness.Program {
	t.Helper()
	path, err := exec.LookPath("smcrouted")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/smcrouted") // not on every PATH
	}
	lab.Require(t, "smcroute", err == nil)
	source, cache, memberships := "10.0.1.2", "ip_mr_cache", peer.Memberships
	if netip.MustParseAddr(group).Is6() {
		source, cache, memberships = "fd01::2", "ip6_mr_cache", peer.MembershipsIPv6
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "smcroute.conf")
	assert.NilError(t, os.WriteFile(conf, fmt.Appendf(nil,
		"mgroup from eth0 source %[2]s group %[1]s\nmroute from eth0 source %[2]s group %[1]s to eth1\n", group, source), 0o644))
	p := harness.Command(t, router, exec.Command(path, "-n", "-f", conf,
		"-P", filepath.Join(dir, "pid"), "-u", filepath.Join(dir, "sock"), "-i", "sockets"))
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		var routes []byte
		router.Do(func() { routes, err = os.ReadFile("/proc/thread-self/net/" + cache) })
		if err != nil {
			return poll.Error(err)
		} else if joined := memberships(t, router, "eth0"); !slices.Contains(joined, group) || strings.Count(string(routes), "\n") < 2 {
			return poll.Continue("smcroute has joined %v and has the routes\n%s", joined, routes)
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(5*time.Millisecond))
	return p
}

func stopRouter(p *harness.Program) {
	p.Signal(syscall.SIGTERM)
	p.ExitSaying(0, `(?s).*`)
}
