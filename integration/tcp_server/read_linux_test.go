package tcp_server

import (
	"fmt"
	"io"
	"syscall"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// Two writes, one read: both were there by the time the program read. One write,
// two reads: it is longer than the buffer.
func TestReadTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/read", "-buffer", "8")
	server.Ready()
	peer.Freeze(t, server)
	two := harness.Start(t, h, "tcp_client/write", "-bytes", "6", "-chunk", "3")
	from := peer.Connected(two)
	two.Line("wrote 6 bytes in 2 writes")
	peer.Until(t, "all has arrived", func() bool { return unreadOf(t, h, from) >= 6 }) // FIN may count as one
	server.Signal(syscall.SIGCONT)
	server.Line(from + ` read 6 bytes: ".*"`)
	server.Line(from + ` ended after 6 bytes`)
	two.Line("received 0 bytes")
	two.Line("closed")
	two.Exit(0)

	one := harness.Start(t, h, "tcp_client/client", "-message", "read-me-twice")
	from = peer.Connected(one)
	one.Line(`sent 13 bytes: "read-me-twice"`)
	one.Line(`closed`)
	one.Exit(0)
	server.Line(from + ` read 8 bytes: "read-me-"`)
	server.Line(from + ` read 5 bytes: "twice"`)
	server.Line(from + ` ended after 13 bytes`)
	server.Stop()
	harness.Transcript(t, "read.txt", server, two, one)
}

// The kernel joins what waits: two writes come as one read, in Node too.
func TestReadJoined(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/read", "--addr", "127.0.0.1:0")
		addr := server.Ready()
		peer.Freeze(t, server)
		client := peer.DialTCP(t, h, addr)
		arrive(t, h, client, "one", "two")
		server.Signal(syscall.SIGCONT)
		server.Line(peer.Of(client) + `read 6 bytes: "onetwo"`)
		peer.Silent(t, client)
		server.Line(peer.Of(client) + `ended after 6 bytes`)
		server.Stop()
	})
}

// Data and a reset that wait together: Go reads the data, then the error; Node before
// 24.16 the data, and then 'end', as if there had been a FIN; Node 24.16 does as Go.
func TestReadResetUnread(t *testing.T) {
	resets := func(t *testing.T, h *lab.Host, start harness.Starter) (*harness.Program, string) {
		server := start("tcp_server/read", "--addr", "127.0.0.1:0")
		client := peer.DialTCP(t, h, server.Ready())
		peer.Write(t, client, "a")
		server.Line(peer.Of(client) + `read 1 bytes: "a"`)
		peer.Freeze(t, server)
		arrive(t, h, client, "bc")
		peer.Reset(t, client)
		peer.Until(t, "the reset has come", func() bool { return unreadOf(t, h, client.LocalAddr().String()) == 0 })
		server.Signal(syscall.SIGCONT)
		server.Line(peer.Of(client) + `read 2 bytes: "bc"`)
		return server, peer.Of(client)
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, _ := resets(t, h, start)
		const want = `read: .*connection reset by peer\n`
		server.Complaint(want)
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, want)
	}, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, client := resets(t, h, start)
		if harness.NodeTellsResets(t) {
			server.Complaint(`read: .*ECONNRESET\n`)
			server.Signal(syscall.SIGTERM)
			server.Line("closed")
			server.ExitSaying(0, `read: .*ECONNRESET\n`)
			return
		}
		server.Line(client + "ended after 3 bytes")
		server.Stop()
	})
}

// Left alone, Node reads up to 64 KiB at a time, where Go's program reads what its
// buffer takes.
func TestReadNodeChunks(t *testing.T) {
	test := func(most int) func(*testing.T, *lab.Host, harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			lab.Require(t, "namespaces", lab.Isolated())
			peer.SetSysctl(t, h, "net/ipv4/tcp_rmem", "4096 1048576 6291456")
			server := start("tcp_server/read", "--addr", "127.0.0.1:0")
			addr := server.Ready()
			peer.Freeze(t, server)
			client := peer.DialTCP(t, h, addr)
			peer.Write(t, client, peer.Noise(100_000))
			peer.Until(t, "all has arrived", func() bool { return unreadOf(t, h, client.LocalAddr().String()) == 100_000 })
			server.Signal(syscall.SIGCONT)
			for left := 100_000; left > 0; left -= most {
				server.Line(peer.Of(client) + fmt.Sprintf(`read %d bytes: .*`, min(left, most)))
			}
			peer.Silent(t, client)
			server.Line(peer.Of(client) + `ended after 100000 bytes`)
			server.Stop()
		}
	}
	harness.Compare(t, test(1024), test(65536))
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
