package integration

import (
	"regexp"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// Sections as each other's peers, on their default address, as the pages'
// commands have them.

// pair starts a server and a client, and returns the client's address as the
// server's lines begin with it.
func pair(t *testing.T, server, client string, args ...string) (s, c *harness.Program, from string) {
	t.Helper()
	t.Parallel()
	h := lab.NewHost(t, "h")
	s = harness.Start(t, h, server)
	s.Line(`listening on 127\.0\.0\.1:8080.*`)
	c = harness.Start(t, h, client, args...)
	from = c.Line(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
	return s, c, regexp.QuoteMeta(from)
}

// What each way of closing is to a server that replies at the client's end.
func TestTCPClientCloseWithHalfOpen(t *testing.T) {
	for how, said := range map[string]string{"end": `ended: sent FIN, still reading`, "destroy": "destroyed"} {
		t.Run(how, func(t *testing.T) {
			s, c, from := pair(t, "tcp_server/half_open", "tcp_client/close", "-how", how)
			c.Line(said)
			if how == "end" {
				c.Line("closed")
			}
			c.Exit(0)
			s.Line(from + ` ended after 0 bytes`)
			s.Line(from + ` replied 0 bytes`)
			s.Line(from + ` closed`)
			s.Stop()
		})
	}
}

// To close_event end and destroy are the same, and reset is an error.
func TestTCPClientCloseWithCloseEvent(t *testing.T) {
	for how, said := range map[string]string{
		"end": `closed`, "destroy": `closed`, "reset": `closed with error: .*connection reset by peer`,
	} {
		t.Run(how, func(t *testing.T) {
			s, c, from := pair(t, "tcp_server/close_event", "tcp_client/close", "-how", how)
			c.Await(`ended: .*|destroyed|reset: .*`)
			s.Line(from + " " + said)
			if how == "end" {
				c.Line("closed")
			}
			c.Exit(0)
			s.Stop()
		})
	}
}

// listen never accepts, so nobody reads: the writer is stopped by the kernel alone.
func TestTCPClientBufferSizeWithListen(t *testing.T) {
	s, c, _ := pair(t, "tcp_server/listen", "tcp_client/buffer_size")
	c.Line(`send buffer \d+ bytes`)
	c.Line(`queued \d+ bytes, the peer has not acknowledged them`)
	c.Line(`wrote \d+ bytes before blocking`)
	c.Exit(0)
	s.Stop()
}

// A server that only reads: what the client sent is what the server counts.
func TestTCPClientWriteWithRead(t *testing.T) {
	s, c, from := pair(t, "tcp_server/read", "tcp_client/write", "-bytes", "100000", "-chunk", "30000")
	c.Line(`wrote 100000 bytes in 4 writes`)
	c.Line(`received 0 bytes`)
	c.Line(`closed`)
	c.Exit(0)
	s.Await(from + ` ended after 100000 bytes`)
	s.Stop()
}
