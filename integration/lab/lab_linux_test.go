package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"
)

func TestMain(m *testing.M) {
	if code, done := Enter(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// send sends a datagram from one host to a socket on another and returns what
// came, and from where.
func send(t *testing.T, from, to *Host, network, addr, data string) (string, net.Addr) {
	t.Helper()
	var in net.PacketConn
	var out net.Conn
	var err error
	to.Do(func() { in, err = net.ListenPacket(network, addr) })
	assert.NilError(t, err)
	defer in.Close()
	from.Do(func() { out, err = net.Dial(network, addr) })
	assert.NilError(t, err)
	defer out.Close()
	_, err = out.Write([]byte(data))
	assert.NilError(t, err)
	buf := make([]byte, 65536)
	in.SetReadDeadline(time.Now().Add(30 * time.Second))
	n, src, err := in.ReadFrom(buf)
	assert.NilError(t, err)
	return string(buf[:n]), src
}

func TestLink(t *testing.T) {
	t.Parallel()
	Require(t, "namespaces", Isolated())
	a, b := NewHost(t, "a"), NewHost(t, "b")
	Link(t, a, "10.0.0.1/24 fd00::1/64", b, "10.0.0.2/24 fd00::2/64")
	data, src := send(t, a, b, "udp4", "10.0.0.2:8080", "four")
	assert.Equal(t, data, "four")
	assert.Equal(t, src.(*net.UDPAddr).IP.String(), "10.0.0.1")
	data, src = send(t, b, a, "udp6", "[fd00::1]:8080", "six")
	assert.Equal(t, data, "six")
	assert.Equal(t, src.(*net.UDPAddr).IP.String(), "fd00::2")
}

func TestRouterBetweenSegments(t *testing.T) {
	t.Parallel()
	Require(t, "namespaces", Isolated())
	left, right := NewSegment(t, "left"), NewSegment(t, "right")
	a, b, c, r := NewHost(t, "a"), NewHost(t, "b"), NewHost(t, "c"), NewHost(t, "r")
	left.Join(t, a, "10.0.1.2/24 fd01::2/64")
	left.Join(t, b, "10.0.1.3/24")
	left.Join(t, r, "10.0.1.1/24 fd01::1/64")
	right.Join(t, r, "10.0.2.1/24 fd02::1/64")
	right.Join(t, c, "10.0.2.2/24 fd02::2/64")

	data, _ := send(t, a, b, "udp4", "10.0.1.3:8080", "neighbour")
	assert.Equal(t, data, "neighbour")

	a.Route(t, "10.0.2.0/24", "10.0.1.1")
	a.Route(t, "fd02::/64", "fd01::1")
	r.Forward(t)
	data, src := send(t, a, c, "udp4", "10.0.2.2:8080", "across")
	assert.Equal(t, data, "across")
	assert.Equal(t, src.(*net.UDPAddr).IP.String(), "10.0.1.2")
	data, _ = send(t, a, c, "udp6", "[fd02::2]:8080", "across")
	assert.Equal(t, data, "across")
}

func TestUnplugPlugMTU(t *testing.T) {
	t.Parallel()
	Require(t, "namespaces", Isolated())
	a, b := NewHost(t, "a"), NewHost(t, "b")
	Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	a.SetMTU(t, "eth0", 576)
	b.SetMTU(t, "eth0", 576)
	long := string(bytes.Repeat([]byte("x"), 4000))
	data, _ := send(t, a, b, "udp4", "10.0.0.2:8080", long)
	assert.Equal(t, data, long)

	a.Unplug(t, "eth0")
	var err error
	a.Do(func() { _, err = net.Dial("udp4", "10.0.0.2:8080") }) // sends nothing
	assert.Assert(t, errors.Is(err, syscall.ENETUNREACH), "%v", err)
	a.Plug(t, "eth0")
	data, _ = send(t, a, b, "udp4", "10.0.0.2:8080", "again")
	assert.Equal(t, data, "again")
}

func TestRate(t *testing.T) {
	t.Parallel()
	Require(t, "namespaces", Isolated())
	a, b := NewHost(t, "a"), NewHost(t, "b")
	Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
	a.SetRate(t, "eth0", 10_000, 100_000)
	long := string(bytes.Repeat([]byte("x"), 5000)) // in four fragments
	begin := time.Now()
	data, _ := send(t, a, b, "udp4", "10.0.0.2:8080", long)
	assert.Equal(t, data, long)
	assert.Assert(t, time.Since(begin) > 250*time.Millisecond) // 3000 bytes of it had to wait
}

// victim, in the environment, makes the test binary a suite to be killed.
const victim = "LAB_VICTIM"

func TestVictim(t *testing.T) {
	if os.Getenv(victim) == "" {
		t.Skip("for TestKilledSuiteLeavesNothing")
	}
	h := NewHost(t, "h")
	cmd := exec.Command("sleep", "1000")
	assert.NilError(t, h.Start(cmd))
	ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid))
	assert.NilError(t, err)
	fmt.Printf("%d %s\n", cmd.Process.Pid, ns)
	cmd.Wait()
}

// A suite that is killed leaves no process and so no namespace: one lives for
// as long as a process or a descriptor is in it.
func TestKilledSuiteLeavesNothing(t *testing.T) {
	t.Parallel()
	Require(t, "namespaces", Isolated())
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestVictim$", "-test.count=1")
	cmd.Env = append(os.Environ(), victim+"=1")
	out, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	var pid int
	var ns string
	_, err = fmt.Fscanln(out, &pid, &ns)
	assert.NilError(t, err)
	own, err := os.Readlink("/proc/self/ns/net")
	assert.NilError(t, err)
	assert.Assert(t, ns != own)

	cmd.Process.Kill()
	_, err = io.Copy(io.Discard, out) // EOF once the last that held it has gone
	assert.NilError(t, err)
	cmd.Wait()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			return poll.Continue("the program of the killed suite is still there: %v", err)
		}
		return poll.Success()
	}, poll.WithTimeout(30*time.Second))
}

// How long a host takes to come and go: go test -bench . ./integration/lab
func BenchmarkHost(b *testing.B) {
	for b.Loop() {
		tb := &counted{TB: b}
		NewHost(tb, "h")
		tb.end()
	}
}

func BenchmarkTwoHostsLinked(b *testing.B) {
	for b.Loop() {
		tb := &counted{TB: b}
		Link(tb, NewHost(tb, "a"), "10.0.0.1/24", NewHost(tb, "b"), "10.0.0.2/24")
		tb.end()
	}
}

// counted runs the clean-ups of one round when the round ends.
type counted struct {
	testing.TB
	cleanups []func()
}

func (c *counted) Cleanup(f func()) { c.cleanups = append(c.cleanups, f) }

func (c *counted) end() {
	for _, f := range c.cleanups {
		f()
	}
}

// What outlives its test, like a poll that was given up, does no harm.
func TestDoAfterTheEnd(t *testing.T) {
	var h *Host
	t.Run("test", func(t *testing.T) { h = NewHost(t, "h") })
	h.Do(func() {
		if Isolated() {
			t.Error("on a host that is gone")
		}
	})
}
