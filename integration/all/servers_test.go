package all

import (
	"slices"
	"testing"

	"example.com/sockets/integration/peer"
)

// everyServer returns the servers that serve their clients and are built; listen
// and address accept nobody.
func everyServer(t *testing.T) (servers []peer.Server) {
	t.Helper()
	table := []peer.Server{
		{Section: "server", Served: "closed after 5 bytes", Echoes: true},
		{Section: "connections", Served: `closed, \d+ open`},
		{Section: "close", Echoes: true, Waits: true},
		{Section: "half_open", Served: "closed", Echoes: true},
		{Section: "socket_address"},
		{Section: "messages", Says: "hello\n", Served: "closed after 1 messages", Complains: `unexpected EOF|bufio\.Scanner: token too long`},
		peer.ReadServer, peer.CloseEventServer, peer.PipeServer, peer.UnpipeServer, peer.PauseResumeServer, peer.TimeoutServer,
		{Section: "relay", Served: "closed after 5 bytes there and 5 back", Complains: "transport endpoint is not connected", Echoes: true, Relays: true},
	}
	var sections []string
	for _, s := range table {
		sections = append(sections, "tcp_server/"+s.Section)
	}
	complete(t, "tcp_server/", sections, "tcp_server/address", "tcp_server/listen")
	return slices.DeleteFunc(table, func(s peer.Server) bool { return !built("tcp_server/" + s.Section) })
}

// A server listens on 127.0.0.1:8080 unless told otherwise, serves any number of
// clients side by side, over IPv4 and IPv6, and ends at once on a signal.
func TestServers(t *testing.T) {
	t.Parallel()
	for _, s := range everyServer(t) {
		t.Run(s.Section, func(t *testing.T) {
			t.Parallel()
			s.Test(t)
		})
	}
}
