package main

import (
	"os/exec"
	"syscall"
)

// apart keeps the terminal's Ctrl+C from the suite: the judge ends it, and all
// that it has started ends with it.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
