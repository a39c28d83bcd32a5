//go:build unix

package main

import (
	"errors"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// reuse lets other programs bind the same port. On Linux SO_REUSEADDR is all
// that takes (socket(7)); the BSDs and macOS want SO_REUSEPORT for it.
func reuse(network, address string, c syscall.RawConn) (err error) {
	failed := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if err == nil && runtime.GOOS != "linux" {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
	})
	return errors.Join(failed, err)
}
