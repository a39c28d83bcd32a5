package tcp_server

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

func TestConnectionsTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server := harness.Start(t, h, "tcp_server/connections", "-max", "2")
	addr := server.Ready()
	a, b := peer.DialTCP(t, h, addr), peer.DialTCP(t, h, addr)
	server.Line(clientAddr(a) + " connected, 1 open")
	server.Line(clientAddr(b) + " connected, 2 open")
	server.Line(clientAddr(peer.DialTCP(t, h, addr)) + " dropped, 2 open")
	peer.Finish(t, a)
	server.Line(clientAddr(a) + " closed, 1 open")
	client := harness.Start(t, h, "tcp_client/client")
	from := client.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
	client.Line(`sent 5 bytes: "hello"`)
	client.Line("closed")
	client.Exit(0)
	server.Line(from + " connected, 2 open")
	server.Line(from + " closed, 1 open")
	server.Stop()
	harness.Transcript(t, "connections.txt", server, client)
}

// A hundred clients come and go, by FIN or by RST, and the count is right after
// each of them.
func TestConnectionsCounts(t *testing.T) {
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
			peer.Reset(t, conn)
			resets++
		} else {
			assert.Equal(t, len(peer.Finish(t, conn)), 0)
		}
		server.Line(fmt.Sprintf("%s closed, %d open", clientAddr(conn), len(open)))
	}
	for i := range 100 {
		conn := peer.DialTCP(t, h, addr)
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
func TestConnectionsCountsAtOnce(t *testing.T) {
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

// One at a time: the least that a limit can be.
func TestConnectionsMaxOne(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "connections", "-max", "1")
	for range 2 {
		one := peer.DialTCP(t, h, addr)
		server.Line(clientAddr(one) + " connected, 1 open")
		server.Line(clientAddr(peer.DialTCP(t, h, addr)) + " dropped, 1 open")
		peer.Finish(t, one)
		server.Line(clientAddr(one) + " closed, 0 open")
	}
	server.Stop()
}

// Over the limit a newcomer is closed at once, and those who are there are left
// alone. A freed place is a place for the next.
func TestConnectionsMax(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, addr := tcpServer(t, h, "connections", "-max", "3")
	var open []*net.TCPConn
	for i := range 3 {
		open = append(open, peer.DialTCP(t, h, addr))
		server.Line(fmt.Sprintf("%s connected, %d open", clientAddr(open[i]), i+1))
	}
	for range 5 {
		conn := peer.DialTCP(t, h, addr)
		server.Line(clientAddr(conn) + " dropped, 3 open")
		_, err := conn.Read(make([]byte, 1)) // and without a FIN of the client's
		assert.ErrorIs(t, err, io.EOF)

		peer.Finish(t, open[0])
		server.Line(clientAddr(open[0]) + " closed, 2 open")
		open = append(open[1:], peer.DialTCP(t, h, addr))
		server.Line(clientAddr(open[2]) + " connected, 3 open")
	}
	for i, conn := range open {
		peer.Finish(t, conn)
		server.Line(fmt.Sprintf("%s closed, %d open", clientAddr(conn), 2-i))
	}
	server.Stop()
}

func TestConnectionsNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		s := server("tcp_server/connections", "--max", "1")
		s.Ready()
		first, addr := peer.Waiting(client)
		s.Line(addr + " connected, 1 open")

		second := client("tcp_client/unref")
		dropped := peer.Connected(second)
		s.Line(dropped + " dropped, 1 open")
		second.Line("waiting for the peer")
		second.Exit(0)

		first.Stop()
		s.Line(addr + " closed, 0 open")
		third, addr := peer.Waiting(client)
		s.Line(addr + " connected, 1 open")
		third.Stop()
		s.Line(addr + " closed, 0 open")
		s.Stop()
	})
}
