package main

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// sendBuffer returns the size of the send buffer (SO_SNDBUF, socket(7)). The
// kernel counts its own bookkeeping too, so less than that of data fits.
func sendBuffer(conn *net.TCPConn) (size int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := raw.Control(func(fd uintptr) { size, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF) })
	return size, errors.Join(failed, err)
}

// queued returns how many bytes the peer has not acknowledged (SIOCOUTQ, tcp(7)).
func queued(conn *net.TCPConn) (n uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetUint32(int(fd), unix.SIOCOUTQ) })
	return n, errors.Join(failed, err)
}
