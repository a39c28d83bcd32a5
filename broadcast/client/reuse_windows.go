package main

import (
	"errors"
	"syscall"
)

// reuse lets other programs bind the same port.
func reuse(network, address string, c syscall.RawConn) (err error) {
	failed := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(syscall.Handle(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	})
	return errors.Join(failed, err)
}
