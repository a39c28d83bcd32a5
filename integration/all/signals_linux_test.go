package all

import (
	"os"
	"slices"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// silent is an address that accepts nothing and says nothing.
const silent = "127.0.0.1:9"

// waiting has the sections that wait for a signal, with arguments so that they do,
// and how many lines they print unasked.
var waiting = []struct {
	section string
	lines   int
	args    []string
}{
	{"tcp_server/server", 1, nil},
	{"tcp_server/listen", 1, nil},
	{"tcp_server/address", 4, nil},
	{"tcp_server/connections", 1, nil},
	{"tcp_server/close", 1, nil},
	{"tcp_server/half_open", 1, nil},
	{"tcp_server/socket_address", 1, nil},
	{"tcp_server/read", 1, nil},
	{"tcp_server/messages", 1, nil},
	{"tcp_server/close_event", 1, nil},
	{"tcp_server/pipe", 1, []string{"-to", os.DevNull}},
	{"tcp_server/unpipe", 1, []string{"-to", os.DevNull}},
	{"tcp_server/pause_resume", 1, nil},
	{"tcp_server/timeout", 1, nil},
	{"tcp_server/relay", 1, nil},
	{"tcp_client/client", 2, []string{"-addr", silent}},
	{"tcp_client/write", 1, []string{"-addr", silent}},
	{"tcp_client/close", 2, []string{"-addr", silent}},
	{"tcp_client/unref", 2, []string{"-addr", silent}},
	{"tcp_client/buffer_size", 1, []string{"-addr", silent}},
	{"tcp_client/keepalive", 2, []string{"-addr", silent}},
	{"tcp_client/connecting", 1, []string{"-addr", silent}},
	{"tcp_client/happy_eyeballs", 2, []string{"-addr", silent}},
	{"tcp_client/no_delay", 3, []string{"-addr", silent}},
	{"udp_server/server", 1, nil},
	{"udp_server/bind", 1, nil},
	{"udp_server/address", 4, nil},
	{"udp_server/buffer_sizes", 2, nil},
	{"udp_server/packet_info", 1, nil},
	{"udp_server/truncated", 1, nil},
	{"udp_client/client", 2, []string{"-addr", silent, "-timeout", "1h"}},
	{"udp_client/send", 1, []string{"-addr", silent}},
	{"udp_client/connect", 1, nil},
	{"broadcast/server", 2, []string{"-interval", "1h"}},
	{"broadcast/client", 1, nil},
	{"multicast/server", 2, []string{"-interval", "1h"}},
	{"multicast/client", 2, nil},
	{"multicast/membership", 2, []string{"-leave-after", "1h"}},
	{"multicast/source", 2, nil},
	{"multicast/ipv6", 2, nil},
}

// testWaiting runs a test of each of them, on a host where the silent address is.
func testWaiting(t *testing.T, test func(t *testing.T, h *lab.Host, section string, lines int, args []string)) {
	t.Parallel()
	var sections []string
	for _, c := range waiting {
		sections = append(sections, c.section)
	}
	complete(t, "", sections, "multicast/loopback", "multicast/scopes", "multicast/ttl") // which end by themselves
	for _, c := range waiting {
		if !built(c.section) {
			continue
		}
		t.Run(c.section, func(t *testing.T) {
			t.Parallel()
			lab.Require(t, "namespaces", lab.Isolated())
			h := lab.NewHost(t, "h")
			peer.ListenTCP(t, h, silent)
			peer.ListenUDP(t, h, "udp", silent)
			test(t, h, c.section, c.lines, c.args)
		})
	}
}

// testDeaf is testWaiting for sections that are deaf from the start, when they still
// have all their work before them, or after the last line that they print unasked.
func testDeaf(t *testing.T, fromStart bool, test func(t *testing.T, p peer.Deaf)) {
	testWaiting(t, func(t *testing.T, h *lab.Host, section string, lines int, args []string) {
		if fromStart {
			lines = 0
		}
		test(t, peer.StartDeaf(t, h, section, lines, args...))
	})
}

// The first signal asks a program to end, the second kills it, whatever it is at.
func TestSecondSignalKills(t *testing.T) {
	testDeaf(t, true, func(t *testing.T, p peer.Deaf) {
		p.AwaitLine()
		p.Signal(syscall.SIGTERM)
		p.Kill()
	})
}

// Who says that it is closed has closed its sockets.
func TestSignalClosesSockets(t *testing.T) {
	testDeaf(t, false, func(t *testing.T, p peer.Deaf) {
		assert.Equal(t, p.Sockets(), 1)
		p.Signal(syscall.SIGTERM)
		peer.Until(t, "its socket is closed", func() bool { return p.Sockets() == 0 })
		p.HearClosed()
	})
}

// A program that a signal meets between two steps goes on to the next, with its
// socket closed under it: no failure of that is its own, and none is told.
func TestSignalIsNoFailure(t *testing.T) {
	// These close when they get to it: once all is said they wait for the signal.
	later := []string{"tcp_server/listen", "tcp_server/address", "udp_server/bind", "udp_server/address", "udp_server/buffer_sizes", "broadcast/server", "multicast/server"}
	testDeaf(t, true, func(t *testing.T, p peer.Deaf) {
		p.AwaitLine()
		p.Signal(syscall.SIGTERM)
		if !slices.Contains(later, p.Section) {
			peer.Until(t, "its socket is closed", func() bool { return p.Sockets() == 0 })
		}
		p.HearClosed()
	})
}
