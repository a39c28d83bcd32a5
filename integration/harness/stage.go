package harness

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// Stage is the testing.TB of a command that uses the lab, as show and bench do:
// what fails is said on stderr, and a fatal failure ends the command. All other
// methods than these are not there.
type Stage struct {
	testing.TB
	Command  string // its name
	cleanups []func()
}

func (s *Stage) Helper()          {}
func (s *Stage) Name() string     { return s.Command }
func (s *Stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// End does what was left for the end, the last first.
func (s *Stage) End() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
	s.cleanups = nil
}

func (s *Stage) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, s.Command+": "+format+"\n", args...)
}

func (s *Stage) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	os.Exit(1) // the hosts and all on them end with the process
}

func (s *Stage) Skipf(format string, args ...any) { s.Fatalf(format, args...) }
