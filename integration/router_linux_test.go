package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// routed is two segments, left and right, with a host on each and a router
// between them, eth0 to the left and eth1 to the right.
func routed(t *testing.T) (left, router, right *lab.Host) {
	t.Helper()
	left, router, right = lab.NewHost(t, "left"), lab.NewHost(t, "router"), lab.NewHost(t, "right")
	lab.Link(t, router, "10.0.1.1/24", left, "10.0.1.2/24")
	lab.Link(t, router, "10.0.2.1/24", right, "10.0.2.2/24")
	left.Route(t, "10.0.2.0/24", "10.0.1.1")
	right.Route(t, "10.0.1.0/24", "10.0.2.1")
	router.Forward(t)
	return left, router, right
}

// routeMulticast starts smcroute, Debian's static multicast router, and waits
// until the kernel has its route: what comes in for the group from 10.0.1.2 on eth0
// goes out on eth1. (Without the source the kernel would ask about the first
// datagram, and one that comes while it is being told can get stuck.)
func routeMulticast(t *testing.T, router *lab.Host, group string) *harness.Program {
	t.Helper()
	path, err := exec.LookPath("smcrouted")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/smcrouted") // not on every PATH
	}
	lab.Require(t, "smcroute", err == nil)
	dir := t.TempDir()
	conf := filepath.Join(dir, "smcroute.conf")
	assert.NilError(t, os.WriteFile(conf, fmt.Appendf(nil,
		"mgroup from eth0 source 10.0.1.2 group %[1]s\nmroute from eth0 source 10.0.1.2 group %[1]s to eth1\n", group), 0o644))
	p := harness.Command(t, router, exec.Command(path, "-n", "-f", conf,
		"-P", filepath.Join(dir, "pid"), "-u", filepath.Join(dir, "sock"), "-i", "sockets"))
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		var routes []byte
		router.Do(func() { routes, err = os.ReadFile("/proc/thread-self/net/ip_mr_cache") })
		if err != nil {
			return poll.Error(err)
		} else if joined := memberships(t, router, "eth0"); !slices.Contains(joined, group) || strings.Count(string(routes), "\n") < 2 {
			return poll.Continue("smcroute has joined %v and has the routes\n%s", joined, routes)
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(5*time.Millisecond))
	return p
}

func stopRouter(p *harness.Program) {
	p.Signal(syscall.SIGTERM)
	p.ExitSaying(0, `(?s).*`)
}

// A router takes one from the TTL and forwards what is left above 0: TTL 1
// stays on its network, 2 crosses one router and arrives as 1, 128 as 127.
func TestMulticastServerTTLAcrossARouter(t *testing.T) {
	t.Parallel()
	left, router, right := routed(t)
	smcroute := routeMulticast(t, router, "230.185.192.108")
	near, far := member(t, router, notesGroup, "eth0"), joined(t, right, "-interface", "eth0")
	for _, ttl := range []int{1, 2, 128} {
		from := sendWithTTL(t, left, ttl)
		_, cm, src := hear(t, near)
		assert.Equal(t, src, from)
		assert.Equal(t, cm.TTL, ttl)
		if ttl > 1 { // had 1 come, this would not be the next line
			far.Line(fmt.Sprintf(`%s TTL %d: ".*"`, from, ttl-1))
		}
	}
	far.Stop()
	stopRouter(smcroute)
}

// The ttl program's datagrams arrive, for each router, with one less; those that
// have none left are not passed on. TTL 0 is seen on the network, where the
// sender's host has no member (see TestMulticastTTLZero), but the router drops it.
func TestMulticastTTLAcrossARouter(t *testing.T) {
	t.Parallel()
	left, router, right := routed(t)
	smcroute := routeMulticast(t, router, "230.185.192.108")
	near, far := member(t, router, notesGroup, "eth0"), joined(t, right, "-interface", "eth0")
	from := sendTTLs(t, left, "0,1,2,128", "-interface", "eth0")
	for _, ttl := range []int{0, 1, 2, 128} {
		data, cm, src := hear(t, near)
		assert.Equal(t, src, from)
		assert.Equal(t, cm.TTL, ttl)
		assert.Equal(t, data, fmt.Sprintf("TTL %d", ttl))
	}
	far.Line(from + ` TTL 1: "TTL 2"`)
	far.Line(from + ` TTL 127: "TTL 128"`)
	from = sendTTLs(t, left, "1,0,3", "-interface", "eth0")
	far.Line(from + ` TTL 2: "TTL 3"`) // and nothing that had 1 or 0
	far.Stop()
	stopRouter(smcroute)
}

// Nobody forwards 224.0.0.0/24, whatever the TTL and whatever the router was
// told (RFC 5771, section 4): the address is the scope.
func TestMulticastScopesLinkLocalStaysOnTheLink(t *testing.T) {
	t.Parallel()
	const group = "224.0.0.200:8080"
	left, router, right := routed(t)
	smcroute := routeMulticast(t, router, "224.0.0.200")
	near, far := member(t, router, group, "eth0"), joined(t, right, "-interface", "eth0", "-group", group)
	from := sendTTLs(t, left, "128", "-interface", "eth0", "-group", group)
	_, cm, src := hear(t, near)
	assert.Equal(t, src, from)
	assert.Equal(t, cm.TTL, 128)
	from = sendTTLs(t, router, "9", "-interface", "eth1", "-group", group)
	far.Line(from + ` TTL 9: "TTL 9"`) // and not the one before
	far.Stop()
	stopRouter(smcroute)
}

// RFC 1122 (3.2.1.7) has no host send a datagram of TTL 0. Linux obeys only where some
// program of that host is a member; from a host with none, it goes out.
func TestMulticastServerTTLZero(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	far := joined(t, b, "-interface", "eth0")
	far.Line(sendWithTTL(t, a, 0) + ` TTL 0: ".*"`)

	near := joined(t, a, "-interface", "eth0")
	near.Line(sendWithTTL(t, a, 0) + ` TTL 0: ".*"`)
	from := sendWithTTL(t, a, 1)
	near.Line(from + ` TTL 1: ".*"`)
	far.Line(from + ` TTL 1: ".*"`) // and not the one before
	near.Stop()
	far.Stop()
}

// sendWithTTL has the server send one datagram on eth0, and tells from where.
func sendWithTTL(t *testing.T, on *lab.Host, ttl int) (from string) {
	t.Helper()
	return marker(t, on, "-interface", "eth0", "-ttl", fmt.Sprint(ttl))
}
