package multicast

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

func TestTTLTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	client := joined(t, h)
	ttl := harness.Start(t, h, "multicast/ttl")
	from := ttl.Line(`sending to 230\.185\.192\.108:8080 from (127\.0\.0\.1:\d+) on lo`)[0]
	for _, n := range []int{0, 1, 2, 128} {
		ttl.Line(fmt.Sprintf("sent TTL %d", n))
		client.Line(fmt.Sprintf(`%s TTL %d: "TTL %[2]d"`, from, n))
	}
	ttl.Exit(0)
	client.Stop()
	harness.Transcript(t, "ttl.txt", client, ttl)
}

// One datagram for each value, in the order of the list; any TTL is heard on
// the machine itself.
func TestTTLAsReceived(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	plain := peer.Member(t, h, peer.NotesGroup, "lo")
	for _, list := range [][]int{{7}, {255, 0, 1, 2, 2, 64, 128, 254}} {
		text := strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
		from := sendTTLs(t, h, text)
		for _, ttl := range list {
			data, cm, src := peer.Hear(t, plain)
			assert.Equal(t, src, from)
			assert.Equal(t, cm.TTL, ttl)
			assert.Equal(t, cm.Dst.String(), "230.185.192.108")
			assert.Equal(t, data, fmt.Sprintf("TTL %d", ttl))
		}
	}
	// No more than that were sent.
	from := marker(t, h)
	_, _, src := peer.Hear(t, plain)
	assert.Equal(t, src, from)
}

// By default nothing leaves the machine, whatever the TTL.
func TestTTLStaysHome(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	far := joined(t, b, "-interface", "eth0")
	sendTTLs(t, a, "0,1,2,128,255")
	far.Line(sendTTLs(t, a, "9", "-interface", "eth0") + ` TTL 9: "TTL 9"`)
	far.Stop()
}

// -interface decides, not the source address: here two interfaces have the same.
func TestTTLInterface(t *testing.T) {
	t.Parallel()
	a := lab.NewHost(t, "a")
	var far []*harness.Program
	for _, name := range []string{"b", "c"} {
		h := lab.NewHost(t, name)
		lab.Link(t, a, "10.0.0.1/24", h, "10.0.0.2/24")
		far = append(far, joined(t, h, "-interface", "eth0"))
	}
	for i, client := range far {
		ifname := fmt.Sprintf("eth%d", i)
		client.Line(sendTTLs(t, a, "5", "-interface", ifname) + ` TTL 5: "TTL 5"`)
		client.Line(marker(t, a, "-interface", ifname) + ` TTL 128: ".*"`)
	}
	for _, client := range far {
		client.Stop()
	}
}

func TestTTLFailures(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Fails(t, h, `ttl: interface "nope0": no such network interface`, "multicast/ttl", "-interface", "nope0")
}

func TestTTLNode(t *testing.T) {
	harness.Pair(t, func(t *testing.T, h *lab.Host, server, client harness.Starter) {
		c := client("multicast/client")
		groupOf(c)
		plain := peer.Member(t, h, peer.NotesGroup, "lo")
		s := server("multicast/ttl", "--ttl", "0,1,2,128,255")
		from := s.Line(`sending to 230\.185\.192\.108:8080 from (\S+) on lo`)[0]
		for _, ttl := range []int{0, 1, 2, 128, 255} {
			s.Line(fmt.Sprintf("sent TTL %d", ttl))
			c.Line(fmt.Sprintf(`%s(?: TTL %d)?: "TTL %[2]d"`, from, ttl))
			_, cm, _ := peer.Hear(t, plain)
			assert.Equal(t, cm.TTL, ttl)
		}
		s.Exit(0)
		c.Stop()
	})
}
