package all

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// On a link-local IPv6 address a server's first line has the zone, without which
// nobody could connect to what it says.
func TestListensWithItsZone(t *testing.T) {
	t.Parallel()
	for section, line := range commandLines {
		if line.listen == "" || !built(section) || strings.HasPrefix(section, "broadcast/") { // IPv6 has no broadcast
			continue
		}
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			h, far := lab.NewHost(t, "h"), lab.NewHost(t, "far")
			lab.Link(t, h, "fe80::1/64", far, "")
			args := []string{"-addr", "[fe80::1%eth0]:8080"}
			if line.listen == "listen udp4" {
				args = append(args, "-network", "udp6")
			}
			p := harness.Start(t, h, section, args...)
			assert.Equal(t, p.Line(`listening on (\S+)(?: .*)?`)[0], "[fe80::1%eth0]:8080")
			p.Stop()
		})
	}
}
