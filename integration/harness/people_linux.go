package harness

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func columnsOf(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return cmp.Or(int(size.Col), 80)
}

// Adopt makes this process the parent of whatever loses its own (prctl(2)), so that
// Sweep finds it.
func Adopt() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// Sweep kills what programs that have ended have started, and put out of reach.
func Sweep() {
	for left := children(); len(left) > 0; left = children() {
		for _, pid := range left {
			syscall.Kill(pid, syscall.SIGKILL)
			syscall.Wait4(pid, nil, 0, nil) // and its own children become ours
		}
	}
}

func children() []int {
	return processes(func(_ string, parent, _ int) bool { return parent == os.Getpid() })
}

// processes returns the ids of those whose state, parent and process group are asked
// for (proc_pid_stat(5)).
func processes(wanted func(state string, parent, group int) bool) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, _ := os.ReadFile(name)                  // it may have ended
		_, rest, _ := strings.Cut(string(text), ") ") // its name may have blanks
		var state string
		var parent, group int
		if n, _ := fmt.Sscan(rest, &state, &parent, &group); n == 3 && wanted(state, parent, group) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}
