//go:build unix && !linux

package main

import (
	"errors"
	"net"
	"syscall"
)

// sendBuffer returns the size of the send buffer (SO_SNDBUF).
func sendBuffer(conn *net.TCPConn) (size int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := raw.Control(func(fd uintptr) {
		size, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
	})
	return size, errors.Join(failed, err)
}

// queued cannot tell: SIOCOUTQ is Linux's.
func queued(*net.TCPConn) (uint32, error) { return 0, errors.ErrUnsupported }
