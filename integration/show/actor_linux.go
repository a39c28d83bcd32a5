package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// actor is a program on its host.
type actor struct {
	name    string // in the diagram, and before each of its lines
	foreign bool   // no section: it need not say that it listens
	host    *lab.Host
	cmd     *exec.Cmd
	ready   chan struct{} // closed once it serves, as far as can be told
	ended   chan struct{} // closed once it has ended and all it printed is shown
}

// cast makes the actors of what the command line names, each on a host of its own.
func cast(s *harness.Stage, args []string) (actors []*actor, err error) {
	sections, words := harness.Sections(), make([]string, len(args))
	for i, line := range args {
		words[i], _, _ = strings.Cut(strings.TrimSpace(line), " ")
		if !slices.Contains(sections, path(words[i])) {
			if err := command(words[i]); err != nil {
				return nil, err
			}
		}
	}
	for i, line := range args {
		a := &actor{ready: make(chan struct{}), ended: make(chan struct{})}
		if section := path(words[i]); slices.Contains(sections, section) {
			_, a.name, _ = strings.Cut(section, "/")
			built := tell("building " + words[i])
			program := strings.ReplaceAll(harness.Binary(s, section), "'", `'\''`)
			built()
			_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			line = fmt.Sprintf("exec '%s' %s", program, address(section, rest))
		} else {
			a.name, a.foreign = title(line), true
		}
		if i > 0 && a.name == actors[0].name {
			a.name += "2"
		}
		a.host = lab.NewHost(s, a.name)
		a.cmd = exec.Command("sh", "-c", line)
		a.cmd.Dir = harness.UserDir()
		a.cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1") // into a pipe it would keep its lines to itself
		a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		a.cmd.WaitDelay = patience // what it has left behind may hold its output open
		actors = append(actors, a)
	}
	width := 0
	for _, a := range actors {
		width = max(width, len([]rune(a.name)))
	}
	var mu sync.Mutex
	for _, a := range actors {
		out := os.Stdout
		if *mermaid {
			out = os.Stderr
		}
		spoke := sync.OnceFunc(func() { close(a.ready) })
		prefix := a.name + strings.Repeat(" ", width-len([]rune(a.name)))
		a.cmd.Stdout = &lines{mu: &mu, out: out, prefix: prefix + " | ", spoke: spoke}
		a.cmd.Stderr = &lines{mu: &mu, out: out, prefix: prefix + " ! "}
	}
	return actors, nil
}

// path is a section as harness knows it.
func path(word string) string { return strings.Replace(word, ":", "/", 1) }

// address adds the flags that take a section out of its own machine.
func address(section, args string) string {
	name, value := "-addr", "10.0.0.1:8080"
	switch chapter, _, _ := strings.Cut(section, "/"); {
	case section == "broadcast/client" || section == "multicast/scopes":
		return args
	case chapter == "broadcast":
		value = "10.0.0.255:8080"
	case chapter == "multicast":
		name, value = "-interface", "eth0"
	}
	if strings.Contains(" "+args, " "+name) || strings.Contains(" "+args, " -"+name) {
		return args
	}
	return name + " " + value + " " + args
}

// command tells whether a word is one that the shell can run, where the user stands.
// A word that the shell would first make another of is left to it.
func command(word string) error {
	if word == "" {
		return errors.New("an empty argument")
	}
	if strings.ContainsAny(word, "$`'\"\\=*?[](){}<>|&;~#") {
		return nil
	}
	near := ""
	if section := harness.Meant(word); section != "" {
		near = " (do you mean " + section + "?)"
	}
	if strings.Contains(word, "/") {
		info, err := os.Stat(harness.UserPath(word))
		switch {
		case err != nil:
			return fmt.Errorf("there is no %s%s", word, near)
		case info.IsDir():
			return fmt.Errorf("%s is a folder%s", word, near)
		case info.Mode().Perm()&0o111 == 0:
			return fmt.Errorf("%s is not executable: chmod +x it, or name what runs it, as in 'python3 %[1]s'", word)
		}
		return nil
	}
	if exec.Command("sh", "-c", `command -v -- "$1"`, "sh", word).Run() != nil {
		return fmt.Errorf("%s is neither a section%s nor a command on the PATH", word, near)
	}
	return nil
}

var odd = regexp.MustCompile(`[^\pL\d_.]+`)

// title names a command after the script that it runs, or after itself.
func title(line string) string {
	words := strings.Fields(line)
	named := words[0]
	for _, word := range words[1:] {
		if info, err := os.Stat(harness.UserPath(word)); err == nil && info.Mode().IsRegular() {
			named = word
			break
		}
	}
	return cmp.Or(strings.Trim(odd.ReplaceAllString(filepath.Base(named), "_"), "_"), "program")
}

func (a *actor) start() error {
	if err := a.host.Start(a.cmd); err != nil {
		return err
	}
	go func() {
		a.cmd.Wait() // its verdict is in ProcessState
		a.cmd.Stdout.(*lines).flush()
		a.cmd.Stderr.(*lines).flush()
		close(a.ended)
	}()
	if a.foreign {
		go func() {
			for !a.over() && !a.bound() {
				time.Sleep(5 * time.Millisecond) // the kernel tells nobody
			}
			a.cmd.Stdout.(*lines).spoke()
		}()
	}
	return nil
}

// patience is for a program that has been told to end.
const patience = 2 * time.Second

// await waits until done, or until the program has ended, or for so long.
func (a *actor) await(what string, done <-chan struct{}, most time.Duration, interrupt <-chan os.Signal) (interrupted, late bool) {
	defer tell("waiting for " + what)()
	select {
	case <-done:
	case <-a.ended:
	case <-time.After(most):
		return false, true
	case <-interrupt:
		return true, false
	}
	return false, false
}

// tell says on stderr what show is at, if it still is after half a second.
func tell(what string) (stop func() bool) {
	return time.AfterFunc(time.Second/2, func() { fmt.Fprintln(os.Stderr, "show:", what) }).Stop
}

// bound tells whether a socket on its host listens, or is one for datagrams.
func (a *actor) bound() (bound bool) {
	a.host.Do(func() {
		for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} { // proc_pid_net(5)
			text, _ := os.ReadFile("/proc/thread-self/net/" + table)
			for line := range strings.Lines(string(text)) {
				fields := strings.Fields(line)
				bound = bound || fields[3] == "0A" || fields[0] != "sl" && strings.HasPrefix(table, "udp")
			}
		}
	})
	return bound
}

func (a *actor) over() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

// end ends the program, and its process group.
func (a *actor) end() {
	if a.cmd.Process == nil {
		return
	}
	if !a.over() {
		syscall.Kill(-a.cmd.Process.Pid, syscall.SIGTERM)
		a.await(a.name+" to end after SIGTERM", nil, patience, nil)
	}
	syscall.Kill(-a.cmd.Process.Pid, syscall.SIGKILL)
	<-a.ended
}

// lines is what a program writes to. Each line appears at once, behind a prefix.
type lines struct {
	mu     *sync.Mutex // of all that write there
	out    io.Writer
	prefix string
	spoke  func() // called at the first, if need be
	rest   []byte
}

func (l *lines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, data...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok && len(line) < 4096 {
			return len(data), nil
		}
		fmt.Fprintf(l.out, "%s%s\n", l.prefix, line)
		if l.rest = rest; l.spoke != nil {
			l.spoke()
		}
	}
}

// flush writes what no end of line has come for.
func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.Write([]byte("\n"))
	}
}
