package multicast

import (
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/peer"
)

// Nobody forwards 224.0.0.0/24, whatever the TTL and whatever the router was
// told (RFC 5771, section 4): the address is the scope.
func TestScopesLinkLocalStaysOnTheLink(t *testing.T) {
	t.Parallel()
	const group = "224.0.0.200:8080"
	left, router, right := peer.Routed(t)
	smcroute := routeMulticast(t, router, "224.0.0.200")
	near, far := peer.Member(t, router, group, "eth0"), joined(t, right, "-interface", "eth0", "-group", group)
	from := sendTTLs(t, left, "128", "-interface", "eth0", "-group", group)
	_, cm, src := peer.Hear(t, near)
	assert.Equal(t, src, from)
	assert.Equal(t, cm.TTL, 128)
	from = sendTTLs(t, router, "9", "-interface", "eth1", "-group", group)
	far.Line(from + ` TTL 9: "TTL 9"`) // and not the one before
	far.Stop()
	stopRouter(smcroute)
}
