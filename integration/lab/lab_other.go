//go:build !linux

package lab

import (
	"flag"
	"os/exec"
	"testing"
)

// Enter reports that the caller is to run the tests itself, one by one: they
// share the machine's ports.
func Enter() (code int, done bool) {
	flag.Set("test.parallel", "1")
	return 0, false
}

// Isolated tells whether hosts are namespaces.
func Isolated() bool { return false }

// Host is this machine.
type Host struct{ Name string }

// NewHost returns this machine, whatever its name.
func NewHost(t testing.TB, name string) *Host { return &Host{name} }

// Do calls f.
func (h *Host) Do(f func()) { f() }

// Start starts cmd.
func (h *Host) Start(cmd *exec.Cmd) error { return cmd.Start() }

// What follows needs namespaces, and skips the test.

func Link(t testing.TB, a *Host, aAddrs string, b *Host, bAddrs string) { skip(t) }
func Unlink(t testing.TB, a, b *Host)                                   { skip(t) }

type Segment struct{}

func NewSegment(t testing.TB, name string) *Segment                  { skip(t); return nil }
func (s *Segment) Join(t testing.TB, h *Host, addrs string)          { skip(t) }
func (h *Host) Route(t testing.TB, network, via string)              { skip(t) }
func (h *Host) Forward(t testing.TB)                                 { skip(t) }
func (h *Host) Unplug(t testing.TB, ifname string)                   { skip(t) }
func (h *Host) Plug(t testing.TB, ifname string)                     { skip(t) }
func (h *Host) SetMTU(t testing.TB, ifname string, mtu int)          { skip(t) }
func (h *Host) SetRate(t testing.TB, ifname string, rate, queue int) { skip(t) }

func skip(t testing.TB) {
	t.Helper()
	Require(t, "namespaces", false)
}

// Outside returns nothing: there is no inside.
func Outside() []string { return nil }
