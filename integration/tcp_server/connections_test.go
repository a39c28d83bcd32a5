package tcp_server

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// The server takes one client: the second is dropped, and ends by itself.
func TestConnectionsTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/connections", "-max", "1")
	server.Ready()
	first, addr := peer.Waiting(harness.Go(t, h))
	server.Line(addr + " connected, 1 open")
	second, dropped := peer.Waiting(harness.Go(t, h))
	second.Exit(0)
	server.Line(dropped + " dropped, 1 open")
	first.Signal(os.Interrupt)
	first.Line("closed")
	first.Exit(0)
	server.Line(addr + " closed, 0 open")
	server.Stop()
	harness.Transcript(t, "connections.txt", server, first, second)
}

// A hundred clients come and go, by FIN or by RST, and the count is right after
// each of them.
func TestConnectionsCounts(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/connections", "--addr", "127.0.0.1:0")
		addr := server.Ready()
		var open []*net.TCPConn
		resets := 0
		leave := func() {
			t.Helper()
			conn := open[len(open)/2]
			open = slices.Delete(open, len(open)/2, len(open)/2+1)
			if len(open)%3 == 0 {
				peer.Reset(t, conn)
				resets++
			} else {
				peer.Write(t, conn, "hello") // what comes is read, or FIN would not be seen
				peer.Silent(t, conn)
			}
			server.Line(peer.Of(conn) + fmt.Sprintf("closed, %d open", len(open)))
		}
		for i := range 100 {
			conn := peer.DialTCP(t, h, addr)
			open = append(open, conn)
			server.Line(peer.Of(conn) + fmt.Sprintf("connected, %d open", len(open)))
			if i%3 == 2 {
				leave()
			}
		}
		for len(open) > 0 {
			leave()
		}
		server.Signal(syscall.SIGTERM)
		server.Line("closed")
		server.ExitSaying(0, fmt.Sprintf(`(connections: .*(connection reset by peer|ECONNRESET)\n){%d}`, resets))
	})
}

// A thousand clients come and go without waiting for each other: each line's
// count is one more, or one less, than that of the line before.
func TestConnectionsCountsAtOnce(t *testing.T) {
	harness.NotNode(t, "Node counts who is connected when the line is printed")
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "connections")
	var clients sync.WaitGroup
	const n = 1000
	for range n {
		conn := peer.DialTCP(t, h, addr)
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

// Who sees that a client has gone finds its place free, at once.
func TestConnectionsFreedPlace(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "connections", "-max", "1")
	conns := make([]*net.TCPConn, 300)
	for i := range conns {
		conns[i] = peer.DialTCP(t, h, addr)
		peer.Silent(t, conns[i])
	}
	for _, conn := range conns {
		server.Line(peer.Of(conn) + "connected, 1 open")
		server.Line(peer.Of(conn) + "closed, 0 open")
	}
	server.Stop()
}

// Over the limit, of which one is the least, a client is connected and reads EOF,
// without a FIN of its own. Those who are there stay, and a freed place is taken
// by the next.
func TestConnectionsMax(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		limits := []int{3, 1}
		if peer.InOurNode(t) {
			limits = limits[:1] // with TestConnectionsDropUnread, where it is 1
		}
		for _, most := range limits {
			server := start("tcp_server/connections", "--addr", "127.0.0.1:0", "--max", fmt.Sprint(most))
			addr := server.Ready()
			var open []*net.TCPConn
			enter := func() {
				t.Helper()
				open = append(open, peer.DialTCP(t, h, addr))
				server.Line(peer.Of(open[len(open)-1]) + fmt.Sprintf("connected, %d open", len(open)))
			}
			leave := func() {
				t.Helper()
				peer.Silent(t, open[0])
				server.Line(peer.Of(open[0]) + fmt.Sprintf("closed, %d open", len(open)-1))
				open = open[1:]
			}
			for range most {
				enter()
			}
			harness.Hint(t, "a reset instead of FIN: SO_LINGER with 0, or data that nobody has read when the socket is closed")
			for range 4 {
				conn := peer.DialTCP(t, h, addr)
				_, err := conn.Read(make([]byte, 1))
				assert.ErrorIs(t, err, io.EOF)
				server.Line(peer.Of(conn) + fmt.Sprintf("dropped, %d open", most))
				leave()
				enter()
			}
			for range most {
				leave()
			}
			server.Stop()
		}
	})
}
