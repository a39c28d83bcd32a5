package lab

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// inside is set in the environment of the suite's second self, to the names of
// the interfaces that its first self could see.
const inside = "SOCKETS_LAB"

// Enter runs this test binary again, as root of its own user and network
// namespaces (user_namespaces(7), network_namespaces(7)), and returns its exit
// code and true. Called there, or where the system allows no such namespaces,
// it returns false: the caller is to run the tests itself.
func Enter() (code int, done bool) {
	if _, ok := os.LookupEnv(inside); ok {
		return 0, false
	}
	// Pdeathsig is sent when the thread that started the child ends.
	runtime.LockOSThread()
	var seen []string
	all, _ := net.Interfaces()
	for _, i := range all {
		seen = append(seen, i.Name)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"="+strings.Join(seen, ","))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "lab: no namespaces here (%v): using this machine's loopback interface\n", err)
		flag.Set("test.parallel", "1") // its ports are shared
		return 0, false
	}
	// Whom a signal reaches ends last, so that it can clean up.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), true // -1 if a signal killed it
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1, true
	}
	return 0, true
}

// Isolated tells whether hosts are namespaces.
func Isolated() bool {
	_, ok := os.LookupEnv(inside)
	return ok
}

// Outside returns the names of the interfaces that the suite could see before
// it entered its own namespaces.
func Outside() []string { return strings.Split(os.Getenv(inside), ",") }

// Host is a machine of its own: a network namespace with lo up, and a thread
// that lives in it for as long as the test does.
type Host struct {
	Name  string
	jobs  chan func()
	gone  chan struct{} // closed when the test has ended
	net   *netlink.Handle
	ns    netns.NsHandle
	cards int
}

// NewHost makes a host that ends with the test, and everything on it.
func NewHost(t testing.TB, name string) *Host {
	t.Helper()
	h := &Host{Name: name, jobs: make(chan func()), gone: make(chan struct{})}
	if !Isolated() {
		Require(t, "namespaces", !demanded("namespaces"))
		return h // the machine itself
	}
	made := make(chan error)
	go func() {
		// Never unlocked: the thread ends with this goroutine.
		runtime.LockOSThread()
		made <- h.make()
		for {
			select {
			case f := <-h.jobs:
				f()
			case <-h.gone:
				return
			}
		}
	}()
	if err := <-made; err != nil {
		t.Fatalf("make host %s: %v", name, err)
	}
	t.Cleanup(func() {
		close(h.gone)
		h.net.Close()
		h.ns.Close()
	})
	return h
}

func (h *Host) make() (err error) {
	// A table of connections of its own (the kernel's ip-sysctl.rst, since Linux 6.1). In
	// the machine's, of every connection there is, to list a host's takes milliseconds.
	sysctl("ipv4/tcp_child_ehash_entries", "16384")
	if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if h.ns, err = netns.Get(); err != nil {
		return err
	}
	if h.net, err = netlink.NewHandleAt(h.ns); err != nil {
		return err
	}
	// An IPv6 address is usable at once, and nobody asks for a router.
	for _, name := range []string{"accept_dad", "router_solicitations"} {
		if err := sysctl("ipv6/conf/default/"+name, "0"); err != nil {
			return err
		}
	}
	lo, err := h.net.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.net.LinkSetUp(lo)
}

// Do calls f on the host: sockets that f makes, and what it reads under
// /proc/thread-self/net, are the host's. They stay so after f has returned. f
// must not call t.Fatal, which ends the goroutine that it is called on. Once the
// test has ended, Do does nothing: a poll that was given up may still be at it.
func (h *Host) Do(f func()) {
	if !Isolated() {
		f()
		return
	}
	done := make(chan struct{})
	job := func() {
		f()
		close(done)
	}
	select {
	case h.jobs <- job:
		<-done
	case <-h.gone:
	}
}

// Start starts cmd on the host. Whatever becomes of the test, cmd ends with it.
func (h *Host) Start(cmd *exec.Cmd) (err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	h.Do(func() { err = cmd.Start() })
	return err
}

// Link joins two hosts by a cable: each gets its next interface, eth0, eth1 and
// so on, with the given addresses, as in "10.0.0.1/24 fd00::1/64", or none.
func Link(t testing.TB, a *Host, aAddrs string, b *Host, bAddrs string) {
	t.Helper()
	Require(t, "namespaces", Isolated())
	if err := link(a, aAddrs, b, bAddrs); err != nil {
		t.Fatalf("link %s and %s: %v", a.Name, b.Name, err)
	}
}

func link(a *Host, aAddrs string, b *Host, bAddrs string) error {
	aName, bName := a.card(), b.card()
	if err := a.net.LinkAdd(&netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: aName},
		PeerName:      bName,
		PeerNamespace: netlink.NsFd(int(b.ns)),
	}); err != nil {
		return err
	}
	return errors.Join(a.configure(aName, aAddrs), b.configure(bName, bAddrs), a.await(aName), b.await(bName))
}

// Unlink takes away what the last Link of both hosts made, the interfaces at either
// end with all that is set on them. The next Link makes them anew, under the same
// names.
func Unlink(t testing.TB, a, b *Host) {
	t.Helper()
	card, err := a.net.LinkByName(fmt.Sprintf("eth%d", a.cards-1))
	if err == nil {
		err = a.net.LinkDel(card)
	}
	if err != nil {
		t.Fatalf("unlink %s and %s: %v", a.Name, b.Name, err)
	}
	a.cards--
	b.cards--
}

// await waits until an interface sends, and its addresses are the host's own. The
// kernel brings it up in its own time once both ends are; until then it drops what it
// is given, without a word.
func (h *Host) await(ifname string) error {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		card, err := h.net.LinkByName(ifname)
		if err != nil {
			return err
		}
		addrs, err := h.net.AddrList(card, netlink.FAMILY_ALL)
		own := func(addr netlink.Addr) bool {
			routes, err := h.net.RouteGetWithOptions(addr.IP, &netlink.RouteGetOptions{Oif: ifname})
			return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
		}
		switch up := card.Attrs().OperState; {
		case err != nil:
			return err
		case up == netlink.OperUp && !slices.ContainsFunc(addrs, func(addr netlink.Addr) bool { return !own(addr) }):
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%s is %v, with %v", ifname, up, addrs)
		}
	}
}

// card names the host's next interface.
func (h *Host) card() string {
	h.cards++
	return fmt.Sprintf("eth%d", h.cards-1)
}

func (h *Host) configure(ifname, addrs string) error {
	card, err := h.net.LinkByName(ifname)
	if err != nil {
		return err
	}
	// One packet on the wire is one segment, not a bundle for a card to cut.
	if err := h.net.LinkSetGSOMaxSegs(card, 1); err != nil {
		return err
	}
	for _, text := range strings.Fields(addrs) {
		addr, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD // usable at once
		}
		if err := h.net.AddrAdd(card, addr); err != nil {
			return err
		}
	}
	return h.net.LinkSetUp(card)
}

// Segment is a link that any number of hosts share, as on a switch.
type Segment struct{ bridge *Host }

// NewSegment makes a segment with nobody on it.
func NewSegment(t testing.TB, name string) *Segment {
	t.Helper()
	Require(t, "namespaces", Isolated())
	s := &Segment{NewHost(t, name)}
	floods := false // no guessing who wants which group
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, MulticastSnooping: &floods}
	if err := errors.Join(s.bridge.net.LinkAdd(bridge), s.bridge.net.LinkSetUp(bridge)); err != nil {
		t.Fatalf("make segment %s: %v", name, err)
	}
	return s
}

// Join gives the host its next interface, on the segment, with the addresses.
func (s *Segment) Join(t testing.TB, h *Host, addrs string) {
	t.Helper()
	err := link(h, addrs, s.bridge, "")
	if err == nil {
		var port, bridge netlink.Link
		port, err = s.bridge.net.LinkByName(fmt.Sprintf("eth%d", s.bridge.cards-1))
		if err == nil {
			bridge, err = s.bridge.net.LinkByName("br0")
		}
		if err == nil {
			err = s.bridge.net.LinkSetMaster(port, bridge)
		}
	}
	if err != nil {
		t.Fatalf("join %s to %s: %v", h.Name, s.bridge.Name, err)
	}
}

// Route sends what is for a network, as in "10.0.2.0/24", by way of a router.
func (h *Host) Route(t testing.TB, network, via string) {
	t.Helper()
	_, dst, err := net.ParseCIDR(network)
	if err == nil {
		err = h.net.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(via)})
	}
	if err != nil {
		t.Fatalf("route %s on %s: %v", network, h.Name, err)
	}
}

// Forward makes the host a router of unicast, IPv4 and IPv6, that sends as many ICMP
// errors as there is reason for (ip_forward, forwarding and the rate limits in the
// kernel's ip-sysctl.rst).
func (h *Host) Forward(t testing.TB) {
	t.Helper()
	var err error
	h.Do(func() {
		err = errors.Join(sysctl("ipv4/ip_forward", "1"), sysctl("ipv6/conf/all/forwarding", "1"),
			sysctl("ipv4/icmp_ratelimit", "0"), sysctl("ipv6/icmp/ratelimit", "0"))
	})
	if err != nil {
		t.Fatalf("make %s a router: %v", h.Name, err)
	}
}

// What a router may do with packets for a network instead of forwarding them
// (ip-route(8)): tell the sender that the host is unreachable, or nothing.
const (
	Unreachable = unix.RTN_UNREACHABLE
	Blackhole   = unix.RTN_BLACKHOLE
)

// Reject has a router reject what is for a network, as in "10.0.9.0/24".
func (h *Host) Reject(t testing.TB, network string, how int) {
	t.Helper()
	_, dst, err := net.ParseCIDR(network)
	if err == nil {
		err = h.net.RouteAdd(&netlink.Route{Dst: dst, Type: how})
	}
	if err != nil {
		t.Fatalf("reject %s on %s: %v", network, h.Name, err)
	}
}

// sysctl sets a value of the namespace that the calling thread is in.
func sysctl(name, value string) error {
	return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
}

// Unplug takes an interface down, as if the cable were pulled: nobody at the
// other end is told, and what is sent either way is lost. Plug undoes it.
func (h *Host) Unplug(t testing.TB, ifname string) {
	t.Helper()
	h.change(t, ifname, h.net.LinkSetDown)
}

// Plug puts an interface up again. The routes over it have to be made anew.
func (h *Host) Plug(t testing.TB, ifname string) {
	t.Helper()
	h.change(t, ifname, h.net.LinkSetUp)
}

// SetMTU sets the largest packet that the interface sends, in bytes.
func (h *Host) SetMTU(t testing.TB, ifname string, mtu int) {
	t.Helper()
	h.change(t, ifname, func(card netlink.Link) error { return h.net.LinkSetMTU(card, mtu) })
}

// SetRate makes an interface slow: it sends so many bytes a second, after a first 2000 at
// once, and keeps so many in its queue (tc-tbf(8)). What finds no room there is lost.
func (h *Host) SetRate(t testing.TB, ifname string, rate, queue int) {
	t.Helper()
	h.change(t, ifname, func(card netlink.Link) error {
		return h.net.QdiscReplace(&netlink.Tbf{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: card.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
			Rate:       uint64(rate),
			Limit:      uint32(queue),
			Buffer:     netlink.Xmittime(uint64(rate), 2000),
		})
	})
}

func (h *Host) change(t testing.TB, ifname string, how func(netlink.Link) error) {
	t.Helper()
	card, err := h.net.LinkByName(ifname)
	if err == nil {
		err = how(card)
	}
	if err != nil {
		t.Fatalf("change %s of %s: %v", ifname, h.Name, err)
	}
}
