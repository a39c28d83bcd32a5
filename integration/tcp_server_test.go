package integration

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// tcpServer starts a section of the chapter on a free port.
func tcpServer(t *testing.T, on *lab.Host, section string, args ...string) (server *harness.Program, addr string) {
	t.Helper()
	server = harness.Start(t, on, "tcp_server/"+section, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	return server, server.Line(`listening on (\S+:\d+)(?: with a backlog of \d+)?`)[0]
}

// testTCPServerRefusals checks what a server says, and how it ends, when it
// cannot be started as it was told.
func testTCPServerRefusals(t *testing.T, section, flags string, wrong ...misuse) {
	t.Helper()
	testCommandLine(t, "tcp_server/"+section, "addr=127.0.0.1:8080 "+flags, wrong...)

	h := lab.NewHost(t, "h")
	taken := listenTCP(t, h, "127.0.0.1:0").Addr().String()
	testFailure(t, h, section+": listen tcp "+taken+": bind: address already in use", "tcp_server/"+section, "-addr", taken)
	// TEST-NET-1, RFC 5737: no machine's own address.
	testFailure(t, h, section+": listen tcp 192.0.2.1:1: bind: cannot assign requested address", "tcp_server/"+section, "-addr", "192.0.2.1:1")
	// No host has a name under .invalid, RFC 6761.
	stdout, stderr, code := harness.Run(t, h, "tcp_server/"+section, "-addr", "host.invalid:1")
	assert.Equal(t, code, 1)
	assert.Equal(t, stdout, "")
	assert.Assert(t, strings.HasPrefix(stderr, section+": listen tcp: lookup host.invalid") && strings.Count(stderr, "\n") == 1, stderr)
}

// testTCPServerStops checks that both signals end a server at once, although a
// client is connected; first it prints those lines.
func testTCPServerStops(t *testing.T, section string, lines ...string) {
	t.Helper()
	h := lab.NewHost(t, "h")
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		server, addr := tcpServer(t, h, section)
		conn := dialTCP(t, h, addr)
		for _, line := range lines {
			server.Line(line)
		}
		begin := time.Now()
		server.Signal(sig)
		server.Line("closed")
		server.Exit(0)
		assert.Assert(t, time.Since(begin) < 10*time.Second) // a second, on a machine that is not busy
		_, err := conn.Read(make([]byte, 1))
		assert.Assert(t, errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET), "%v", err)
	}
}

// noise returns n bytes of which no two are likely to be mistaken.
func noise(n int) []byte {
	data := make([]byte, n)
	rand.Read(data)
	return data
}

func write(t *testing.T, conn *net.TCPConn, data []byte) {
	t.Helper()
	_, err := conn.Write(data)
	assert.NilError(t, err)
}

// finish sends FIN and reads to the end what the server still has to say.
func finish(t *testing.T, conn *net.TCPConn) (reply []byte) {
	t.Helper()
	assert.NilError(t, conn.CloseWrite())
	reply, err := io.ReadAll(conn)
	assert.NilError(t, err)
	conn.Close()
	return reply
}

// reset ends a connection with RST instead of FIN.
func reset(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	assert.NilError(t, conn.SetLinger(0))
	assert.NilError(t, conn.Close())
}

// echoes demands that the data comes back while the connection stays open.
func echoes(t *testing.T, conn *net.TCPConn, data string) {
	t.Helper()
	write(t, conn, []byte(data))
	got := make([]byte, len(data))
	_, err := io.ReadFull(conn, got)
	assert.NilError(t, err)
	assert.Equal(t, string(got), data)
}

// pour writes until the server's end of the connection and ours are both full,
// or the deadline passes: the server is then in the middle of a transfer.
func pour(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for chunk := make([]byte, 65536); ; {
		if _, err := conn.Write(chunk); err != nil {
			assert.Assert(t, errors.Is(err, os.ErrDeadlineExceeded), "%v", err)
			return
		}
	}
}

func clientAddr(conn net.Conn) string { return conn.LocalAddr().String() }

// The two programs with nothing but their defaults, as the page shows them.
func TestTCPServerServerTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(from + " connected")
	server.Line(from + " closed after 5 bytes")
	server.Stop()
	harness.Transcript(t, "tcp_server/server.txt", server, client)
}

// Bytes come back as they were sent, whatever they are, those included that had
// not come back when the client sent its FIN.
func TestTCPServerServerEchoesExactly(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	for _, n := range []int{0, 1, 5, 1 << 10, 64 << 10} {
		conn, data := dialTCP(t, h, addr), noise(n)
		server.Line(clientAddr(conn) + " connected")
		write(t, conn, data)
		assert.Assert(t, bytes.Equal(finish(t, conn), data), "%d bytes", n)
		server.Line(fmt.Sprintf("%s closed after %d bytes", clientAddr(conn), n))
	}
	server.Stop()
}

// 16 MiB, far more than the kernel's buffers hold, while both sides read and
// write at once.
func TestTCPServerServerEchoesALot(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	conn, data := dialTCP(t, h, addr), noise(16<<20)
	server.Line(clientAddr(conn) + " connected")
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(data)
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	hash := sha256.New()
	_, err := io.Copy(hash, conn)
	assert.NilError(t, errors.Join(err, <-sent))
	assert.Equal(t, [32]byte(hash.Sum(nil)), sha256.Sum256(data))
	server.Line(clientAddr(conn) + " closed after 16777216 bytes")
	server.Stop()
}

// 200 clients are connected at the same time, and each gets its own bytes, in
// the opposite order to that in which they came.
func TestTCPServerServerManyAtOnce(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	conns := make([]*net.TCPConn, 200)
	for i := range conns {
		conns[i] = dialTCP(t, h, addr)
		server.Line(clientAddr(conns[i]) + " connected")
	}
	for i := range conns {
		conn := conns[len(conns)-1-i]
		data := noise(10000 + i)
		write(t, conn, data)
		assert.Assert(t, bytes.Equal(finish(t, conn), data))
		server.Line(fmt.Sprintf("%s closed after %d bytes", clientAddr(conn), len(data)))
	}
	server.Stop()
}

// A client that sends and does not read blocks its own goroutine; a client that
// resets its connection ends it. The others notice neither.
func TestTCPServerServerBadClient(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "server")
	good := dialTCP(t, h, addr)
	server.Line(clientAddr(good) + " connected")
	bad := dialTCP(t, h, addr)
	server.Line(clientAddr(bad) + " connected")
	pour(t, bad)
	echoes(t, good, "while the other is stuck")
	reset(t, bad)
	server.Line(clientAddr(bad) + ` closed after \d+ bytes`)
	echoes(t, good, "and gone")
	assert.Equal(t, len(finish(t, good)), 0)
	server.Line(clientAddr(good) + " closed after 32 bytes")

	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, `server: .*connection reset by peer\n`)
}

// IPv6 works as IPv4 does.
func TestTCPServerServerIPv6(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server", "-addr", "[::1]:0")
	addr := server.Ready()
	assert.Equal(t, netip.MustParseAddrPort(addr).Addr(), netip.IPv6Loopback())
	conn := dialTCP(t, h, addr)
	server.Line(strings.NewReplacer("[", `\[`, "]", `\]`).Replace(clientAddr(conn)) + " connected")
	echoes(t, conn, "hello")
	finish(t, conn)
	server.Line(`\[::1\]:\d+ closed after 5 bytes`)
	server.Stop()
}

func TestTCPServerServerStops(t *testing.T) {
	t.Parallel()
	testTCPServerStops(t, "server", `\S+ connected`)
}

func TestTCPServerServerRefusals(t *testing.T) {
	t.Parallel()
	testTCPServerRefusals(t, "server", "")
}

// The kernel connects clients that the program never accepts, and takes what
// they send.
func TestTCPServerListenTranscript(t *testing.T) {
	t.Parallel()
	lab.Require(t, "Linux", runtime.GOOS == "linux")
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/listen", "-backlog", "1")
	server.Line(`listening on 127\.0\.0\.1:8080 with a backlog of 1`)
	client := harness.Start(t, h, "tcp_client/client")
	client.Line(`connected to 127\.0\.0\.1:8080 from \S+`)
	client.Line(`sent 5 bytes: "hello"`)
	client.Stop() // it would wait for ever
	server.Stop()
	harness.Transcript(t, "tcp_server/listen.txt", server, client)
}

// Clients in the queue are connected; when the listener closes, they are reset.
func TestTCPServerListenStops(t *testing.T) {
	t.Parallel()
	testTCPServerStops(t, "listen")

	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "listen")
	conn := dialTCP(t, h, addr)
	server.Stop()
	_, err := conn.Read(make([]byte, 1))
	assert.Assert(t, errors.Is(err, syscall.ECONNRESET), "%v", err)
}

func TestTCPServerListenRefusals(t *testing.T) {
	t.Parallel()
	outside := func(n string) misuse {
		return misuse{[]string{"-backlog", n}, "listen: -backlog " + n + " is not from 1 to 2147483647"}
	}
	testTCPServerRefusals(t, "listen", "backlog=511", outside("0"), outside("-1"), outside("2147483648"),
		misuse{[]string{"-backlog", "x"}, `invalid value "x" for flag -backlog: parse error`})
}

func TestTCPServerAddressTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	four := harness.Start(t, h, "tcp_server/address")
	six := harness.Start(t, h, "tcp_server/address", "-addr", "[::1]:8080")
	for _, p := range []*harness.Program{four, six} {
		p.Ready()
		p.Await(`family: IPv\d`)
		p.Stop()
	}
	harness.Transcript(t, "tcp_server/address.txt", four, six)
}

// What the program says is where a client reaches it. No address, or 0.0.0.0,
// is every address of the machine, IPv6 and IPv4.
func TestTCPServerAddress(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ addr, ip, family, reach string }{
		{"127.0.0.1:0", "127.0.0.1", "IPv4", "127.0.0.1"},
		{"127.0.0.2:0", "127.0.0.2", "IPv4", "127.0.0.2"},
		{"localhost:0", "127.0.0.1", "IPv4", "127.0.0.1"},
		{"[::1]:0", "::1", "IPv6", "::1"},
		{"[::]:0", "::", "IPv6", "127.0.0.1 ::1"},
		{":0", "::", "IPv6", "127.0.0.1 ::1"},
		{"0.0.0.0:0", "::", "IPv6", "127.0.0.1 ::1"},
	} {
		server := harness.Start(t, h, "tcp_server/address", "-addr", c.addr)
		ready := server.Ready()
		assert.Equal(t, server.Line(`address: (\S+)`)[0], c.ip, c.addr)
		port := server.Line(`port: (\d+)`)[0]
		assert.Equal(t, server.Line(`family: (\S+)`)[0], c.family, c.addr)
		assert.Equal(t, ready, net.JoinHostPort(c.ip, port))
		for _, ip := range strings.Fields(c.reach) {
			dialTCP(t, h, net.JoinHostPort(ip, port))
		}
		server.Stop()
	}
}

func TestTCPServerAddressStops(t *testing.T) {
	t.Parallel()
	testTCPServerStops(t, "address", `address: 127\.0\.0\.1`, `port: \d+`, `family: IPv4`)
}

func TestTCPServerAddressRefusals(t *testing.T) {
	t.Parallel()
	testTCPServerRefusals(t, "address", "")
}

func TestTCPServerConnectionsTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/connections", "-max", "2")
	addr := server.Ready()
	a, b := dialTCP(t, h, addr), dialTCP(t, h, addr)
	server.Line(clientAddr(a) + " connected, 1 open")
	server.Line(clientAddr(b) + " connected, 2 open")
	server.Line(clientAddr(dialTCP(t, h, addr)) + " dropped, 2 open")
	finish(t, a)
	server.Line(clientAddr(a) + " closed, 1 open")
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(from + " connected, 2 open")
	server.Line(from + " closed, 1 open")
	server.Stop()
	harness.Transcript(t, "tcp_server/connections.txt", server, client)
}

// A hundred clients come and go, by FIN or by RST, and the count is right after
// each of them.
func TestTCPServerConnectionsCounts(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "connections")
	var open []*net.TCPConn
	resets := 0
	leave := func() {
		t.Helper()
		conn := open[len(open)/2]
		open = slices.Delete(open, len(open)/2, len(open)/2+1)
		if len(open)%3 == 0 {
			reset(t, conn)
			resets++
		} else {
			assert.Equal(t, len(finish(t, conn)), 0)
		}
		server.Line(fmt.Sprintf("%s closed, %d open", clientAddr(conn), len(open)))
	}
	for i := range 100 {
		conn := dialTCP(t, h, addr)
		open = append(open, conn)
		server.Line(fmt.Sprintf("%s connected, %d open", clientAddr(conn), len(open)))
		if i%3 == 2 {
			leave()
		}
	}
	for len(open) > 0 {
		leave()
	}
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, fmt.Sprintf(`(connections: .*connection reset by peer\n){%d}`, resets))
}

// A thousand clients come and go without waiting for each other: each line's
// count is one more, or one less, than that of the line before.
func TestTCPServerConnectionsCountsAtOnce(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "connections")
	var clients sync.WaitGroup
	const n = 1000
	for range n {
		conn := dialTCP(t, h, addr)
		clients.Go(func() {
			conn.Write([]byte("hello"))
			conn.Close()
		})
	}
	clients.Wait()
	open := 0
	for range 2 * n {
		m := server.Line(`\S+ (connected|closed), (\d+) open`)
		open += map[string]int{"connected": 1, "closed": -1}[m[0]]
		assert.Equal(t, m[1], fmt.Sprint(open))
	}
	assert.Equal(t, open, 0)
	server.Stop()
}

// One at a time: the least that a limit can be.
func TestTCPServerConnectionsMaxOne(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "connections", "-max", "1")
	for range 2 {
		one := dialTCP(t, h, addr)
		server.Line(clientAddr(one) + " connected, 1 open")
		server.Line(clientAddr(dialTCP(t, h, addr)) + " dropped, 1 open")
		finish(t, one)
		server.Line(clientAddr(one) + " closed, 0 open")
	}
	server.Stop()
}

// Over the limit a newcomer is closed at once, and those who are there are left
// alone. A freed place is a place for the next.
func TestTCPServerConnectionsMax(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "connections", "-max", "3")
	var open []*net.TCPConn
	for i := range 3 {
		open = append(open, dialTCP(t, h, addr))
		server.Line(fmt.Sprintf("%s connected, %d open", clientAddr(open[i]), i+1))
	}
	for range 5 {
		conn := dialTCP(t, h, addr)
		server.Line(clientAddr(conn) + " dropped, 3 open")
		_, err := conn.Read(make([]byte, 1)) // and without a FIN of the client's
		assert.ErrorIs(t, err, io.EOF)

		finish(t, open[0])
		server.Line(clientAddr(open[0]) + " closed, 2 open")
		open = append(open[1:], dialTCP(t, h, addr))
		server.Line(clientAddr(open[2]) + " connected, 3 open")
	}
	for i, conn := range open {
		finish(t, conn)
		server.Line(fmt.Sprintf("%s closed, %d open", clientAddr(conn), 2-i))
	}
	server.Stop()
}

func TestTCPServerConnectionsStops(t *testing.T) {
	t.Parallel()
	testTCPServerStops(t, "connections", `\S+ connected, 1 open`)
}

func TestTCPServerConnectionsRefusals(t *testing.T) {
	t.Parallel()
	testTCPServerRefusals(t, "connections", "max",
		misuse{[]string{"-max", "-1"}, "connections: -max -1 is negative"},
		misuse{[]string{"-max", "x"}, `invalid value "x" for flag -max: parse error`})
}

// The server is told to stop while a client is connected, and ends after that
// client has. The client that comes after the signal is refused.
func TestTCPServerCloseTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/close")
	conn := dialTCP(t, h, server.Ready())
	echoes(t, conn, "before")
	server.Signal(os.Interrupt)
	server.Line("no longer listening, 1 open")
	late := harness.Start(t, h, "tcp_client/client")
	late.ExitSaying(1, `client: dial tcp 127\.0\.0\.1:8080: connect: connection refused\n`)
	echoes(t, conn, "after")
	finish(t, conn)
	server.Line("closed")
	server.Exit(0)
	harness.Transcript(t, "tcp_server/close.txt", server)
}

// From the signal on new clients are refused and those connected are served.
// The program ends when the last has left, and not before.
func TestTCPServerCloseServesTheRest(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		server, addr := tcpServer(t, h, "close")
		var open []*net.TCPConn
		for range 5 {
			open = append(open, dialTCP(t, h, addr))
			echoes(t, open[len(open)-1], "before")
		}
		assert.Equal(t, len(finish(t, open[0])), 0)
		open = open[1:]
		server.Signal(sig)
		server.Line("no longer listening, 4 open")
		var err error
		h.Do(func() { _, err = net.Dial("tcp", addr) })
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		for i, conn := range open {
			for _, rest := range open[i:] {
				echoes(t, rest, "after") // had the program ended, this would fail
			}
			assert.Equal(t, len(server.Lines()), 2)
			data := noise(64 << 10)
			write(t, conn, data)
			assert.Assert(t, bytes.Equal(finish(t, conn), data))
		}
		server.Line("closed")
		server.Exit(0)
	}
}

// A client that resets its connection has left like any other.
func TestTCPServerCloseReset(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "close")
	conn := dialTCP(t, h, addr)
	echoes(t, conn, "before")
	server.Signal(syscall.SIGTERM)
	server.Line("no longer listening, 1 open")
	reset(t, conn)
	server.Line("closed")
	server.ExitSaying(0, `close: .*connection reset by peer\n`)
}

// With nobody connected it ends at once; a second signal does not wait for
// those who are.
func TestTCPServerCloseStops(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		server, _ := tcpServer(t, h, "close")
		server.Signal(sig)
		server.Line("no longer listening, 0 open")
		server.Line("closed")
		server.Exit(0)

		server, addr := tcpServer(t, h, "close")
		echoes(t, dialTCP(t, h, addr), "before")
		server.Signal(sig)
		server.Line("no longer listening, 1 open")
		server.Signal(sig)
		server.Exit(-1) // killed
	}
}

func TestTCPServerCloseRefusals(t *testing.T) {
	t.Parallel()
	testTCPServerRefusals(t, "close", "")
}

// tcp_client:client sends, finishes sending, and still gets the reply.
func TestTCPServerHalfOpenTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/half_open")
	server.Ready()
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(from + " ended after 5 bytes")
	server.Line(from + " replied 5 bytes")
	server.Line(from + " closed")
	server.Stop()
	harness.Transcript(t, "tcp_server/half_open.txt", server, client)
}

// ended demands the lines of a half_open server about a client that sent, and
// was replied, that much.
func ended(t *testing.T, server *harness.Program, conn *net.TCPConn, n int) {
	t.Helper()
	server.Line(fmt.Sprintf("%s ended after %d bytes", clientAddr(conn), n))
	server.Line(fmt.Sprintf("%s replied %d bytes", clientAddr(conn), n))
	server.Line(clientAddr(conn) + " closed")
}

// A client sends all, then FIN, and then gets all of it back, and EOF.
func TestTCPServerHalfOpenReplies(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "half_open")
	for _, n := range []int{1 << 20, 0, 1} {
		conn, data := dialTCP(t, h, addr), noise(n)
		write(t, conn, data)
		assert.Assert(t, bytes.Equal(finish(t, conn), data), "%d bytes", n)
		ended(t, server, conn, n)
	}
	server.Stop()
}

// Nothing is sent back before the FIN: a client can write 32 MiB, more than the
// kernel's buffers hold, without reading. An echo would block both sides.
func TestTCPServerHalfOpenWaitsForTheEnd(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "half_open")
	conn, data := dialTCP(t, h, addr), noise(32<<20)
	write(t, conn, data)
	assert.Assert(t, bytes.Equal(finish(t, conn), data))
	ended(t, server, conn, len(data))
	server.Stop()
}

// With -allow=false the server closes at the FIN: EOF, and nothing came back.
func TestTCPServerHalfOpenNotAllowed(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "half_open", "-allow=false")
	for _, n := range []int{1 << 20, 0, 5} {
		conn := dialTCP(t, h, addr)
		write(t, conn, noise(n))
		assert.Equal(t, len(finish(t, conn)), 0)
		server.Line(fmt.Sprintf("%s ended after %d bytes", clientAddr(conn), n))
		server.Line(clientAddr(conn) + " closed")
	}
	server.Stop()
}

// A reset ends that connection, whether it comes while the client sends or
// while it is replied to, and no other.
func TestTCPServerHalfOpenReset(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "half_open")
	good, sending, receiving := dialTCP(t, h, addr), dialTCP(t, h, addr), dialTCP(t, h, addr)
	write(t, good, []byte("hello"))

	write(t, sending, noise(1<<20))
	reset(t, sending)
	server.Line(clientAddr(sending) + " closed")

	write(t, receiving, noise(32<<20))
	assert.NilError(t, receiving.CloseWrite())
	server.Line(clientAddr(receiving) + " ended after 33554432 bytes")
	_, err := io.ReadFull(receiving, make([]byte, 1<<20))
	assert.NilError(t, err)
	reset(t, receiving)
	server.Line(clientAddr(receiving) + " closed") // and no "replied"

	assert.Equal(t, string(finish(t, good)), "hello")
	ended(t, server, good, 5)
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, `(half_open: .*(connection reset by peer|broken pipe)\n){2}`)
}

// What one client may make the server keep has a limit, and may be as much as that.
func TestTCPServerHalfOpenLimit(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "half_open", "-allow=false")
	conn := dialTCP(t, h, addr)
	write(t, conn, make([]byte, 64<<20))
	assert.Equal(t, len(finish(t, conn)), 0)
	server.Line(clientAddr(conn) + " ended after 67108864 bytes")
	server.Line(clientAddr(conn) + " closed")

	conn = dialTCP(t, h, addr)
	for chunk := make([]byte, 1<<20); ; {
		if _, err := conn.Write(chunk); err != nil {
			assert.Assert(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), "%v", err)
			break
		}
	}
	server.Line(clientAddr(conn) + " closed")
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, `half_open: read \S+: more than 67108864 bytes\n`)
}

func TestTCPServerHalfOpenStops(t *testing.T) {
	t.Parallel()
	testTCPServerStops(t, "half_open")
}

func TestTCPServerHalfOpenRefusals(t *testing.T) {
	t.Parallel()
	testTCPServerRefusals(t, "half_open", "allow=true",
		misuse{[]string{"-allow=perhaps"}, `invalid boolean value "perhaps" for -allow: parse error`})
}

// The server's view of both ends is the client's, the other way round. An IPv4
// client of a server that listens everywhere is an IPv4 client.
func TestTCPServerSocketAddress(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, c := range []struct{ listen, dial, family string }{
		{"127.0.0.1:0", "127.0.0.1", "IPv4"},
		{"[::1]:0", "::1", "IPv6"},
		{":0", "127.0.0.1", "IPv4"},
		{":0", "::1", "IPv6"},
		{"0.0.0.0:0", "127.0.0.1", "IPv4"},
	} {
		server := harness.Start(t, h, "tcp_server/socket_address", "-addr", c.listen)
		port := netip.MustParseAddrPort(server.Ready()).Port()
		for range 2 { // a client has a port of its own each time
			conn := dialTCP(t, h, net.JoinHostPort(c.dial, fmt.Sprint(port)))
			ours, theirs := conn.LocalAddr().(*net.TCPAddr), conn.RemoteAddr().(*net.TCPAddr)
			server.Line(fmt.Sprintf("local %s port %d family %s, remote %s port %d family %s",
				theirs.IP, theirs.Port, c.family, ours.IP, ours.Port, c.family))
			assert.Equal(t, len(finish(t, conn)), 0)
		}
		server.Stop()
	}
}

// A client that resets its connection costs that connection only.
func TestTCPServerSocketAddressReset(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "socket_address")
	good, bad := dialTCP(t, h, addr), dialTCP(t, h, addr)
	server.Line(`local .*`)
	server.Line(`local .*`)
	reset(t, bad)
	finish(t, dialTCP(t, h, addr))
	server.Line(`local .*`)
	assert.Equal(t, len(finish(t, good)), 0)
	const want = `socket_address: .*connection reset by peer\n`
	server.Complaint(want)
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, want)
}

func TestTCPServerSocketAddressStops(t *testing.T) {
	t.Parallel()
	testTCPServerStops(t, "socket_address", `local .*`)
}

func TestTCPServerSocketAddressRefusals(t *testing.T) {
	t.Parallel()
	testTCPServerRefusals(t, "socket_address", "")
}
