//go:build unix

package harness

import (
	"errors"
	"os/exec"
	"syscall"
)

// group gives a program a process group of its own, to which all that it starts
// belongs.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// killGroup kills a program and what it has started.
func killGroup(cmd *exec.Cmd) { signalGroup(cmd, syscall.SIGKILL) }

func signalGroup(cmd *exec.Cmd, sig syscall.Signal) error {
	return syscall.Kill(-cmd.Process.Pid, sig)
}

// forAll tells whether a signal is for all that a program has started: it could
// not answer to it itself.
func forAll(sig any) bool {
	return sig == syscall.SIGKILL || sig == syscall.SIGSTOP || sig == syscall.SIGCONT
}

// startHint says what is wrong with a file that cannot be started.
func startHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return "the system cannot run it: a script begins with a line as #!/usr/bin/env python3, or is given with its interpreter"
	case errors.Is(err, syscall.EACCES):
		return "it is not executable: chmod +x, or give it with its interpreter, as in python3 x.py"
	case errors.Is(err, syscall.ENOENT):
		return "it is not there, or the interpreter that its first line names"
	}
	return ""
}
