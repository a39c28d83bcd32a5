package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// connectedFrom waits for a client's first line and returns the client's address.
func connectedFrom(p *harness.Program, addr net.Addr) (from string) {
	p.Line(`connected to ` + regexp.QuoteMeta(addr.String()) + ` from (\S+:\d+)`)
	return strings.Fields(p.Lines()[0])[4]
}

// dialledBy starts a section of the client's chapter against a listener of the
// test and returns both ends. What the client says of the ends is true.
func dialledBy(t *testing.T, on *lab.Host, section string, args ...string) (*harness.Program, *net.TCPConn) {
	t.Helper()
	ln := listenTCP(t, on, "127.0.0.1:0")
	p := harness.Start(t, on, "tcp_client/"+section, append(args, "-addr", ln.Addr().String())...)
	peer := acceptTCP(t, ln)
	assert.Equal(t, connectedFrom(p, ln.Addr()), peer.RemoteAddr().String())
	return p, peer
}

// stopWaiting ends a program that waits for its peer by a signal. A second is what
// is promised; what outlasts five was not woken by the signal.
func stopWaiting(t *testing.T, p *harness.Program, sig os.Signal) {
	t.Helper()
	begin := time.Now()
	p.Signal(sig)
	p.Line("closed")
	p.Exit(0)
	assert.Assert(t, time.Since(begin) < 5*time.Second)
}

// readToFIN reads to the other end's FIN.
func readToFIN(t *testing.T, conn net.Conn) string {
	t.Helper()
	data, err := io.ReadAll(conn)
	assert.NilError(t, err)
	return string(data)
}

func sendText(t *testing.T, conn net.Conn, data string) {
	t.Helper()
	_, err := io.WriteString(conn, data)
	assert.NilError(t, err)
}

// sendRST closes a connection with an RST.
func sendRST(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	assert.NilError(t, conn.SetLinger(0))
	assert.NilError(t, conn.Close())
}

// countingBytes is data of which no two pieces look alike.
func countingBytes(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d\n", i)
	}
	return b.Bytes()[:n]
}

// testTCPClientFailures is what no client can do anything about: nobody there,
// and a name that means nothing (RFC 2606 keeps .invalid free).
func testTCPClientFailures(t *testing.T, section string) {
	t.Helper()
	h := lab.NewHost(t, "h")
	testFailure(t, h, section+": dial tcp 127.0.0.1:1: connect: connection refused",
		"tcp_client/"+section, "-addr", "127.0.0.1:1")
	p := harness.Start(t, h, "tcp_client/"+section, "-addr", "host.invalid:1")
	p.ExitSaying(1, section+`: dial tcp: lookup host\.invalid.*\n`)
}

// testTCPClientReset is a peer that resets a connection the client waits on.
func testTCPClientReset(t *testing.T, p *harness.Program, peer *net.TCPConn) {
	t.Helper()
	_, section, _ := strings.Cut(p.Section, "/")
	sendRST(t, peer)
	ends := regexp.QuoteMeta(fmt.Sprintf("tcp %v->%v: ", peer.RemoteAddr(), peer.LocalAddr()))
	p.ExitSaying(1, section+": (writeto "+ends+")?read "+ends+"read: connection reset by peer\n") // io.Copy names itself
}

// The two programs with nothing but their defaults, as the page shows them.
func TestTCPClientClientTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(from + " connected")
	server.Line(from + " closed after 5 bytes")
	server.Stop()
	harness.Transcript(t, "tcp_client/client.txt", server, client)
}

// The client's FIN says that it has sent all, and a peer that answers only
// then is still heard.
func TestTCPClientClientHearsTheReplyAfterItsFIN(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client, peer := dialledBy(t, h, "client", "-message", "all of it")
	client.Line(`sent 9 bytes: "all of it"`)
	assert.Equal(t, readToFIN(t, peer), "all of it") // returns at the FIN
	for _, reply := range []string{"first", "second", "third"} {
		sendText(t, peer, reply)
		client.Line(fmt.Sprintf(`received %d bytes: %q`, len(reply), reply))
	}
	peer.Close()
	client.Line("closed")
	client.Exit(0)
}

// Each read is a line, its data quoted and cut to 64 bytes.
func TestTCPClientClientShowsData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, shown string }{
		{"caf\u00e9\n\xff", `"café\\n\\xff"`},
		{strings.Repeat("x", 64), `"x{64}"`},
		{strings.Repeat("x", 65), `"x{64}"…`},
		{strings.Repeat("x", 100_000), `"x{64}"…`},
	} {
		client, peer := dialledBy(t, lab.NewHost(t, "h"), "client", "-message", c.data)
		client.Line(fmt.Sprintf(`sent %d bytes: %s`, len(c.data), c.shown))
		assert.Equal(t, readToFIN(t, peer), c.data)
		if len(c.data) < 1000 { // arrives in one piece
			sendText(t, peer, c.data)
			client.Line(fmt.Sprintf(`received %d bytes: %s`, len(c.data), c.shown))
		}
		peer.Close()
		client.Line("closed")
		client.Exit(0)
	}

	client, peer := dialledBy(t, lab.NewHost(t, "h"), "client", "-message", "")
	client.Line(`sent 0 bytes: ""`)
	assert.Equal(t, readToFIN(t, peer), "")
	peer.Close()
	client.Line("closed")
	client.Exit(0)
}

// A long reply arrives whole and in order.
func TestTCPClientClientLongReply(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "client")
	client.Line(`sent 5 bytes: "hello"`)
	assert.Equal(t, readToFIN(t, peer), "hello")
	data := countingBytes(16 << 20)
	sendText(t, peer, string(data))
	peer.Close()
	client.Await("closed")
	client.Exit(0)
	for _, line := range client.Lines()[2:] {
		if line == "closed\n" {
			break
		}
		n, err := strconv.Atoi(strings.Fields(line)[1])
		assert.NilError(t, err)
		shown := fmt.Sprintf("%q", data[:min(n, 64)])
		if n > 64 {
			shown += "…"
		}
		assert.Equal(t, line, fmt.Sprintf("received %d bytes: %s\n", n, shown))
		data = data[n:]
	}
	assert.Equal(t, len(data), 0)
}

func TestTCPClientClientIPv6(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server", "-addr", "[::1]:0")
	addr := server.Ready()
	client := harness.Start(t, h, "tcp_client/client", "-addr", addr)
	from := client.Line(`connected to ` + regexp.QuoteMeta(addr) + ` from (\[::1\]:\d+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`received 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(regexp.QuoteMeta(from) + " connected")
	server.Stop()
}

// A peer that says nothing keeps the client waiting until a signal.
func TestTCPClientClientStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, peer := dialledBy(t, lab.NewHost(t, "h"), "client")
		client.Line(`sent 5 bytes: "hello"`)
		assert.Equal(t, readToFIN(t, peer), "hello")
		stopWaiting(t, client, sig)
	}
}

func TestTCPClientClientReset(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "client")
	client.Line(`sent 5 bytes: "hello"`)
	assert.Equal(t, readToFIN(t, peer), "hello")
	testTCPClientReset(t, client, peer)
}

func TestTCPClientClientCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "tcp_client/client", "addr=127.0.0.1:8080 message=hello")
}

func TestTCPClientClientFailures(t *testing.T) {
	t.Parallel()
	testTCPClientFailures(t, "client")
}

// The two programs with nothing but their defaults, as the page shows them.
func TestTCPClientWriteTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/write")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	client.Line(`wrote 1048576 bytes in 16 writes`)
	client.Line(`received 1048576 bytes`)
	client.Line("closed")
	client.Exit(0)
	server.Line(from + " connected")
	server.Line(from + " closed after 1048576 bytes")
	server.Stop()
	harness.Transcript(t, "tcp_client/write.txt", server, client)
}

// All bytes go to the echo server and all come back, more than fits the
// kernel's buffers too. The last write takes what is left.
func TestTCPClientWriteChunks(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server", "-addr", "127.0.0.1:0")
	addr := server.Ready()
	for _, c := range []struct{ bytes, chunk, writes int }{
		{16 << 20, 65536, 256},
		{16 << 20, 16 << 20, 1},
		{1000, 300, 4},
		{900, 300, 3},
		{10, 65536, 1},
		{3, 1, 3},
		{0, 65536, 0},
	} {
		client := harness.Start(t, h, "tcp_client/write", "-addr", addr, "-bytes", fmt.Sprint(c.bytes), "-chunk", fmt.Sprint(c.chunk))
		from := client.Line(`connected to \S+ from (\S+)`)[0]
		client.Line(fmt.Sprintf(`wrote %d bytes in %d writes`, c.bytes, c.writes))
		client.Line(fmt.Sprintf(`received %d bytes`, c.bytes))
		client.Line("closed")
		client.Exit(0)
		server.Line(from + " connected")
		server.Line(fmt.Sprintf(`%s closed after %d bytes`, from, c.bytes))
	}
	server.Stop()
}

// What it says it received is what the peer sent, be it more or less than it
// wrote, and after its FIN as well.
func TestTCPClientWriteReceives(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "write", "-bytes", "100000")
	sendText(t, peer, "before")
	assert.Equal(t, len(readToFIN(t, peer)), 100_000)
	client.Line(`wrote 100000 bytes in 2 writes`)
	sendText(t, peer, "and after")
	peer.Close()
	client.Line(`received 15 bytes`)
	client.Line("closed")
	client.Exit(0)
}

// A signal ends the wait for the peer's FIN.
func TestTCPClientWriteStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, peer := dialledBy(t, lab.NewHost(t, "h"), "write", "-bytes", "5")
		client.Line(`wrote 5 bytes in 1 writes`)
		assert.Equal(t, len(readToFIN(t, peer)), 5)
		client.Signal(sig)
		client.Line(`received 0 bytes`)
		client.Line("closed")
		client.Exit(0)
	}
}

// A peer that resets, while the client writes and while it only reads.
func TestTCPClientWriteReset(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "write", "-bytes", "1000000000000")
	sendRST(t, peer)
	client.ExitSaying(1, `write: write tcp \S+->\S+: write: (connection reset by peer|broken pipe)\n`)

	client, peer = dialledBy(t, lab.NewHost(t, "h"), "write", "-bytes", "5")
	client.Line(`wrote 5 bytes in 1 writes`)
	assert.Equal(t, len(readToFIN(t, peer)), 5)
	testTCPClientReset(t, client, peer)
}

func TestTCPClientWriteCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "tcp_client/write", "addr=127.0.0.1:8080 bytes=1048576 chunk=65536",
		misuse{[]string{"-bytes", "-1"}, "write: -bytes -1 is negative"},
		misuse{[]string{"-bytes", "many"}, `invalid value "many" for flag -bytes: parse error`},
		misuse{[]string{"-chunk", "0"}, "write: -chunk 0 is not from 1 to 16777216"},
		misuse{[]string{"-chunk", "-1"}, "write: -chunk -1 is not from 1 to 16777216"},
		misuse{[]string{"-chunk", "16777217"}, "write: -chunk 16777217 is not from 1 to 16777216"},
		misuse{[]string{"-chunk", "1k"}, `invalid value "1k" for flag -chunk: parse error`},
	)
}

func TestTCPClientWriteFailures(t *testing.T) {
	t.Parallel()
	testTCPClientFailures(t, "write")
}

// Each way once against the echo server, as the page shows it.
func TestTCPClientCloseTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	programs := []*harness.Program{server}
	for _, c := range []struct {
		how   string
		lines []string
	}{
		{"end", []string{"ended: sent FIN, still reading", "closed"}},
		{"destroy", []string{"destroyed"}},
		{"reset", []string{"reset: sent RST"}},
	} {
		client := harness.Start(t, h, "tcp_client/close", "-how", c.how)
		from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
		for _, line := range c.lines {
			client.Line(line)
		}
		client.Exit(0)
		server.Line(from + " connected")
		server.Line(from + " closed after 0 bytes")
		programs = append(programs, client)
	}
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, `server: .*: connection reset by peer\n`) // one of the three was that
	harness.Transcript(t, "tcp_client/close.txt", programs...)
}

// -how end, which is the default: the peer sees the end, and is heard as long
// as it goes on.
func TestTCPClientCloseEnd(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"-how", "end"}} {
		client, peer := dialledBy(t, lab.NewHost(t, "h"), "close", args...)
		client.Line("ended: sent FIN, still reading")
		assert.Equal(t, readToFIN(t, peer), "")
		for _, c := range []struct{ data, shown string }{
			{"still there?", `"still there\?"`},
			{"caf\u00e9\n\xff", `"café\\n\\xff"`},
			{strings.Repeat("x", 64), `"x{64}"`},
			{strings.Repeat("x", 65), `"x{64}"…`},
		} {
			sendText(t, peer, c.data)
			client.Line(fmt.Sprintf(`received %d bytes: %s`, len(c.data), c.shown))
		}
		peer.Close()
		client.Line("closed")
		client.Exit(0)
	}
}

// -how destroy: the peer sees an end like any other. That nobody reads it any
// more it learns when it writes: the connection is gone.
func TestTCPClientCloseDestroy(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "close", "-how", "destroy")
	client.Line("destroyed")
	client.Exit(0)
	assert.Equal(t, readToFIN(t, peer), "")
	sendText(t, peer, "still there?") // the first write succeeds
	for {
		if _, err := io.WriteString(peer, "still there?"); err != nil {
			assert.ErrorIs(t, err, syscall.EPIPE)
			return
		}
	}
}

// -how reset: no end but an error.
func TestTCPClientCloseReset(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "close", "-how", "reset")
	client.Line("reset: sent RST")
	client.Exit(0)
	_, err := peer.Read(make([]byte, 1))
	assert.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestTCPClientCloseStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, _ := dialledBy(t, lab.NewHost(t, "h"), "close")
		client.Line("ended: sent FIN, still reading")
		stopWaiting(t, client, sig)
	}
}

func TestTCPClientClosePeerResets(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "close")
	client.Line("ended: sent FIN, still reading")
	assert.Equal(t, readToFIN(t, peer), "")
	testTCPClientReset(t, client, peer)
}

func TestTCPClientCloseCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "tcp_client/close", "addr=127.0.0.1:8080 how=end",
		misuse{[]string{"-how", "gently"}, `close: -how "gently" is not end, destroy or reset`},
		misuse{[]string{"-how", ""}, `close: -how "" is not end, destroy or reset`},
		misuse{[]string{"-how", "END"}, `close: -how "END" is not end, destroy or reset`},
	)
}

func TestTCPClientCloseFailures(t *testing.T) {
	t.Parallel()
	testTCPClientFailures(t, "close")
}

// Both ways against the echo server, as the page shows it: it is the server
// that ends the one who waits.
func TestTCPClientUnrefTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	gone := harness.Start(t, h, "tcp_client/unref", "-ref=false")
	from := gone.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	gone.Line("not waiting")
	gone.Exit(0)
	server.Line(from + " connected")
	server.Line(from + " closed after 0 bytes")

	waits := harness.Start(t, h, "tcp_client/unref")
	from = waits.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	waits.Line("waiting for the peer")
	server.Line(from + " connected")
	server.Stop()
	waits.Exit(0)
	harness.Transcript(t, "tcp_client/unref.txt", server, gone, waits)
}

// -ref=true, which is the default: it goes on reading, more than the kernel
// would keep for a program that had ended, until the peer closes.
func TestTCPClientUnrefWaits(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"-ref=true"}} {
		client, peer := dialledBy(t, lab.NewHost(t, "h"), "unref", args...)
		client.Line("waiting for the peer")
		sendText(t, peer, string(countingBytes(16<<20)))
		assert.NilError(t, peer.CloseWrite())
		client.Exit(0)
		assert.Equal(t, readToFIN(t, peer), "")
	}
}

// -ref=false: it ends while the peer has said and done nothing, and the peer
// reads an end.
func TestTCPClientUnrefDoesNotWait(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "unref", "-ref=false")
	client.Line("not waiting")
	client.Exit(0)
	assert.Equal(t, readToFIN(t, peer), "")
}

func TestTCPClientUnrefStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, _ := dialledBy(t, lab.NewHost(t, "h"), "unref")
		client.Line("waiting for the peer")
		stopWaiting(t, client, sig)
	}
}

func TestTCPClientUnrefReset(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "unref")
	client.Line("waiting for the peer")
	testTCPClientReset(t, client, peer)
}

func TestTCPClientUnrefCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "tcp_client/unref", "addr=127.0.0.1:8080 ref=true",
		misuse{[]string{"-ref=perhaps"}, `invalid boolean value "perhaps" for -ref: parse error`},
		misuse{[]string{"-ref", "false"}, `unref: unexpected argument "false"`},
	)
}

func TestTCPClientUnrefFailures(t *testing.T) {
	t.Parallel()
	testTCPClientFailures(t, "unref")
}

// What the kernel can keep is written though nobody reads, and what a peer
// reads is not limited by what it can keep.
func TestTCPClientBufferSizeDoesNotBlock(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1000, 100_000, 32 << 20} {
		client, peer := dialledBy(t, lab.NewHost(t, "h"), "buffer_size", "-bytes", fmt.Sprint(size))
		if size > 1000 {
			assert.Equal(t, len(readToFIN(t, peer)), size)
		}
		client.Await(fmt.Sprintf(`wrote %d bytes, the kernel took them all`, size))
		client.Exit(0)
		assert.Equal(t, len(readToFIN(t, peer)), map[bool]int{true: 0, false: size}[size > 1000])
	}
}

// A signal ends it while it writes. The peer reads, or it would end by itself.
func TestTCPClientBufferSizeStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, peer := dialledBy(t, lab.NewHost(t, "h"), "buffer_size", "-bytes", "1000000000000")
		read := make(chan error)
		go func() {
			_, err := io.Copy(io.Discard, peer)
			read <- err
		}()
		stopWaiting(t, client, sig)
		assert.NilError(t, <-read)
	}
}

func TestTCPClientBufferSizeReset(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "buffer_size", "-bytes", "1000000000000")
	sendRST(t, peer)
	client.ExitSaying(1, `buffer_size: write tcp \S+->\S+: write: (connection reset by peer|broken pipe)\n`)
}

func TestTCPClientBufferSizeCommandLine(t *testing.T) {
	t.Parallel()
	testCommandLine(t, "tcp_client/buffer_size", "addr=127.0.0.1:8080 bytes=67108864",
		misuse{[]string{"-bytes", "-1"}, "buffer_size: -bytes -1 is negative"},
		misuse{[]string{"-bytes", "64M"}, `invalid value "64M" for flag -bytes: parse error`},
	)
}

func TestTCPClientBufferSizeFailures(t *testing.T) {
	t.Parallel()
	testTCPClientFailures(t, "buffer_size")
}

// The two programs with nothing but their defaults, as the page shows them.
func TestTCPClientKeepaliveTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/server")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/keepalive")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (127\.0\.0\.1:\d+)`)[0]
	client.Line(`keep-alive on: idle 15s, interval 15s, count 9`)
	server.Line(from + " connected")
	stopWaiting(t, client, syscall.SIGTERM)
	server.Line(from + " closed after 0 bytes")
	server.Stop()
	harness.Transcript(t, "tcp_client/keepalive.txt", server, client)
}

// It holds the connection, whatever the peer sends, until the peer's end.
func TestTCPClientKeepaliveHolds(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "keepalive")
	client.Await(`keep-alive on: .*`)
	sendText(t, peer, string(countingBytes(16<<20))) // more than the kernel would keep
	assert.NilError(t, peer.CloseWrite())
	client.Line("closed")
	client.Exit(0)
	assert.Equal(t, readToFIN(t, peer), "")
}

// An end that is an error is what this program is about: it is told like any
// other, and the exit code is 0.
func TestTCPClientKeepaliveReset(t *testing.T) {
	t.Parallel()
	client, peer := dialledBy(t, lab.NewHost(t, "h"), "keepalive")
	client.Await(`keep-alive on: .*`)
	sendRST(t, peer)
	client.Line("closed with error: connection reset by peer")
	client.Exit(0)
}

func TestTCPClientKeepaliveStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		client, _ := dialledBy(t, lab.NewHost(t, "h"), "keepalive")
		client.Await(`keep-alive on: .*`)
		stopWaiting(t, client, sig)
	}
}

func TestTCPClientKeepaliveCommandLine(t *testing.T) {
	t.Parallel()
	var wrong []misuse
	for _, c := range []struct{ value, shown string }{
		{"0", "0s"}, {"-1s", "-1s"}, {"500ms", "500ms"}, {"1500ms", "1.5s"}, {"32768s", "9h6m8s"},
	} {
		for _, name := range []string{"idle", "interval"} {
			wrong = append(wrong, misuse{[]string{"-" + name, c.value},
				fmt.Sprintf("keepalive: -%s %s is not whole seconds from 1s to 32767s", name, c.shown)})
		}
	}
	for _, count := range []string{"0", "-1", "128"} {
		wrong = append(wrong, misuse{[]string{"-count", count}, "keepalive: -count " + count + " is not from 1 to 127"})
	}
	testCommandLine(t, "tcp_client/keepalive", "addr=127.0.0.1:8080 idle=15s interval=15s count=9", append(wrong,
		misuse{[]string{"-idle", "15"}, `invalid value "15" for flag -idle: parse error`})...)
}

func TestTCPClientKeepaliveFailures(t *testing.T) {
	t.Parallel()
	testTCPClientFailures(t, "keepalive")
}

// Every client connects to an IPv6 address as to an IPv4 one.
func TestTCPClientIPv6(t *testing.T) {
	t.Parallel()
	for section, last := range map[string]string{
		"client": "closed", "write": "closed", "close": "closed", "unref": "waiting for the peer",
		"buffer_size": "wrote .*", "keepalive": "closed",
	} {
		h := lab.NewHost(t, "h")
		ln := listenTCP(t, h, "[::1]:0")
		p := harness.Start(t, h, "tcp_client/"+section, "-addr", ln.Addr().String())
		peer := acceptTCP(t, ln)
		assert.Equal(t, connectedFrom(p, ln.Addr()), peer.RemoteAddr().String())
		assert.NilError(t, peer.CloseWrite())
		_, err := io.Copy(io.Discard, peer)
		assert.NilError(t, err)
		p.Await(last)
		p.Exit(0)
	}
}
