package udp_server

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// What the two programs say in the end of what was dropped.
const (
	goDropped   = `the kernel has dropped %d`
	nodeDropped = `how many were dropped Node cannot ask`
)

// limit returns net.core.rmem_max or another such setting. An older kernel shows them on
// its first host only.
func limit(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/core/" + name)
	lab.Require(t, name, err == nil)
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	assert.NilError(t, err)
	return n
}

// The kernel makes twice of what it is asked for, as far as the limits go, and not less
// than a few kB, twice as many to send; nobody is told. Both programs, and the kernel, say the same.
func TestBufferSizesKernel(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		receiveMost, sendMost := limit(t, "rmem_max"), limit(t, "wmem_max")
		for _, c := range []struct{ receive, send, receives, sends int }{
			{0, 0, limit(t, "rmem_default"), limit(t, "wmem_default")},
			{10_000, 1<<31 - 1, 20_000, 2 * sendMost},
			{receiveMost + 1, 20_000, 2 * receiveMost, 40_000},
			{1, 1, 0, 0}, // as little as there is
		} {
			if peer.InOurNode(t) && c.receive != 0 && c.receive != 10_000 {
				continue // to Node a size is a size
			}
			p, _, receive, send := sized(start, "--addr", "127.0.0.1:0", "--receive", fmt.Sprint(c.receive), "--send", fmt.Sprint(c.send))
			if c.receive == 1 {
				least, err := strconv.Atoi(receive)
				assert.NilError(t, err)
				assert.Assert(t, 1000 < least && least < 5000, "%d", least)
				assert.Equal(t, send, fmt.Sprint(2*least))
			} else {
				assert.Equal(t, receive, fmt.Sprint(c.receives))
				assert.Equal(t, send, fmt.Sprint(c.sends))
			}
			assert.Equal(t, receive, fmt.Sprint(peer.Option(t, p, false, unix.SOL_SOCKET, unix.SO_RCVBUF)))
			assert.Equal(t, send, fmt.Sprint(peer.Option(t, p, false, unix.SOL_SOCKET, unix.SO_SNDBUF)))
			p.Stop()
		}
	})
}

// fill sends datagrams of one size to a socket that is not read until one of them is
// dropped, and returns how many found room.
func fill(t *testing.T, h *lab.Host, to netip.AddrPort, size int) (n int) {
	t.Helper()
	before := drops(t, h, to.Port())
	for sender := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"); drops(t, h, to.Port()) == before; n++ {
		peer.SendUDP(t, sender, to, strings.Repeat("x", size))
	}
	return n - 1
}

// Held up, the program gets what there was room for, and the kernel drops the rest and
// counts it: for the socket, which the program asks, and for the machine. Room is made by
// a larger receive buffer.
func TestBufferSizesHeldUp(t *testing.T) {
	heldUp := func(dropped string) func(t *testing.T, h *lab.Host, start harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			var kept []int
			for _, receive := range []string{"20000", "80000"} {
				before := peer.Counter(t, h, "Udp", "RcvbufErrors")
				p, addr, _, _ := sized(start, "--addr", "127.0.0.1:0", "--receive", receive)
				peer.Freeze(t, p)
				n := fill(t, h, addr, 100)
				for range 9 {
					peer.SendUDP(t, peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), addr, strings.Repeat("x", 100))
				}
				assert.Equal(t, drops(t, h, addr.Port()), 10)
				assert.Equal(t, peer.Counter(t, h, "Udp", "RcvbufErrors")-before, 10)
				p.Signal(syscall.SIGCONT)
				peer.Until(t, "it has read", func() bool {
					socket := procUDP(t, h, "udp", addr.Port())
					return socket == nil || socket[4] == "00000000:00000000" // gone, or empty
				})
				roundTrip(t, peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), addr, "now there is room")
				if strings.Contains(dropped, "%d") {
					ends(p, fmt.Sprintf(dropped, 10), fmt.Sprintf("%d datagrams, %d bytes", n+1, 100*n+17))
				} else {
					ends(p, dropped, fmt.Sprintf("%d datagrams, %d bytes", n+1, 100*n+17))
				}
				if peer.InOurNode(t) {
					return // that it asks for what it was told is in TestBufferSizesKernel
				}
				kept = append(kept, n)
			}
			assert.Assert(t, kept[1] > 3*kept[0] && kept[1] < 5*kept[0], "%v", kept)
		}
	}
	harness.Compare(t, heldUp(goDropped), heldUp(nodeDropped))
}

// A datagram takes room for its bookkeeping, and that is most of a small one's: an empty
// one needs about as much as one of 100 bytes, and not a hundredth of a buffer full of
// single bytes is data. Into an empty buffer goes the largest, however small the buffer.
func TestBufferSizesSmallDatagrams(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	const asked = 65536
	kept := map[int]int{}
	for _, size := range []int{0, 1, 100, 1000} {
		conn := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
		assert.NilError(t, conn.SetReadBuffer(asked))
		kept[size] = fill(t, h, peer.AddrOf(conn), size)
	}
	assert.Assert(t, kept[0] >= kept[1] && kept[0] <= 2*kept[100], "%v", kept)
	assert.Assert(t, kept[1] < 2*asked/100, "%v", kept)
	assert.Assert(t, 1000*kept[1000] < asked && 1000*kept[1000] > asked/2, "%v", kept)

	tiny := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	assert.NilError(t, tiny.SetReadBuffer(1))
	peer.SendUDP(t, peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.AddrOf(tiny), strings.Repeat("x", 65507))
	data, _ := peer.ReceiveUDP(t, tiny)
	assert.Equal(t, len(data), 65507)
}

// option sets one of a socket's.
func option(t *testing.T, conn *net.UDPConn, level, name, value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, name, value) }))
	assert.NilError(t, err)
}

// With SO_RXQ_OVFL each datagram says how many had been dropped when it came.
func TestBufferSizesOverflow(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	conn, sender := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"), peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
	assert.NilError(t, conn.SetReadBuffer(1))
	option(t, conn, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	dropped := func() int {
		oob := make([]byte, 64)
		_, n, _, _, err := conn.ReadMsgUDPAddrPort(make([]byte, 100), oob)
		assert.NilError(t, err)
		messages, err := unix.ParseSocketControlMessage(oob[:n])
		assert.NilError(t, err)
		for _, m := range messages {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_RXQ_OVFL {
				return int(binary.NativeEndian.Uint32(m.Data))
			}
		}
		return 0 // nothing is said as long as there is nothing to say
	}
	kept := fill(t, h, peer.AddrOf(conn), 10)
	peer.SendUDP(t, sender, peer.AddrOf(conn), "10 letters")
	for range kept {
		assert.Equal(t, dropped(), 0)
	}
	peer.SendUDP(t, sender, peer.AddrOf(conn), "kept")
	assert.Equal(t, dropped(), 2)
}

// slow is a host at 10.0.0.1 that sends so many bytes a second, and another.
func slow(t *testing.T, h *lab.Host, rate, queue int) (other *lab.Host) {
	t.Helper()
	other = lab.NewHost(t, "other")
	lab.Link(t, h, "10.0.0.1/24", other, "10.0.0.2/24")
	h.SetRate(t, "eth0", rate, queue)
	return other
}

// Behind a slow link and with a small send buffer Go's WriteTo waits, and nothing is read
// meanwhile. Node reads on, and keeps the replies itself. They all arrive in the end.
func TestBufferSizesSlowLink(t *testing.T) {
	const replies, size = 30, 1000
	start := func(t *testing.T, h *lab.Host, start harness.Starter) (p *harness.Program, fd int, conn *net.UDPConn) {
		other := slow(t, h, 30_000, 1_000_000)
		p, addr, _, _ := sized(start, "--addr", "10.0.0.1:8080", "--send", "1")
		conn = peer.ListenUDP(t, other, "udp4", "10.0.0.2:0")
		for i := range replies {
			peer.SendUDP(t, conn, addr, fmt.Sprintf("%*d", size, i))
		}
		return p, peer.SocketsOf(t, p)[0], conn
	}
	full := func(t *testing.T, fd int) bool { return ioctl(t, fd, unix.SIOCOUTQ) > 2*size }
	arrive := func(t *testing.T, conn *net.UDPConn) {
		for i := range replies {
			data, _ := peer.ReceiveUDP(t, conn)
			assert.Equal(t, data, fmt.Sprintf("%*d", size, i))
		}
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, goes harness.Starter) {
		p, fd, conn := start(t, h, goes)
		peer.Until(t, "a reply waits, and what is to be read waits", func() bool {
			return full(t, fd) && ioctl(t, fd, unix.SIOCINQ) == size
		})
		arrive(t, conn)
		peer.LetGo(t, fd)
		ends(p, fmt.Sprintf(goDropped, 0), fmt.Sprintf("%d datagrams, %d bytes", replies, replies*size))
	}, func(t *testing.T, h *lab.Host, node harness.Starter) {
		p, fd, conn := start(t, h, node)
		peer.Until(t, "a reply waits, and nothing is to be read", func() bool {
			return full(t, fd) && ioctl(t, fd, unix.SIOCINQ) == 0
		})
		arrive(t, conn)
		peer.LetGo(t, fd)
		ends(p, nodeDropped, fmt.Sprintf("%d datagrams, %d bytes", replies, replies*size))
	})
}

// A signal does not wait for a slow link: what has not left is lost, and Node says how
// much that is of what it kept.
func TestBufferSizesSlowLinkStop(t *testing.T) {
	stop := func(allRead bool, last string) func(t *testing.T, h *lab.Host, start harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			other := slow(t, h, 1000, 1_000_000)
			p, addr, _, _ := sized(start, "--addr", "10.0.0.1:8080", "--send", "1")
			conn := peer.ListenUDP(t, other, "udp4", "10.0.0.2:0")
			for range 30 {
				peer.SendUDP(t, conn, addr, strings.Repeat("x", 1000))
			}
			fd := peer.SocketsOf(t, p)[0]
			peer.Until(t, "a reply waits", func() bool { return ioctl(t, fd, unix.SIOCOUTQ) > 2000 && (ioctl(t, fd, unix.SIOCINQ) == 0) == allRead })
			peer.LetGo(t, fd)
			begin := time.Now()
			p.Signal(syscall.SIGTERM)
			p.Line(last)
			p.Line("closed")
			p.Exit(0)
			assert.Assert(t, time.Since(begin) < 10*time.Second) // the replies would take 30
		}
	}
	harness.Compare(t, stop(false, `read \d+ datagrams, \d+000 bytes; the kernel has dropped 0`),
		stop(true, `read 30 datagrams, 30000 bytes, \d+ replies never left; `+nodeDropped))
}

func ioctl(t *testing.T, fd int, question uint) int {
	t.Helper()
	n, err := unix.IoctlGetInt(fd, question)
	assert.NilError(t, err)
	return n
}

// A socket for both families is in udp6. What it drops is counted there, for the machine in
// snmp if it was IPv4's, and in snmp6 if it was IPv6's.
func TestBufferSizesBothFamilies(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	assert.NilError(t, peer.ListenUDP(t, h, "udp", ":8080").SetReadBuffer(1))
	dropped4 := func() int { return peer.Counter(t, h, "Udp", "RcvbufErrors") }
	dropped6 := func() (n int) {
		_, text, found := strings.Cut(procNet(t, h, "snmp6"), "\nUdp6RcvbufErrors")
		assert.Assert(t, found)
		_, err := fmt.Sscan(text, &n)
		assert.NilError(t, err)
		return n
	}
	all := func() bool { return dropsIn(t, h, "udp6", 8080) == dropped4()+dropped6() }
	assert.Assert(t, procUDP(t, h, "udp", 8080) == nil)
	for sender := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0"); dropped4() == 0; {
		peer.SendUDP(t, sender, netip.MustParseAddrPort("127.0.0.1:8080"), "hi")
	}
	peer.Until(t, "all is counted", all)
	assert.Equal(t, dropped6(), 0)
	for sender := peer.ListenUDP(t, h, "udp6", "[::1]:0"); dropped6() == 0; {
		peer.SendUDP(t, sender, netip.MustParseAddrPort("[::1]:8080"), "hi")
	}
	peer.Until(t, "all is counted", all)
}

// A large send buffer does not help where the network card's queue is the smaller one: that
// drops what it has no room for, and no call fails. The queue counts it, and the machine.
func TestBufferSizesOwnCard(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	slow(t, h, 1000, 5000)
	conn := peer.ListenUDP(t, h, "udp4", "10.0.0.1:0")
	to := netip.MustParseAddrPort("10.0.0.2:8080")
	for range 50 {
		peer.SendUDP(t, conn, to, strings.Repeat("x", 1000))
	}
	assert.Assert(t, peer.Counter(t, h, "Udp", "SndbufErrors") >= 40)
	var queues []netlink.Qdisc
	var err error
	h.Do(func() {
		var card netlink.Link
		if card, err = netlink.LinkByName("eth0"); err == nil {
			queues, err = netlink.QdiscList(card)
		}
	})
	assert.NilError(t, err)
	assert.Assert(t, queues[0].Attrs().Statistics.Queue.Drops >= 40) // as tc -s qdisc shows it
}

// A datagram larger than the link takes has to fit in the send buffer, in all its
// fragments; on lo, which takes it in one piece, it does not. Go is told, and Node tries
// again without end, with everything else behind it.
func TestBufferSizesFragments(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h, other := lab.NewHost(t, "h"), lab.NewHost(t, "other")
	lab.Link(t, h, "10.0.0.1/24", other, "10.0.0.2/24")
	conn := peer.ListenUDP(t, h, "udp4", ":0")
	assert.NilError(t, conn.SetWriteBuffer(1))
	local, remote := peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080"), peer.ListenUDP(t, other, "udp4", "10.0.0.2:8080")
	peer.SendUDP(t, conn, peer.AddrOf(local), strings.Repeat("x", 65507))
	data, _ := peer.ReceiveUDP(t, local)
	assert.Equal(t, len(data), 65507)
	_, err := conn.WriteToUDPAddrPort(make([]byte, 20_000), peer.AddrOf(remote))
	assert.ErrorIs(t, err, unix.ENOBUFS)
	assert.NilError(t, conn.SetWriteBuffer(100_000))
	peer.SendUDP(t, conn, peer.AddrOf(remote), strings.Repeat("x", 20_000))
	data, _ = peer.ReceiveUDP(t, remote)
	assert.Equal(t, len(data), 20_000)

	before := peer.Counter(t, h, "Udp", "SndbufErrors")
	node := harness.NodeScript(t, h, `
		const socket = require('dgram').createSocket({ type: 'udp4', sendBufferSize: 1 })
		socket.bind(0, () => {
			socket.send(Buffer.alloc(20000), 8080, '10.0.0.2', () => console.log('sent'))
			socket.send('small', 8080, '10.0.0.2', () => console.log('sent'))
			process.stdin.once('data', () => {
				console.log(socket.getSendQueueCount(), 'wait')
				process.exit()
			})
		})`)
	peer.Until(t, "it has tried a hundred times", func() bool { return peer.Counter(t, h, "Udp", "SndbufErrors") > before+100 })
	node.Write("\n")
	node.Line("2 wait")
	node.Exit(0)
}

// The program that is held up while 200 datagrams come, as the page shows it. How many
// find room depends on the kernel: the text has the numbers of one.
func TestBufferSizesTranscript(t *testing.T) {
	harness.NotNode(t, "Node cannot ask how many were dropped")
	t.Parallel()
	h := lab.NewHost(t, "h")
	var text strings.Builder
	for _, size := range []int{100, 1000} {
		p, addr, _, _ := sized(harness.Go(t, h), "-receive", "65536")
		sender := peer.ListenUDP(t, h, "udp4", "127.0.0.1:0")
		peer.Freeze(t, p)
		for range 200 {
			peer.SendUDP(t, sender, addr, strings.Repeat("x", size))
		}
		lost := drops(t, h, addr.Port())
		p.Signal(syscall.SIGCONT)
		for range 200 - lost {
			data, _ := peer.ReceiveUDP(t, sender)
			assert.Equal(t, len(data), size)
		}
		ends(p, fmt.Sprintf(goDropped, lost), fmt.Sprintf("%d datagrams, %d bytes", 200-lost, size*(200-lost)))
		kept := map[int]int{100: 157, 1000: 56}[size]
		assert.Assert(t, kept/2 < 200-lost && 200-lost < 200, "%d of 200 kept", 200-lost)
		fmt.Fprintf(&text, "$ ./bazelw run //udp_server:buffer_sizes -- -receive 65536\n%s\n", strings.NewReplacer(
			fmt.Sprintf("read %d datagrams, %d bytes", 200-lost, size*(200-lost)), fmt.Sprintf("read %d datagrams, %d bytes", kept, size*kept),
			fmt.Sprintf(goDropped, lost), fmt.Sprintf(goDropped, 200-kept),
		).Replace(strings.Join(p.Lines(), "")))
		peer.Until(t, "the port is free", func() bool { return procUDP(t, h, "udp", addr.Port()) == nil })
	}
	golden.Assert(t, strings.TrimSuffix(text.String(), "\n"), "buffer_sizes.txt")
}

// Closing a socket does not take back what is in its send buffer.
func TestBufferSizesClose(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	h := lab.NewHost(t, "h")
	other := slow(t, h, 10_000, 1_000_000)
	remote := peer.ListenUDP(t, other, "udp4", "10.0.0.2:8080")
	conn := peer.ListenUDP(t, h, "udp4", "10.0.0.1:0")
	const n = 5
	for i := range n {
		peer.SendUDP(t, conn, peer.AddrOf(remote), fmt.Sprintf("%1000d", i))
	}
	fdQueue := 0
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	assert.NilError(t, raw.Control(func(fd uintptr) { fdQueue = ioctl(t, int(fd), unix.SIOCOUTQ) }))
	assert.Assert(t, fdQueue > 0)
	conn.Close()
	for i := range n {
		data, _ := peer.ReceiveUDP(t, remote)
		assert.Equal(t, data, fmt.Sprintf("%1000d", i))
	}
}
