package peer

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/lab"
)

// RawIPv4 opens a socket on the host that has 10.0.0.2 for datagrams whose IP
// header is ours.
func RawIPv4(t *testing.T, on *lab.Host) *ipv4.RawConn {
	t.Helper()
	var pc net.PacketConn
	var err error
	on.Do(func() { pc, err = net.ListenPacket("ip4:udp", "10.0.0.2") })
	assert.NilError(t, err)
	AllowBroadcast(t, Ours(t, pc.(*net.IPConn)))
	raw, err := ipv4.NewRawConn(pc)
	assert.NilError(t, err)
	return raw
}

// AllowBroadcast sets SO_BROADCAST on a socket.
func AllowBroadcast(t *testing.T, conn syscall.Conn) {
	t.Helper()
	rc, err := conn.SyscallConn()
	assert.NilError(t, err)
	var opt error
	assert.NilError(t, rc.Control(func(fd uintptr) {
		opt = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	}))
	assert.NilError(t, opt)
}

// Spoof sends a datagram in the name of another. Its checksum is left out (RFC 768).
func Spoof(t *testing.T, raw *ipv4.RawConn, from net.IP, port int, to *net.UDPAddr, data string) {
	t.Helper()
	n := 8 + len(data)
	payload := append([]byte{byte(port >> 8), byte(port), byte(to.Port >> 8), byte(to.Port), byte(n >> 8), byte(n), 0, 0}, data...)
	header := &ipv4.Header{Version: 4, Len: 20, TotalLen: 20 + n, TTL: 64, Protocol: unix.IPPROTO_UDP, Src: from, Dst: to.IP}
	assert.NilError(t, raw.WriteTo(header, payload, nil))
}

// Names gives a host a hosts(5) file of its own, of lines as "10.0.0.1 server": those
// who start there from now on find these names and no others in it.
func Names(t *testing.T, on *lab.Host, lines ...string) {
	t.Helper()
	cover(t, on, "/etc/hosts", lines...)
}

// Asks has those who start on a host from now on ask a name server at this address,
// port 53, again after two seconds, and five times in all (resolv.conf(5)).
func Asks(t *testing.T, on *lab.Host, server string) {
	t.Helper()
	cover(t, on, "/etc/resolv.conf", "nameserver "+server, "options timeout:2 attempts:5")
}

// cover has those who start on a host from now on see these lines in the place of a
// file.
func cover(t *testing.T, on *lab.Host, path string, lines ...string) {
	t.Helper()
	_, err := os.Stat(path)
	lab.Require(t, "namespaces", lab.Isolated())
	lab.Require(t, path, err == nil) // it can be covered, not made
	file := filepath.Join(t.TempDir(), filepath.Base(path))
	assert.NilError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	on.Do(func() { // the host's thread, and what it starts, sees other mounts than the suite
		if err = unix.Unshare(unix.CLONE_NEWNS); err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Mount(file, path, "", unix.MS_BIND, "")
		}
	})
	assert.NilError(t, err)
}
