package udp_server

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// As the page shows it: a datagram that is cut, and the same with -grow.
func TestTruncatedTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	const message = "longer than sixteen bytes"
	var programs []*harness.Program
	for _, c := range []struct {
		args       []string
		told, back string
	}{
		{nil, `25 bytes, cut to 16: "longer than sixt"`, `16 bytes from 127\.0\.0\.1:8080: "longer than sixt"`},
		{[]string{"-grow"}, `25 bytes: "` + message + `"`, `25 bytes from 127\.0\.0\.1:8080: "` + message + `"`},
	} {
		p := harness.Start(t, h, "udp_server/truncated", c.args...)
		p.Line(`listening on 127\.0\.0\.1:8080`)
		client := harness.Start(t, h, "udp_client/client", "-message", message)
		from := client.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
		client.Line(`sent 25 bytes: "` + message + `"`)
		client.Line(`received ` + c.back)
		client.Exit(0)
		peer.KeepPort(t, h, from)
		p.Line(from + ` sent ` + c.told)
		p.Stop()
		peer.Until(t, "the port is free", func() bool { return procUDP(t, h, "udp", 8080) == nil })
		programs = append(programs, p, client)
	}
	harness.Transcript(t, "truncated.txt", programs...)
}

// A datagram that is longer than the buffer is cut: the program tells how long it was and
// sends back what it got. The rest is gone; the next read takes the next datagram.
func TestTruncatedCut(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for ip, most := range map[string]int{"127.0.0.1": 65507, "[::1]": 65527} {
		for _, buffer := range []int{1, 16, 1000} {
			p, addr, conn := truncating(t, h, ip, "-buffer", fmt.Sprint(buffer))
			peer.Freeze(t, p) // so that they all wait when it reads
			sizes := []int{buffer + 1, buffer, 3000, 0, most, 1}
			for _, size := range sizes {
				peer.SendUDP(t, conn, addr, pattern(size))
			}
			p.Signal(syscall.SIGCONT)
			for _, size := range sizes {
				told := fmt.Sprintf("%d bytes", size)
				if size > buffer {
					told = fmt.Sprintf("%d bytes, cut to %d", size, buffer)
				}
				p.Line(fmt.Sprintf(`\Q%v\E sent %s: ".*"`, peer.AddrOf(conn), told))
				data, _ := peer.ReceiveUDP(t, conn)
				assert.Equal(t, data, pattern(min(size, buffer)))
			}
			p.Stop()
		}
	}
}

// With -grow it looks first, and none is cut, up to the largest there is.
func TestTruncatedGrow(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for ip, most := range map[string]int{"127.0.0.1": 65507, "[::1]": 65527} {
		p, addr, conn := truncating(t, h, ip, "-buffer", "1", "-grow")
		for _, size := range []int{0, 1, 2, 3000, 5, most, 7} {
			roundTrip(t, conn, addr, pattern(size))
			p.Line(fmt.Sprintf(`\Q%v\E sent %d bytes: ".*"`, peer.AddrOf(conn), size))
		}
		p.Stop()
	}
}

// What Go's calls say of a datagram that is cut: Read and ReadFrom… nothing, ReadMsgUDP…
// the flag MSG_TRUNC, and the length of what it read.
func TestTruncatedCalls(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	in, out := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	buf := make([]byte, 5)
	send := func(data string) { peer.SendUDP(t, out, peer.AddrOf(in), data) }
	send("too long")
	n, err := in.Read(buf)
	assert.NilError(t, err)
	assert.Equal(t, n, 5)
	for data, want := range map[string]int{"too long": unix.MSG_TRUNC, "short": 0} {
		send(data)
		n, _, flags, _, err := in.ReadMsgUDPAddrPort(buf, nil)
		assert.NilError(t, err)
		assert.Equal(t, n, 5)
		assert.Equal(t, flags&unix.MSG_TRUNC, want)
	}
}

// To peek takes nothing away. With MSG_TRUNC it returns the length; SIOCINQ does too, but
// has 0 for an empty datagram as for none.
func TestTruncatedPeek(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	in, out := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	raw, err := in.SyscallConn()
	assert.NilError(t, err)
	look := func() (size, queued int, err error) {
		assert.NilError(t, raw.Control(func(fd uintptr) {
			size, _, err = unix.Recvfrom(int(fd), nil, unix.MSG_PEEK|unix.MSG_TRUNC)
			queued = ioctl(t, int(fd), unix.SIOCINQ)
		}))
		return size, queued, err
	}
	_, queued, err := look()
	assert.ErrorIs(t, err, unix.EAGAIN)
	assert.Equal(t, queued, 0)
	for _, data := range []string{"", "first", strings.Repeat("x", 5000)} {
		peer.SendUDP(t, out, peer.AddrOf(in), data)
		for range 2 {
			size, queued, err := look()
			assert.NilError(t, err)
			assert.Equal(t, size, len(data))
			assert.Equal(t, queued, len(data))
		}
		got, _ := peer.ReceiveUDP(t, in)
		assert.Equal(t, got, data)
	}
}

// Control messages are cut in the same way, with a flag of their own and no error: what
// found no room is missing.
func TestTruncatedControl(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	in, out := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	assert.NilError(t, ipv4.NewPacketConn(in).SetControlMessage(ipv4.FlagDst, true))
	for size, want := range map[int]int{8: unix.MSG_CTRUNC, 128: 0} {
		peer.SendUDP(t, out, peer.AddrOf(in), "short")
		oob := make([]byte, size)
		_, n, flags, _, err := in.ReadMsgUDPAddrPort(make([]byte, 100), oob)
		assert.NilError(t, err)
		var told ipv4.ControlMessage
		assert.NilError(t, told.Parse(oob[:n]))
		assert.Equal(t, told.Dst != nil, want == 0)
		assert.Equal(t, flags&unix.MSG_CTRUNC, want)
	}
}

// Over TCP nothing is cut: what does not fit waits for the next read.
func TestTruncatedNotTCP(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:0")
	out := peer.DialTCP(t, h, ln.Addr().String())
	var in net.Conn = peer.AcceptTCP(t, ln)
	peer.Write(t, out, "1234567890")
	buf := make([]byte, 5)
	for _, want := range []string{"12345", "67890"} {
		n, err := in.Read(buf)
		assert.NilError(t, err)
		assert.Equal(t, string(buf[:n]), want)
	}
}

// A read with MSG_TRUNC and without MSG_PEEK fills the buffer and returns the length, in one
// call.
func TestTruncatedOneCall(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	in, out := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	peer.SendUDP(t, out, peer.AddrOf(in), "1234567890")
	raw, err := in.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) {
		buf := make([]byte, 5)
		n, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_TRUNC)
		assert.NilError(t, err)
		assert.Equal(t, n, 10)
		assert.Equal(t, string(buf), "12345")
		_, _, err = unix.Recvfrom(int(fd), buf, 0)
		assert.ErrorIs(t, err, unix.EAGAIN)
	}))
}
