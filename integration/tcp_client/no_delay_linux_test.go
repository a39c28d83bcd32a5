package tcp_client

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// deafen has a socket's kernel drop all that comes for it, ACKs among them, by a filter
// that lets nothing pass (socket(7)). What it sends arrives. Undone by hear.
func deafen(t *testing.T, fd int) {
	t.Helper()
	none := unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	assert.NilError(t, unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &none))
}

func hear(t *testing.T, fd int) {
	t.Helper()
	assert.NilError(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0))
}

// neverAgain is a host that sends nothing for the reason that no ACK comes: neither a
// probe (tcp_early_retrans) nor, for a minute, the same again (since Linux 6.11; before,
// for 200 ms).
func neverAgain(t *testing.T, on *lab.Host) {
	t.Helper()
	peer.SetSysctl(t, on, "net/ipv4/tcp_early_retrans", "0")
	const first = "net/ipv4/tcp_rto_min_us"
	if _, err := os.Stat("/proc/sys/" + first); err == nil {
		peer.SetSysctl(t, on, first, "60000000")
	}
}

// deafClient starts the section on a host, with a server at the other end of a cable.
// Before it writes it is deafened, and nothing acknowledges what it writes until
// answered.
func deafClient(t *testing.T, client *lab.Host, start harness.Starter, args ...string) (p *harness.Program, fd int, remote *net.TCPConn, c *wire.Capture) {
	t.Helper()
	server := lab.NewHost(t, "server")
	lab.Link(t, server, "10.0.0.1/24", client, "10.0.0.2/24")
	neverAgain(t, client)
	c = wire.Start(t, client, "eth0")
	p, ln, unblock := connecting(t, client, server, peer.Here, start, "no_delay", args...)
	peer.Freeze(t, p)
	unblock()
	remote = peer.AcceptTCP(t, ln) // the SYN is sent again after a second
	fd = clientSocket(t, p)
	deafen(t, fd)
	p.Signal(syscall.SIGCONT)
	connectedFrom(p, ln.Addr())
	return p, fd, remote, c
}

// deafSocket is a plain socket of the test's in the same position.
func deafSocket(t *testing.T, noDelay bool) (conn, remote *net.TCPConn, c *wire.Capture) {
	t.Helper()
	client, server, c := peer.Cabled(t)
	neverAgain(t, client)
	ln := peer.ListenTCP(t, server, peer.Here)
	conn = peer.DialTCP(t, client, peer.Here)
	remote = peer.AcceptTCP(t, ln)
	assert.NilError(t, conn.SetNoDelay(noDelay))
	control(t, conn, func(fd int) { deafen(t, fd) })
	return conn, remote, c
}

// answered lets the client hear again, and the server say a byte, with which goes an
// ACK of all that has come.
func answered(t *testing.T, fd int, remote *net.TCPConn) {
	t.Helper()
	hear(t, fd)
	peer.Write(t, remote, "y")
}

// tcpInfo asks the kernel all that it tells of a connection.
func tcpInfo(t *testing.T, fd int) *unix.TCPInfo {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	assert.NilError(t, err)
	return info
}

// waits demands that so many bytes of a socket have not left, and that the segments
// that have were of these sizes.
func waits(t *testing.T, conn *net.TCPConn, c *wire.Capture, n int, sizes ...int) {
	t.Helper()
	control(t, conn, func(fd int) { assert.Equal(t, int(tcpInfo(t, fd).Notsent_bytes), n) })
	assert.DeepEqual(t, sent(c, len(sizes)), sizes)
}

// sent awaits so many segments with data from the client, and returns their sizes.
func sent(c *wire.Capture, n int) (sizes []int) {
	c.Await(fmt.Sprintf("%d segments", n), func(events []wire.Event) bool {
		sizes = nil
		for _, e := range wire.Only(events, wire.Data) {
			if e.To.String() == peer.Here {
				sizes = append(sizes, e.Bytes)
			}
		}
		return len(sizes) >= n
	})
	return sizes
}

// told reads what the program adds on Linux, in Go, and returns its two numbers.
func told(p *harness.Program) (segments, waiting int) {
	said := p.Line(`sent (\d+) segments, (\d+) bytes wait for an ACK`)
	fmt.Sscan(strings.Join(said, " "), &segments, &waiting)
	return segments, waiting
}

// While no ACK comes, three small writes are three segments with NoDelay and one
// without; what waits leaves as one when the ACK is there. One write is one segment
// either way. What the program in Go tells of it is true.
func TestNoDelaySegments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args          string
		noDelay       int
		writes        int
		before, after []int // the ACK
		waiting       int
	}{
		{"", 1, 3, []int{1, 1, 1}, nil, 0},
		{"--no-delay=false", 0, 3, []int{1}, []int{2}, 2},
		{"--cork", 1, 1, []int{3}, nil, 0},
		{"--cork --no-delay=false", 0, 1, []int{3}, nil, 0},
	} {
		t.Run(c.args, func(t *testing.T) {
			harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
				p, fd, remote, capture := deafClient(t, h, start, append(strings.Fields(c.args), "--message", "abc")...)
				p.Line(fmt.Sprintf("wrote 3 bytes in %d writes", c.writes))
				if p.Section != "node" && !p.Foreign() {
					segments, waiting := told(p)
					assert.Equal(t, segments, len(c.before))
					assert.Equal(t, waiting, c.waiting)
				}
				assert.Equal(t, tcpOption(t, fd, unix.IPPROTO_TCP, unix.TCP_NODELAY), c.noDelay)
				// Who writes in Node may say so before the kernel has it all.
				assert.DeepEqual(t, sent(capture, len(c.before)), c.before)
				peer.Until(t, fmt.Sprintf("%d bytes wait", c.waiting), func() bool { return int(tcpInfo(t, fd).Notsent_bytes) == c.waiting })

				answered(t, fd, remote)
				peer.LetGo(t, fd)
				got := make([]byte, 3)
				_, err := io.ReadFull(remote, got)
				assert.NilError(t, err)
				assert.Equal(t, string(got), "abc")
				remote.Close()
				p.Await("closed")
				p.Exit(0)
				capture.Await("both FINs", peer.Seen(wire.FIN, 2))
				assert.DeepEqual(t, sent(capture, 1), slices.Concat(c.before, c.after))
			})
		})
	}
}

// On the wire: with Nagle's algorithm a second segment leaves once the first one's ACK
// has come, here with an answer.
func TestNoDelayWire(t *testing.T) {
	t.Parallel()
	for _, noDelay := range []string{"true", "false"} {
		t.Run(noDelay, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "client")
			p, fd, remote, c := deafClient(t, h, harness.Go(t, h), "-no-delay="+noDelay, "-message", "abc")
			p.Line("wrote 3 bytes in 3 writes")
			if !p.Foreign() {
				told(p)
			}
			sent(c, map[string]int{"true": 3, "false": 1}[noDelay])
			answered(t, fd, remote)
			peer.LetGo(t, fd)
			_, err := io.ReadFull(remote, make([]byte, 3))
			assert.NilError(t, err)
			remote.Close()
			p.Await("closed")
			p.Exit(0)
			events := c.Await("both FINs", peer.Seen(wire.FIN, 2))
			peer.Drawn(t, "no_delay_"+noDelay, slices.DeleteFunc(events, func(e wire.Event) bool { return e.Kind == wire.SYNAgain }))
		})
	}
}

// FIN does not wait for an ACK, nor does what waits before it.
func TestNoDelayFIN(t *testing.T) {
	t.Parallel()
	conn, remote, c := deafSocket(t, false)
	for range 3 {
		peer.Write(t, conn, "x")
	}
	waits(t, conn, c, 2, 1)
	assert.NilError(t, conn.CloseWrite())
	assert.Equal(t, readToFIN(t, remote), "xxx")
	waits(t, conn, c, 0, 1, 2)
}

// Setting NoDelay sends what waits.
func TestNoDelaySetLater(t *testing.T) {
	t.Parallel()
	conn, _, c := deafSocket(t, false)
	for range 3 {
		peer.Write(t, conn, "x")
	}
	waits(t, conn, c, 2, 1)
	assert.NilError(t, conn.SetNoDelay(true))
	waits(t, conn, c, 0, 1, 2)
}

// A full segment never waits. Linux lets what is left over wait for a segment that was
// not full either, and not for full ones.
func TestNoDelayFullSegments(t *testing.T) {
	t.Parallel()
	const mss = 1448 // of 1500 bytes 52 are headers
	conn, _, c := deafSocket(t, false)
	peer.Write(t, conn, make([]byte, 2*mss+100))
	waits(t, conn, c, 0, mss, mss, 100)
	peer.Write(t, conn, "x")
	waits(t, conn, c, 1, mss, mss, 100)
	peer.Write(t, conn, make([]byte, 2*mss))
	waits(t, conn, c, 1, mss, mss, 100, mss, mss)
}

// One write is one segment, whatever the algorithm: of pieces by net.Buffers, or by a
// bufio.Writer. Only NoDelay sends the next before the ACK.
func TestNoDelayOneWrite(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(conn *net.TCPConn) error{
		"net.Buffers": func(conn *net.TCPConn) error {
			_, err := (&net.Buffers{[]byte("a"), []byte("b"), []byte("c")}).WriteTo(conn)
			return err
		},
		"bufio.Writer": func(conn *net.TCPConn) error {
			w := bufio.NewWriter(conn)
			for _, piece := range []string{"a", "b", "c"} {
				w.WriteString(piece)
			}
			return w.Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, _, c := deafSocket(t, true)
			assert.NilError(t, write(conn))
			waits(t, conn, c, 0, 3)
			assert.NilError(t, write(conn))
			waits(t, conn, c, 0, 3, 3)

			conn, _, c = deafSocket(t, false)
			assert.NilError(t, write(conn))
			waits(t, conn, c, 0, 3)
			assert.NilError(t, write(conn))
			waits(t, conn, c, 3, 3)
		})
	}
}

// NoDelay sends no more than the congestion window allows, 10 segments at first: what
// has to wait for an ACK then leaves as one.
func TestNoDelayCongestionWindow(t *testing.T) {
	t.Parallel()
	conn, remote, c := deafSocket(t, true)
	for range 13 {
		peer.Write(t, conn, "x")
	}
	ten := slices.Repeat([]int{1}, 10)
	waits(t, conn, c, 3, ten...)
	control(t, conn, func(fd int) { answered(t, fd, remote) })
	_, err := io.ReadFull(remote, make([]byte, 13))
	assert.NilError(t, err)
	assert.DeepEqual(t, sent(c, 11), append(ten, 3))
}

// When an ACK is late, after some 200 ms, Linux sends a probe, and takes for it what
// waits.
func TestNoDelayLossProbe(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	peer.SetSysctl(t, client, "net/ipv4/tcp_early_retrans", "3") // the default
	ln := peer.ListenTCP(t, server, peer.Here)
	conn := peer.DialTCP(t, client, peer.Here)
	remote := peer.AcceptTCP(t, ln)
	assert.NilError(t, conn.SetNoDelay(false))
	control(t, conn, func(fd int) { deafen(t, fd) })
	for range 3 {
		peer.Write(t, conn, "x")
	}
	_, err := io.ReadFull(remote, make([]byte, 3))
	assert.NilError(t, err)
	assert.DeepEqual(t, sent(c, 2), []int{1, 2})
	events := wire.Only(c.Settle(), wire.Data)
	after := events[1].Time.Sub(events[0].Time)
	assert.Assert(t, after > 150*time.Millisecond && after < time.Second, "%v", after)
}

// Linux acknowledges the first 16 segments of a connection at once, though nobody reads
// them. The next one's ACK comes after 40 ms.
func TestNoDelayDelayedACK(t *testing.T) {
	t.Parallel()
	for !delaysFrom17(t) {
	}
}

// delaysFrom17 demands that. It returns false if this machine was so slow that a pause was
// as long as a timeout of the connection's, 200 ms: after such a one Linux begins anew.
func delaysFrom17(t *testing.T) bool {
	t.Helper()
	client, server, _ := peer.Cabled(t)
	peer.ListenTCP(t, server, peer.Here)
	conn := peer.DialTCP(t, client, peer.Here)
	delayed := func() int { return peer.Counter(t, server, "TcpExt", "DelayedACKs") }
	var last time.Time
	for n := range 17 {
		assert.Equal(t, delayed(), 0)
		before := time.Now()
		peer.Write(t, conn, "x")
		peer.Until(t, "it is acknowledged", func() bool { return queue(t, conn, unix.SIOCOUTQ) == 0 })
		if n > 0 && time.Since(last) > 150*time.Millisecond {
			return false
		}
		last = before
	}
	assert.Assert(t, time.Since(last) > 30*time.Millisecond)
	peer.Until(t, "the delayed ACK is counted", func() bool { return delayed() == 1 })
	return true
}

// Go has NoDelay on for every connection, made or accepted, and Node off. Node's options
// set it from the start; setNoDelay without an argument does.
func TestNoDelayDefaults(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	dialed := peer.DialTCP(t, h, "127.0.0.1:8080")
	for _, conn := range []*net.TCPConn{dialed, peer.AcceptTCP(t, ln)} {
		control(t, conn, func(fd int) { assert.Equal(t, tcpOption(t, fd, unix.IPPROTO_TCP, unix.TCP_NODELAY), 1) })
	}

	sockets := []struct {
		of   string
		want int
	}{
		{"net.connect(8080, '127.0.0.1')", 0},
		{"net.connect({ port: 8080, host: '127.0.0.1', noDelay: true })", 1},
		{"net.connect(8080, '127.0.0.1').setNoDelay()", 1},
		{"net.connect({ port: 8080, host: '127.0.0.1' }).setNoDelay(false)", 0},
		{"net.createServer(told).listen(8080, '127.0.0.1')", 0},
		{"net.createServer({ noDelay: true }, told).listen(8080, '127.0.0.1')", 1},
	}
	var script strings.Builder
	var remotes []func() *net.TCPConn
	for n, c := range sockets {
		port := fmt.Sprint(8081 + n)
		event := "connect"
		if strings.Contains(c.of, "createServer") {
			event = "listening"
			remotes = append(remotes, func() *net.TCPConn { return peer.DialTCP(t, h, "127.0.0.1:"+port) })
		} else {
			ln := peer.ListenTCP(t, h, "127.0.0.1:"+port)
			remotes = append(remotes, func() *net.TCPConn { return peer.AcceptTCP(t, ln) })
		}
		fmt.Fprintf(&script, "await once(%s, '%s')\n", strings.Replace(c.of, "8080", port, 1), event)
	}
	p := harness.NodeScript(t, h, `
		const { once } = require('node:events')
		function told () { console.log('accepted') }
		async function main () {
			`+script.String()+`
			console.log('connected and listening')
		}
		main()`)
	p.Line("connected and listening")
	for n, c := range sockets {
		remote := remotes[n]()
		if strings.Contains(c.of, "told") {
			p.Line("accepted")
		}
		assert.Equal(t, tcpOption(t, socketAt(t, p, remote), unix.IPPROTO_TCP, unix.TCP_NODELAY), c.want, c.of)
	}
	p.Signal(syscall.SIGKILL)
	assert.Equal(t, p.Wait(), -1)
}

// Corked, Node queues in the program: the kernel is given nothing.
func TestNoDelayNodeCork(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	p := harness.NodeScript(t, h, `
		const socket = net.connect(8080, '127.0.0.1', () => {
			socket.cork()
			socket.write('a')
			socket.write('bc')
			console.log(socket.writableLength, 'bytes queued')
			process.stdin.once('data', () => socket.uncork()) // not in this turn of the loop
		})`)
	remote := peer.AcceptTCP(t, ln)
	p.Line("3 bytes queued")
	fd := clientSocket(t, p)
	info := tcpInfo(t, fd)
	assert.Equal(t, info.Bytes_sent+uint64(info.Notsent_bytes), uint64(0))
	p.Write("go on")
	got := make([]byte, 4)
	_, err := io.ReadFull(remote, got[:3])
	assert.NilError(t, err)
	assert.Equal(t, string(got[:3]), "abc")
	assert.Equal(t, int(tcpInfo(t, fd).Data_segs_out), 1)
	p.Signal(syscall.SIGKILL)
	assert.Equal(t, p.Wait(), -1)
}

// A reset is an error: one line, and exit code 1.
func TestNoDelayReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "no_delay")
		client.Line("wrote 20 bytes in 20 writes")
		if client.Foreign() { // it may tell more, as the one in Go does
			peer.Reset(t, remote)
			assert.Assert(t, client.Wait() != 0, "want an exit status other than 0, and 0 came")
			return
		}
		if client.Section != "node" {
			told(client)
		}
		testReset(t, client, remote)
	})
}

// The program against a peer that never reads, as the page shows it: Nagle's algorithm
// is to be seen from the 17th byte on. How much waits depends on when ACKs come: the text
// has the numbers of a quiet machine.
func TestNoDelayTranscript(t *testing.T) {
	harness.Ours(t, "its numbers are told on Linux, in Go")
	t.Parallel()
	h := lab.NewHost(t, "h")
	ln := peer.ListenTCP(t, h, "127.0.0.1:8080")
	var text strings.Builder
	for n, c := range []struct {
		args              string
		segments, waiting int
	}{{"", 20, 0}, {" -- -no-delay=false", 17, 3}, {" -- -cork", 1, 0}} {
		p := harness.Start(t, h, "tcp_client/no_delay", strings.Fields(strings.TrimPrefix(c.args, " --"))...)
		from := connectedFrom(p, ln.Addr())
		p.Line(`wrote 20 bytes in (20|1) writes`)
		segments, waiting := told(p)
		remote := peer.AcceptTCP(t, ln)
		assert.Assert(t, segments > 0 && waiting < 20, "%d %d", segments, waiting)
		peer.Until(t, "all has come", func() bool { return queue(t, remote, unix.SIOCINQ) == 20 })
		got := make([]byte, 100)
		read, err := remote.Read(got) // whatever the segments were
		assert.NilError(t, err)
		assert.Equal(t, string(got[:read]), "twenty bytes of text")
		p.Stop()
		fmt.Fprintf(&text, "$ ./bazelw run //tcp_client:no_delay%s\n%s\n", c.args, strings.NewReplacer(
			from+"\n", fmt.Sprintf("127.0.0.1:%d\n", 50001+n),
			fmt.Sprintf("sent %d segments, %d bytes", segments, waiting), fmt.Sprintf("sent %d segments, %d bytes", c.segments, c.waiting),
		).Replace(strings.Join(p.Lines(), "")))
	}
	golden.Assert(t, strings.TrimSuffix(text.String(), "\n"), "no_delay.txt")
}
