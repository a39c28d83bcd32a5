package multicast

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// sending waits for a server's first line and returns its address.
func sending(p *harness.Program, group, ifname string, ttl int, loopback string) string {
	return p.Line(fmt.Sprintf(`sending to %s from (\S+:\d+) on %s, TTL %d, loopback %s`, group, ifname, ttl, loopback))[0]
}

// joined starts a client and returns it once it is a member.
func joined(t *testing.T, on *lab.Host, args ...string) *harness.Program {
	p := harness.Start(t, on, "multicast/client", args...)
	p.Ready()
	p.Line(`joined \S+ on \S+`)
	return p
}

// marker sends one datagram that every member hears, and tells from where.
// The client's next line being the marker proves that it heard nothing before.
func marker(t *testing.T, on *lab.Host, args ...string) (from string) {
	p := harness.Start(t, on, "multicast/server", append(args, "-count", "1")...)
	from = p.Line(`sending to \S+ from (\S+:\d+) on .*`)[0]
	p.Line(`sent 19 bytes: "` + peer.Clock + `"`)
	p.Exit(0)
	return from
}

// sendTTLs runs ttl with the list and tells from where it sent.
func sendTTLs(t *testing.T, on *lab.Host, list string, args ...string) (from string) {
	t.Helper()
	p := harness.Start(t, on, "multicast/ttl", append(args, "-ttl", list)...)
	from = p.Line(`sending to \S+ from (\S+:\d+) on \S+`)[0]
	for _, ttl := range strings.Split(list, ",") {
		p.Line("sent TTL " + ttl)
	}
	p.Exit(0)
	return from
}

// heard is a line of a multicast client: Node has no way to tell the TTL.
func heard(from, data string) string {
	return from + `(?: TTL \d+)?: ` + data
}

// ttl is the part of a member's line that tells the TTL as it arrived: of others' programs
// it may be missing, as not every language has a way to ask.
func ttl(n int) string {
	if harness.Judged() {
		return fmt.Sprintf("(?: TTL %d)?", n)
	}
	return fmt.Sprintf(" TTL %d", n)
}

// groupOf waits until a client has joined the notes' group.
func groupOf(c *harness.Program) {
	// Node's is bound to the group, so that the kernel filters; Go's program does.
	c.Line(`listening on (?:0\.0\.0\.0|230\.185\.192\.108):8080`)
	c.Line(`joined 230\.185\.192\.108 on \S+`)
}
