package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine tells what the numbers depend on.
func machine() []string {
	var name unix.Utsname
	unix.Uname(&name)
	load, _ := os.ReadFile("/proc/loadavg")
	return []string{
		fmt.Sprintf("%d × %s, %s of memory", runtime.NumCPU(), field("/proc/cpuinfo", "model name"), memoryOf(field("/proc/meminfo", "MemTotal"))),
		fmt.Sprintf("Linux %s; load before the run: %s", unix.ByteSliceToString(name.Release[:]), strings.Join(strings.Fields(string(load))[:1], "")),
		fmt.Sprintf("Go %s, Node %s, socat %s, iperf3 %s", strings.TrimPrefix(runtime.Version(), "go"),
			version("node", "--version"), version("socat", "-V"), version("iperf3", "--version")),
		fmt.Sprintf("%d descriptors for a process at most", descriptors()),
		fmt.Sprintf("%d rounds, %v a measurement", *rounds, *length),
	}
}

// descriptors is how many a program may have.
func descriptors() uint64 {
	var files unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
	return files.Max
}

// field returns what follows a name and a colon.
func field(file, name string) string {
	data, _ := os.ReadFile(file)
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memoryOf(kb string) string {
	var n int
	fmt.Sscan(kb, &n)
	return fmt.Sprintf("%d GiB", (n+1<<19)>>20)
}

// version returns the first word of what a tool prints that begins with a digit,
// "absent" if there is no such tool.
func version(tool string, flag string) string {
	out, err := exec.Command(tool, flag).Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "absent"
	}
	for _, word := range strings.Fields(string(out)) {
		word = strings.TrimPrefix(word, "v")
		if word != "" && word[0] >= '0' && word[0] <= '9' {
			return word
		}
	}
	return "unknown"
}
