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

// Link skips the test.
func Link(t testing.TB, a *Host, aAddr string, b *Host, bAddr string) {
	t.Helper()
	Require(t, "namespaces", false)
}

// Unplug skips the test.
func (h *Host) Unplug(t testing.TB) {
	t.Helper()
	Require(t, "namespaces", false)
}

// Outside returns nothing: there is no inside.
func Outside() []string { return nil }
