package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// connServer is a section of this file: what it promises as all servers do.
type connServer struct {
	section string
	args    []string // with which it soon has served a client that says hello and goes
	to      bool     // it wants a file too
	served  string   // what it then prints last of that client, if it prints
	echoes  bool
}

func (s connServer) start(t *testing.T, on *lab.Host, args ...string) *harness.Program {
	t.Helper()
	if s.to {
		args = append(args, "-to", filepath.Join(t.TempDir(), "message.txt"))
	}
	return harness.Start(t, on, "tcp_server/"+s.section, append(s.args, args...)...)
}

// serves checks that the server serves a connected client.
func (s connServer) serves(t *testing.T, p *harness.Program, client *net.TCPConn) {
	t.Helper()
	tell(t, client, "hello")
	assert.NilError(t, client.CloseWrite())
	got, err := io.ReadAll(client)
	assert.NilError(t, err)
	assert.Equal(t, string(got), map[bool]string{true: "hello"}[s.echoes])
	if s.served != "" {
		p.Await(of(client) + s.served)
	}
}

// test is one proof for all that every server promises.
func (s connServer) test(t *testing.T, flags string, wrong ...misuse) {
	t.Run("command line", func(t *testing.T) {
		t.Parallel()
		testCommandLine(t, "tcp_server/"+s.section, "addr=127.0.0.1:8080 "+flags, wrong...)
	})
	t.Run("failures", func(t *testing.T) {
		t.Parallel()
		h := lab.NewHost(t, "h")
		ln := listenTCP(t, h, "127.0.0.1:0")
		p := s.start(t, h, "-addr", ln.Addr().String())
		p.ExitSaying(1, s.section+": listen tcp "+regexp.QuoteMeta(ln.Addr().String())+": bind: .*in use.*\n")
		p = s.start(t, h, "-addr", "host.invalid:1") // RFC 2606 keeps .invalid free
		p.ExitSaying(1, s.section+`: listen tcp: lookup host\.invalid.*\n`)
	})
	t.Run("defaults to 127.0.0.1:8080", func(t *testing.T) {
		t.Parallel()
		lab.Require(t, "namespaces", lab.Isolated())
		h := lab.NewHost(t, "h")
		p := s.start(t, h)
		assert.Equal(t, p.Ready(), "127.0.0.1:8080")
		p.Stop()
	})
	for _, any := range []string{"127.0.0.1:0", "[::1]:0", "localhost:0"} {
		t.Run("many at once on "+any, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			p := s.start(t, h, "-addr", any)
			addr := p.Ready()
			var clients []*net.TCPConn
			for range 30 {
				clients = append(clients, dialTCP(t, h, addr))
			}
			for i := range clients { // all are open, and the last to come is the first to be served
				s.serves(t, p, clients[len(clients)-1-i])
			}
			p.Stop()
		})
	}
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(fmt.Sprintf("%v with clients connected", sig), func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			p := s.start(t, h, "-addr", "127.0.0.1:0")
			addr := p.Ready()
			silent, talking, served := dialTCP(t, h, addr), dialTCP(t, h, addr), dialTCP(t, h, addr)
			tell(t, talking, "hel")
			s.serves(t, p, served) // accepted last: so all are
			begin := time.Now()
			p.Signal(sig)
			p.Await("closed")
			p.Exit(0)
			// A second is promised. What takes ten waits for something else.
			assert.Assert(t, time.Since(begin) < 10*time.Second)
			for _, client := range []net.Conn{silent, talking} {
				_, err := io.Copy(io.Discard, client) // FIN or RST: gone
				assert.Assert(t, !os.IsTimeout(err), "%v", err)
			}
		})
	}
}

// tell sends data in one write.
func tell(t *testing.T, conn net.Conn, data string) {
	t.Helper()
	_, err := io.WriteString(conn, data)
	assert.NilError(t, err)
}

// of is the pattern that begins a server's lines on this client.
func of(client net.Conn) string { return regexp.QuoteMeta(client.LocalAddr().String()) + " " }

var readServer = connServer{section: "read", served: "ended after 5 bytes"}

func TestTCPServerReadAsAllServers(t *testing.T) {
	t.Parallel()
	says := func(value string) misuse {
		return misuse{[]string{"-buffer", value}, "read: -buffer " + value + " is not from 1 to 16777216"}
	}
	readServer.test(t, "buffer=1024", says("0"), says("-1"), says("16777217"), says("9223372036854775807"),
		misuse{[]string{"-buffer", "x"}, `invalid value "x" for flag -buffer: parse error`})
}

// A line for each read, its data quoted and cut to 64 bytes, then the sum.
func TestTCPServerReadShowsData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/read", "-addr", "127.0.0.1:0")
	client := dialTCP(t, h, server.Ready())
	sum := 0
	for data, shown := range map[string]string{
		"hello":                  `"hello"`,
		"a\x00\n\"\\\xff":        `"a\x00\n\"\\\xff"`,
		"你好":                     `"你好"`,
		strings.Repeat("x", 64):  `"` + strings.Repeat("x", 64) + `"`,
		strings.Repeat("y", 65):  `"` + strings.Repeat("y", 64) + `"…`,
		strings.Repeat("z", 999): `"` + strings.Repeat("z", 64) + `"…`,
	} {
		tell(t, client, data)
		server.Line(of(client) + fmt.Sprintf(`read %d bytes: `, len(data)) + regexp.QuoteMeta(shown))
		sum += len(data)
	}
	assert.NilError(t, client.CloseWrite())
	server.Line(of(client) + fmt.Sprintf("ended after %d bytes", sum))
	_, err := client.Read(make([]byte, 1)) // the server has closed too
	assert.Equal(t, err, io.EOF)

	server.Stop()
}

// The sum is of all reads, however many.
func TestTCPServerReadCountsAllBytes(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/read", "-addr", "127.0.0.1:0", "-buffer", "4096")
	addr := server.Ready()
	for _, n := range []int{0, 1, 4096, 1<<20 + 7} {
		client := dialTCP(t, h, addr)
		_, err := client.Write(noise(n))
		assert.NilError(t, err)
		assert.NilError(t, client.CloseWrite())
		for sum, more := 0, 0; sum < n; sum += more {
			_, err := fmt.Sscan(server.Line(of(client) + `read (\d+) bytes: .*`)[0], &more)
			assert.NilError(t, err)
			assert.Assert(t, 0 < more && more <= 4096, "%d", more)
		}
		server.Line(of(client) + fmt.Sprintf("ended after %d bytes", n))
	}
	server.Stop()
}

// A buffer may be as small, and as large, as the command line says.
func TestTCPServerReadBuffer(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for buffer, pieces := range map[string][]string{"1": {"x", "y"}, "16777216": {"xy"}} {
		server := harness.Start(t, h, "tcp_server/read", "-addr", "127.0.0.1:0", "-buffer", buffer)
		client := dialTCP(t, h, server.Ready())
		tell(t, client, "xy")
		for _, piece := range pieces {
			server.Line(of(client) + fmt.Sprintf(`read %d bytes: "%s"`, len(piece), piece))
		}
		assert.NilError(t, client.CloseWrite())
		server.Line(of(client) + "ended after 2 bytes")
		server.Stop()
	}
}

// A reset is no FIN: nothing has ended in good order. It costs that client's
// connection and no other.
func TestTCPServerReadReset(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/read", "-addr", "127.0.0.1:0")
	addr := server.Ready()
	rude, other := dialTCP(t, h, addr), dialTCP(t, h, addr)
	tell(t, rude, "hel")
	server.Line(of(rude) + `read 3 bytes: "hel"`)
	reset(t, rude)
	readServer.serves(t, server, other)
	want := fmt.Sprintf(`read: read tcp %s->%s: read: connection reset by peer\n`,
		regexp.QuoteMeta(addr), regexp.QuoteMeta(rude.LocalAddr().String()))
	server.Complaint(want)
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, want)
}

var closeEventServer = connServer{section: "close_event", served: "closed"}

func TestTCPServerCloseEventAsAllServers(t *testing.T) {
	t.Parallel()
	closeEventServer.test(t, "")
}

// A FIN and a reset, as the page shows them.
func TestTCPServerCloseEventTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/close_event")
	addr := server.Ready()
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to \S+ from (\S+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`closed`)
	client.Exit(0)
	server.Line(from + ` closed`)
	rude := dialTCP(t, h, addr)
	reset(t, rude)
	server.Line(of(rude) + `closed with error: connection reset by peer`)
	server.Stop()
	harness.Transcript(t, "tcp_server/close_event.txt", server, client)
}

// However much came before it, a FIN is a good end and a reset is not; the one
// says nothing of the other connections.
func TestTCPServerCloseEventAfterData(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/close_event", "-addr", "127.0.0.1:0")
	addr := server.Ready()
	other := dialTCP(t, h, addr)
	for _, n := range []int{0, 1, 1 << 20} {
		client := dialTCP(t, h, addr)
		_, err := client.Write(noise(n))
		assert.NilError(t, err)
		assert.NilError(t, client.Close())
		server.Line(of(client) + `closed`)

		client = dialTCP(t, h, addr)
		_, err = client.Write(noise(n))
		assert.NilError(t, err)
		reset(t, client)
		server.Line(of(client) + `closed with error: connection reset by peer`)
	}
	closeEventServer.serves(t, server, other)
	server.Stop()
}

var pipeServer = connServer{section: "pipe", to: true, served: "piped 5 bytes"}

func TestTCPServerPipeAsAllServers(t *testing.T) {
	t.Parallel()
	pipeServer.test(t, "to=message.txt")
}

// contents returns what is in a file.
func contents(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	assert.NilError(t, err)
	return string(data)
}

// lastOfPipe is what pipe and unpipe print last of a client that has gone.
func lastOfPipe(section string) string {
	return map[string]string{"pipe": `piped \d+ bytes`, "unpipe": `closed`}[section]
}

// Every byte of several megabytes from several connections at once is in the
// file, after what was there before, and those of one connection are in order.
// They can be told apart: the upper half of a byte is the connection's number.
func testPipesAll(t *testing.T, section string, args ...string) {
	t.Helper()
	h := lab.NewHost(t, "h")
	file := filepath.Join(t.TempDir(), "message.txt")
	assert.NilError(t, os.WriteFile(file, []byte("before"), 0o600))
	server := harness.Start(t, h, "tcp_server/"+section, append(args, "-addr", "127.0.0.1:0", "-to", file)...)
	addr := server.Ready()

	const connections, each = 8, 4 << 20
	data := make([][]byte, connections)
	errs := make(chan error)
	for i := range connections {
		data[i] = noise(each + i)
		for j := range data[i] {
			data[i][j] = byte(i)<<4 | data[i][j]&15
		}
		client := dialTCP(t, h, addr)
		go func() {
			_, err := client.Write(data[i])
			errs <- errors.Join(err, client.CloseWrite())
		}()
	}
	for range connections {
		assert.NilError(t, <-errs)
	}
	for range connections {
		server.Await(`\S+:\d+ ` + lastOfPipe(section))
	}
	var sizes []string
	for _, line := range server.Lines() {
		if m := regexp.MustCompile(`^\S+ piped (\d+) bytes\n$`).FindStringSubmatch(line); m != nil {
			sizes = append(sizes, m[1])
		}
	}
	assert.Equal(t, len(sizes), connections)
	slices.Sort(sizes)
	for i, size := range sizes {
		assert.Equal(t, size, fmt.Sprint(each+i))
	}
	server.Stop()

	got, ok := strings.CutPrefix(contents(t, file), "before")
	assert.Assert(t, ok)
	apart := make([][]byte, connections)
	for _, b := range []byte(got) {
		i := (b >> 4) % connections // of a foreign byte another's data will differ
		apart[i] = append(apart[i], b)
	}
	for i := range apart {
		assert.Assert(t, bytes.Equal(apart[i], data[i]), "connection %d: %d bytes", i, len(apart[i]))
	}
}

func TestTCPServerPipeComplete(t *testing.T) {
	t.Parallel()
	testPipesAll(t, "pipe")
}

// Each write goes to the end, even if others have written to the file or
// emptied it meanwhile.
func testPipeAppends(t *testing.T, section string, args ...string) {
	t.Helper()
	h := lab.NewHost(t, "h")
	file := filepath.Join(t.TempDir(), "message.txt")
	server := harness.Start(t, h, "tcp_server/"+section, append(args, "-addr", "127.0.0.1:0", "-to", file)...)
	addr := server.Ready()
	assert.Equal(t, contents(t, file), "")
	say := func(text string) {
		client := dialTCP(t, h, addr)
		tell(t, client, text)
		assert.NilError(t, client.CloseWrite())
		if server.Line(of(client) + fmt.Sprintf(`piped %d bytes`, len(text))); section == "unpipe" {
			server.Line(of(client) + `closed`)
		}
	}
	say("one\n")
	assert.NilError(t, os.WriteFile(file, []byte("another program\n"), 0o600)) // as does > message.txt
	say("two\n")
	assert.Equal(t, contents(t, file), "another program\ntwo\n")
	server.Stop()

	again := harness.Start(t, h, "tcp_server/"+section, append(args, "-addr", addr, "-to", file)...)
	again.Ready()
	server = again
	say("three\n")
	assert.Equal(t, contents(t, file), "another program\ntwo\nthree\n")
	again.Stop()
}

func TestTCPServerPipeAppends(t *testing.T) {
	t.Parallel()
	testPipeAppends(t, "pipe")
}

// A file that cannot be opened is found before the port is touched.
func testPipeNoFile(t *testing.T, section string) {
	t.Helper()
	h := lab.NewHost(t, "h")
	ln := listenTCP(t, h, "127.0.0.1:0")
	dir := t.TempDir()
	for file, cause := range map[string]string{
		dir:                               "is a directory",
		filepath.Join(dir, "no", "where"): "no such file or directory",
		"":                                "no such file or directory",
	} {
		testFailure(t, h, fmt.Sprintf("%s: open %s: %s", section, file, cause),
			"tcp_server/"+section, "-addr", ln.Addr().String(), "-to", file)
	}
}

func TestTCPServerPipeNoFile(t *testing.T) {
	t.Parallel()
	testPipeNoFile(t, "pipe")
}

var unpipeServer = connServer{section: "unpipe", args: []string{"-after", "1h"}, to: true, served: "closed"}

func TestTCPServerUnpipeAsAllServers(t *testing.T) {
	t.Parallel()
	unpipeServer.test(t, "after=5s to=message.txt",
		misuse{[]string{"-after", "-1ns"}, "unpipe: -after -1ns is negative"},
		misuse{[]string{"-after", "5"}, `invalid value "5" for flag -after: parse error`})
}

// Until then it is like pipe.
func TestTCPServerUnpipeComplete(t *testing.T) {
	t.Parallel()
	testPipesAll(t, "unpipe", "-after", "1h")
}

func TestTCPServerUnpipeAppends(t *testing.T) {
	t.Parallel()
	testPipeAppends(t, "unpipe", "-after", "1h")
}

func TestTCPServerUnpipeNoFile(t *testing.T) {
	t.Parallel()
	testPipeNoFile(t, "unpipe")
}

// The time is each connection's own, from its beginning, and no time is a time.
func TestTCPServerUnpipeAfter(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, after := range []time.Duration{300 * time.Millisecond, 0} {
		file := filepath.Join(t.TempDir(), "message.txt")
		server := harness.Start(t, h, "tcp_server/unpipe", "-addr", "127.0.0.1:0", "-after", after.String(), "-to", file)
		addr := server.Ready()
		for range 2 {
			begin := time.Now()
			client := dialTCP(t, h, addr)
			server.Line(of(client) + `unpiped after 0 bytes`)
			assert.Assert(t, time.Since(begin) >= after)
			tell(t, client, "late")
			assert.NilError(t, client.Close())
			server.Line(of(client) + `closed`)
		}
		server.Stop()
		assert.Equal(t, contents(t, file), "")
	}
}

// A client that goes before that is piped to its end, and then is gone.
func TestTCPServerUnpipeEndsBefore(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := unpipeServer.start(t, h, "-addr", "127.0.0.1:0")
	client := dialTCP(t, h, server.Ready())
	tell(t, client, "hello")
	assert.NilError(t, client.CloseWrite())
	server.Line(of(client) + `piped 5 bytes`)
	server.Line(of(client) + `closed`)
	server.Stop()
}

var pauseResumeServer = connServer{section: "pause_resume", args: []string{"-pause", "1ms"}, served: "ended after 5 bytes"}

func TestTCPServerPauseResumeAsAllServers(t *testing.T) {
	t.Parallel()
	pauseResumeServer.test(t, "pause=2s",
		misuse{[]string{"-pause", "-1ns"}, "pause_resume: -pause -1ns is negative"},
		misuse{[]string{"-pause", "2"}, `invalid value "2" for flag -pause: parse error`})
}

func TestTCPServerPauseResumeTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/pause_resume", "-pause", "100ms")
	server.Line(`listening on 127\.0\.0\.1:8080`)
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to \S+ from (\S+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line(`closed`)
	client.Exit(0)
	server.Line(from + ` paused`)
	server.Line(from + ` resumed`)
	server.Line(from + ` ended after 5 bytes`)
	server.Stop()
	harness.Transcript(t, "tcp_server/pause_resume.txt", server, client)
}

// The pause is as long as asked for, and no pause is a pause.
func TestTCPServerPauseResumePause(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, pause := range []time.Duration{300 * time.Millisecond, 0} {
		server := harness.Start(t, h, "tcp_server/pause_resume", "-addr", "127.0.0.1:0", "-pause", pause.String())
		addr := server.Ready()
		begin := time.Now()
		client := dialTCP(t, h, addr)
		server.Line(of(client) + `paused`)
		server.Line(of(client) + `resumed`)
		assert.Assert(t, time.Since(begin) >= pause)
		assert.NilError(t, client.Close())
		server.Line(of(client) + `ended after 0 bytes`)
		server.Stop()
	}
}

// While one is paused, others are accepted; a signal ends them all.
func TestTCPServerPauseResumeManyPaused(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		h := lab.NewHost(t, "h")
		server := harness.Start(t, h, "tcp_server/pause_resume", "-addr", "127.0.0.1:0", "-pause", "1h")
		addr := server.Ready()
		for range 10 {
			server.Line(of(dialTCP(t, h, addr)) + `paused`)
		}
		server.Signal(sig)
		server.Line("closed")
		server.Exit(0)
	}
}

// Who resets the connection meanwhile has not ended in good order.
func TestTCPServerPauseResumeReset(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/pause_resume", "-addr", "127.0.0.1:0", "-pause", "300ms")
	addr := server.Ready()
	rude := dialTCP(t, h, addr)
	server.Line(of(rude) + `paused`)
	reset(t, rude)
	server.Line(of(rude) + `resumed`)
	other := dialTCP(t, h, addr)
	server.Line(of(other) + `paused`)
	pauseResumeServer.serves(t, server, other)
	const want = "pause_resume: .*read: connection reset by peer\n"
	server.Complaint(want)
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, want)
}

var timeoutServer = connServer{section: "timeout", args: []string{"-timeout", "1m"}, echoes: true}

func TestTCPServerTimeoutAsAllServers(t *testing.T) {
	t.Parallel()
	timeoutServer.test(t, "timeout=10s",
		misuse{[]string{"-timeout", "-1ns"}, "timeout: -timeout -1ns is negative"},
		misuse{[]string{"-timeout", "10"}, `invalid value "10" for flag -timeout: parse error`})
}

// A silent client is closed, in time and not before.
func TestTCPServerTimeoutTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-timeout", "1s")
	addr := server.Ready()
	begin := time.Now()
	client := dialTCP(t, h, addr)
	server.Line(of(client) + `timed out after 1s`)
	assert.Assert(t, time.Since(begin) >= time.Second)
	_, err := client.Read(make([]byte, 1))
	assert.Equal(t, err, io.EOF)
	server.Stop()
	harness.Transcript(t, "tcp_server/timeout.txt", server)
}

// stay waits on a connection on which nothing is to come for that long.
func stay(t *testing.T, client *net.TCPConn, d time.Duration) {
	t.Helper()
	client.SetReadDeadline(time.Now().Add(d))
	_, err := client.Read(make([]byte, 1))
	assert.Assert(t, os.IsTimeout(err), "%v", err)
	client.SetReadDeadline(time.Now().Add(harness.Patience()))
}

// A client that says something now and then stays connected for several times
// as long, and once it is silent has all of the time again. A silent one beside
// it does not profit.
func TestTCPServerTimeoutActivity(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second // a busy machine may take two of them for a byte
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-addr", "127.0.0.1:0", "-timeout", timeout.String())
	addr := server.Ready()
	client, silent := dialTCP(t, h, addr), dialTCP(t, h, addr)
	var last time.Time
	for begin := time.Now(); time.Since(begin) < timeout*3/2; {
		stay(t, client, timeout/6)
		last = time.Now()
		tell(t, client, "!") // a byte is enough
		_, err := io.ReadFull(client, make([]byte, 1))
		assert.NilError(t, err)
	}
	server.Line(of(silent) + `timed out after 3s`)
	server.Line(of(client) + `timed out after 3s`)
	assert.Assert(t, time.Since(last) >= timeout)
	_, err := client.Read(make([]byte, 1))
	assert.Equal(t, err, io.EOF)
	server.Stop()
}

// Echoing to a client that does not read is no activity once nothing moves.
func TestTCPServerTimeoutStuckWrite(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-addr", "127.0.0.1:0", "-timeout", "300ms")
	client := dialTCP(t, h, server.Ready())
	go func() {
		for err := error(nil); err == nil; {
			_, err = client.Write(make([]byte, 1<<20))
		}
	}()
	server.Line(of(client) + `timed out after 300ms`)
	server.Stop()
}

// No timeout is no timeout, and no client's leaving is one.
func TestTCPServerTimeoutNever(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/timeout", "-addr", "127.0.0.1:0", "-timeout", "0")
	addr := server.Ready()
	client := dialTCP(t, h, addr)
	stay(t, client, 500*time.Millisecond)
	timeoutServer.serves(t, server, client)
	reset(t, dialTCP(t, h, addr))
	timeoutServer.serves(t, server, dialTCP(t, h, addr))
	const want = "timeout: .*connection reset by peer\n"
	server.Complaint(want)
	server.Signal(syscall.SIGTERM)
	server.Line("closed")
	server.ExitSaying(0, want)
}
