//go:build unix

package main

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"syscall"
)

func init() { setBacklog = listenAgain }

// listenAgain tells a socket that listens to listen once more. Go has asked for all
// that the system allows; Linux takes the new number.
func listenAgain(ln net.Listener, n int) (int, error) {
	raw, _ := ln.(syscall.Conn).SyscallConn() // lends us the descriptor; no error with a listener
	var failed error
	err := raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), n) })
	// Above this limit Linux cuts the number, without a word. Other systems have
	// limits of their own, and do not say what they made of it.
	limit := 0
	text, unknown := os.ReadFile("/proc/sys/net/core/somaxconn")
	fmt.Sscan(string(text), &limit)
	return min(n, limit), cmp.Or(err, failed, unknown) // the first that is not nil
}
