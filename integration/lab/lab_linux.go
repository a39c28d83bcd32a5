package lab

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

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
	Name string
	jobs chan func()
	net  *netlink.Handle
	ns   netns.NsHandle
}

// NewHost makes a host that ends with the test, and everything on it.
func NewHost(t testing.TB, name string) *Host {
	t.Helper()
	h := &Host{Name: name, jobs: make(chan func())}
	if !Isolated() {
		Require(t, "namespaces", !demanded("namespaces"))
		return h // the machine itself
	}
	made := make(chan error)
	go func() {
		// Never unlocked: the thread ends with this goroutine.
		runtime.LockOSThread()
		made <- h.make()
		for f := range h.jobs {
			f()
		}
	}()
	if err := <-made; err != nil {
		t.Fatalf("make host %s: %v", name, err)
	}
	t.Cleanup(func() {
		close(h.jobs)
		h.net.Close()
		h.ns.Close()
	})
	return h
}

func (h *Host) make() (err error) {
	if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if h.ns, err = netns.Get(); err != nil {
		return err
	}
	if h.net, err = netlink.NewHandleAt(h.ns); err != nil {
		return err
	}
	lo, err := h.net.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.net.LinkSetUp(lo)
}

// Do calls f on the host: sockets that f makes, and what it reads under
// /proc/thread-self/net, are the host's. They stay so after f has returned. f
// must not call t.Fatal, which ends the goroutine that it is called on.
func (h *Host) Do(f func()) {
	if !Isolated() {
		f()
		return
	}
	done := make(chan struct{})
	h.jobs <- func() {
		f()
		close(done)
	}
	<-done
}

// Start starts cmd on the host. Whatever becomes of the test, cmd ends with it.
func (h *Host) Start(cmd *exec.Cmd) (err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	h.Do(func() { err = cmd.Start() })
	return err
}

// Link joins two hosts by a cable: each gets an interface eth0 with the given
// address, as in 10.0.0.1/24, or with none if that is empty.
func Link(t testing.TB, a *Host, aAddr string, b *Host, bAddr string) {
	t.Helper()
	Require(t, "namespaces", Isolated())
	err := a.net.LinkAdd(&netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: "eth0"},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsFd(int(b.ns)),
	})
	if err == nil {
		err = errors.Join(a.plug(aAddr), b.plug(bAddr))
	}
	if err != nil {
		t.Fatalf("link %s and %s: %v", a.Name, b.Name, err)
	}
}

func (h *Host) plug(addr string) error {
	link, err := h.net.LinkByName("eth0")
	if err != nil {
		return err
	}
	if addr != "" {
		a, err := netlink.ParseAddr(addr)
		if err != nil {
			return err
		}
		if err := h.net.AddrAdd(link, a); err != nil {
			return err
		}
	}
	return h.net.LinkSetUp(link)
}

// Unplug takes the host's eth0 down, as if the cable were pulled: nobody at the
// other end is told. Packets that others send to it are lost.
func (h *Host) Unplug(t testing.TB) {
	t.Helper()
	link, err := h.net.LinkByName("eth0")
	if err == nil {
		err = h.net.LinkSetDown(link)
	}
	if err != nil {
		t.Fatalf("unplug %s: %v", h.Name, err)
	}
}
