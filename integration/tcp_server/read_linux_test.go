package tcp_server

import (
	"fmt"
	"io"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

func TestReadDescriptors(t *testing.T) {
	t.Parallel()
	peer.ReadServer.Exhausted(t)
}

// stopped starts a section of the chapter that has been stopped, as by Ctrl+Z,
// and resumes later: until then, all that arrives is the kernel's to keep.
func stopped(t *testing.T, on *lab.Host, section string, args ...string) (p *harness.Program, addr string) {
	t.Helper()
	p = harness.Start(t, on, "tcp_server/"+section, args...)
	addr = p.Ready()
	peer.Freeze(t, p)
	return p, addr
}

// Two writes, one read: both were there by the time the program read. One write,
// two reads: it is longer than the buffer.
func TestReadTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := stopped(t, h, "read", "-buffer", "8")
	two := peer.DialTCP(t, h, addr)
	arrive(t, h, two, "one", "two")
	server.Signal(syscall.SIGCONT)
	server.Line(peer.Of(two) + `read 6 bytes: "onetwo"`)
	assert.NilError(t, two.CloseWrite())
	server.Line(peer.Of(two) + `ended after 6 bytes`)

	one := harness.Start(t, h, "tcp_client/client", "-message", "read-me-twice")
	from := one.Line(`connected to \S+ from (\S+)`)[0]
	one.Line(`sent 13 bytes: "read-me-twice"`)
	one.Line(`closed`)
	one.Exit(0)
	server.Line(from + ` read 8 bytes: "read-me-"`)
	server.Line(from + ` read 5 bytes: "twice"`)
	server.Line(from + ` ended after 13 bytes`)
	server.Stop()
	harness.Transcript(t, "read.txt", server, one)
}

// Two writes are two segments, whatever the reader makes of them.
func TestReadWire(t *testing.T) {
	t.Parallel()
	client, server, c := peer.Cabled(t)
	p := peer.Serving(t, server, "tcp_server/read")
	conn := peer.DialTCP(t, client, peer.Here)
	fmt.Fprint(conn, "hello, ")
	fmt.Fprint(conn, "world")
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	peer.Drawn(t, "read", c.Await("both FINs", peer.Seen(wire.FIN, 2)))
	p.Stop()
}
