// Package peer is the other end of the programs under test: the tests' own plain
// sockets, made on a host of the lab, closed when the test ends, and giving up
// when harness.Patience is over; questions to the kernel about sockets; and what
// several chapters' tests do with programs.
package peer

import (
	"bytes"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
	"unicode/utf8"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// DialTCP connects from a host.
func DialTCP(t *testing.T, on *lab.Host, addr string) *net.TCPConn {
	t.Helper()
	var conn net.Conn
	var err error
	on.Do(func() { conn, err = net.Dial("tcp", addr) })
	if err != nil {
		harness.Note(t, "a connection to %s fails", addr)
	} else {
		harness.Note(t, "%v connects to %s", conn.LocalAddr(), addr)
	}
	assert.NilError(t, err)
	return Ours(t, conn.(*net.TCPConn))
}

// ListenTCP listens on a host.
func ListenTCP(t *testing.T, on *lab.Host, addr string) *net.TCPListener {
	t.Helper()
	var ln net.Listener
	var err error
	on.Do(func() { ln, err = net.Listen("tcp", addr) })
	assert.NilError(t, err)
	harness.Note(t, "the test listens on %v", ln.Addr())
	t.Cleanup(func() { harness.Over(t); ln.Close() })
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(harness.Patience()))
	return ln.(*net.TCPListener)
}

// AcceptTCP accepts the next connection.
func AcceptTCP(t *testing.T, ln *net.TCPListener) *net.TCPConn {
	t.Helper()
	ln.SetDeadline(time.Now().Add(harness.Patience())) // it may have been there for long
	conn, err := ln.AcceptTCP()
	if err != nil {
		harness.Note(t, "nobody connects to %v", ln.Addr())
	} else {
		harness.Note(t, "%v has connected to %v", conn.RemoteAddr(), ln.Addr())
	}
	assert.NilError(t, err)
	return Ours(t, conn)
}

// EchoTCP is an echo on a host until the test ends; it returns its address.
func EchoTCP(t *testing.T, on *lab.Host) (addr string) {
	t.Helper()
	ln := ListenTCP(t, on, "127.0.0.1:0")
	ln.SetDeadline(time.Time{})
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(conn, conn)
				conn.Close()
			}()
		}
	}()
	return ln.Addr().String()
}

// ListenUDP binds a socket on a host; network is udp4, udp6 or udp.
func ListenUDP(t *testing.T, on *lab.Host, network, addr string) *net.UDPConn {
	t.Helper()
	var conn net.PacketConn
	var err error
	on.Do(func() { conn, err = net.ListenPacket(network, addr) })
	assert.NilError(t, err)
	harness.Note(t, "the test binds %v", conn.LocalAddr())
	return Ours(t, conn.(*net.UDPConn))
}

// KeepPort takes the UDP port of an address on a host until the test ends. The system
// may give a port that a program has just closed to the next, or on another host to
// another, and in a transcript two sockets would look like one.
func KeepPort(t *testing.T, on *lab.Host, addr string) {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	assert.NilError(t, err)
	ListenUDP(t, on, "udp4", ":"+port)
}

// Ours has a socket closed when the test ends, and bounds its waits.
func Ours[C interface {
	Close() error
	SetDeadline(time.Time) error
}](t *testing.T, conn C) C {
	t.Cleanup(func() { harness.Over(t); conn.Close() })
	conn.SetDeadline(time.Now().Add(harness.Patience()))
	return conn
}

// Until waits for a state of the kernel's of which nothing tells.
func Until(t *testing.T, what string, is func() bool) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if is() {
			return poll.Success()
		}
		return poll.Continue("waiting until %s", what)
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(4*time.Millisecond))
}

// SetSysctl writes a setting of the kernel's, as in "net/ipv4/ip_forward", on a host.
func SetSysctl(t *testing.T, on *lab.Host, name, value string) {
	t.Helper()
	var err error
	on.Do(func() { err = os.WriteFile("/proc/sys/"+name, []byte(value), 0) })
	assert.NilError(t, err)
}

// Overfill returns how many bytes are more than the kernels at both ends of a TCP
// connection keep, of connections that are made on the host from now on: 4 MiB where it
// is a namespace, whose kernel is told to keep little (tcp_rmem and tcp_wmem in tcp(7)),
// and 64 MiB on the machine itself.
func Overfill(t *testing.T, on *lab.Host) int {
	t.Helper()
	if !lab.Isolated() {
		return 64 << 20
	}
	for _, buffer := range []string{"tcp_rmem", "tcp_wmem"} {
		SetSysctl(t, on, "net/ipv4/"+buffer, "4096 65536 262144")
	}
	return 4 << 20
}

// Noise returns n bytes of which no two are likely to be mistaken.
func Noise(n int) []byte {
	var seed [32]byte
	crand.Read(seed[:])
	data := make([]byte, n)
	rand.NewChaCha8(seed).Read(data)
	return data
}

// Write writes data in one piece.
func Write[D string | []byte](t *testing.T, conn net.Conn, data D) {
	t.Helper()
	harness.Note(t, "%v sends %s", conn.LocalAddr(), Shown(data))
	_, err := conn.Write([]byte(data))
	assert.NilError(t, err)
}

// Shown tells people of data.
func Shown[D string | []byte](data D) string {
	switch n := len(data); {
	case n == 1:
		return fmt.Sprintf("1 byte, %q", string(data))
	case n <= 64 && utf8.ValidString(string(data)):
		return fmt.Sprintf("%d bytes, %q", n, string(data))
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}

// Finish sends FIN and reads to the end what the server still has to say.
func Finish(t *testing.T, conn *net.TCPConn) (reply []byte) {
	t.Helper()
	harness.Note(t, "%v sends FIN, and reads to the end", conn.LocalAddr())
	assert.NilError(t, conn.CloseWrite())
	reply, err := io.ReadAll(conn)
	assert.NilError(t, err, "after %d bytes, where FIN should come", len(reply))
	harness.Note(t, "%v gets %s, and FIN", conn.LocalAddr(), Shown(reply))
	conn.Close()
	return reply
}

// Silent sends FIN, and demands that nothing but FIN comes back.
func Silent(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	reply := Finish(t, conn)
	assert.Assert(t, len(reply) == 0, "want nothing but FIN, and %s came", Shown(reply))
}

// Same demands that what came is what was sent.
func Same(t *testing.T, got, want []byte) {
	t.Helper()
	same := 0
	for same < min(len(got), len(want)) && got[same] == want[same] {
		same++
	}
	assert.Assert(t, bytes.Equal(got, want), "want the %d bytes that were sent, and %d came, the first %d of them right", len(want), len(got), same)
}

// Reset ends a connection with RST instead of FIN.
func Reset(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	harness.Note(t, "%v resets its connection", conn.LocalAddr())
	assert.NilError(t, conn.SetLinger(0))
	assert.NilError(t, conn.Close())
}

// Echoes demands that the data comes back while the connection stays open.
func Echoes(t *testing.T, conn *net.TCPConn, data string) {
	t.Helper()
	Write(t, conn, data)
	got := make([]byte, len(data))
	n, err := io.ReadFull(conn, got)
	assert.NilError(t, err, "%d of the %d bytes have come back", n, len(data))
	assert.Equal(t, string(got), data)
	harness.Note(t, "%v gets them back", conn.LocalAddr())
}

// Pour writes until the server's end of the connection and ours are both full,
// or the deadline passes: the server is then in the middle of a transfer.
func Pour(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	harness.Note(t, "%v sends until no more goes in, and reads nothing", conn.LocalAddr())
	conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for chunk := make([]byte, 65536); ; {
		if _, err := conn.Write(chunk); err != nil {
			assert.Assert(t, errors.Is(err, os.ErrDeadlineExceeded), "%v", err)
			return
		}
	}
}

// SendUDP sends one datagram.
func SendUDP(t *testing.T, from *net.UDPConn, to netip.AddrPort, data string) {
	t.Helper()
	harness.Note(t, "%v sends %s to %v", AddrOf(from), Shown(data), to)
	_, err := from.WriteToUDPAddrPort([]byte(data), to)
	assert.NilError(t, err)
}

// ReceiveUDP waits for the next datagram.
func ReceiveUDP(t *testing.T, conn *net.UDPConn) (data string, from netip.AddrPort) {
	t.Helper()
	buf := make([]byte, 65536)
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	assert.NilError(t, err, "no datagram came to %v", AddrOf(conn))
	harness.Note(t, "%v gets %s from %v", AddrOf(conn), Shown(buf[:n]), from)
	return string(buf[:n]), from
}

// AddrOf returns the address that a socket is bound to.
func AddrOf(conn net.PacketConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }
