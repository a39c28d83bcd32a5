package integration

import (
	"net"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// The tests' own plain sockets. Each is made on a host, is closed when the test
// ends, and gives up 30 seconds after it was made.

// dialTCP connects from a host.
func dialTCP(t *testing.T, on *lab.Host, addr string) *net.TCPConn {
	t.Helper()
	var conn net.Conn
	var err error
	on.Do(func() { conn, err = net.Dial("tcp", addr) })
	assert.NilError(t, err)
	return ours(t, conn.(*net.TCPConn))
}

// listenTCP listens on a host.
func listenTCP(t *testing.T, on *lab.Host, addr string) *net.TCPListener {
	t.Helper()
	var ln net.Listener
	var err error
	on.Do(func() { ln, err = net.Listen("tcp", addr) })
	assert.NilError(t, err)
	t.Cleanup(func() { ln.Close() })
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(harness.Patience()))
	return ln.(*net.TCPListener)
}

// acceptTCP accepts the next connection.
func acceptTCP(t *testing.T, ln *net.TCPListener) *net.TCPConn {
	t.Helper()
	conn, err := ln.AcceptTCP()
	assert.NilError(t, err)
	return ours(t, conn)
}

// listenUDP binds a socket on a host; network is udp4, udp6 or udp.
func listenUDP(t *testing.T, on *lab.Host, network, addr string) *net.UDPConn {
	t.Helper()
	var conn net.PacketConn
	var err error
	on.Do(func() { conn, err = net.ListenPacket(network, addr) })
	assert.NilError(t, err)
	return ours(t, conn.(*net.UDPConn))
}

// keepPort takes the UDP port of an address on a host until the test ends. The system
// may give a port that a program has just closed to the next, or on another host to
// another, and in a transcript two sockets would look like one.
func keepPort(t *testing.T, on *lab.Host, addr string) {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	assert.NilError(t, err)
	listenUDP(t, on, "udp4", ":"+port)
}

func ours[C interface {
	Close() error
	SetDeadline(time.Time) error
}](t *testing.T, conn C) C {
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(harness.Patience()))
	return conn
}
