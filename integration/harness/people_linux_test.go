package harness

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// A terminal is as wide as it says, and has colours unless NO_COLOR says no.
func TestTerminal(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this machine has no terminals: %v", err)
	}
	defer master.Close()
	fd := int(master.Fd())
	assert.NilError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	slave, err := unix.IoctlRetInt(fd, unix.TIOCGPTPEER)
	assert.NilError(t, err)
	screen := os.NewFile(uintptr(slave), "terminal")
	defer screen.Close()
	assert.NilError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 47}))
	for _, c := range []struct {
		noColor, term string
		want          bool
	}{{"", "xterm", true}, {"1", "xterm", false}, {"", "dumb", false}} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		columns, colour := Terminal(screen)
		assert.Equal(t, columns, 47)
		assert.Equal(t, colour, c.want, "%v", c)
	}
	r, w, err := os.Pipe()
	assert.NilError(t, err)
	defer r.Close()
	defer w.Close()
	columns, colour := Terminal(r)
	assert.Equal(t, columns, 0)
	assert.Assert(t, !colour)
}
