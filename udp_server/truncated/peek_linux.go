package main

import (
	"cmp"
	"net"

	"golang.org/x/sys/unix"
)

const (
	peeks     = true
	truncated = unix.MSG_TRUNC
)

// next waits for a datagram and returns its length. The next read will take it.
func next(conn *net.UDPConn) (size int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var errPeek error
	err = raw.Read(func(fd uintptr) (done bool) {
		// MSG_PEEK leaves the datagram where it is. MSG_TRUNC has the call return its length
		// (recv(2)), not what fits: here nothing has to.
		size, _, errPeek = unix.Recvfrom(int(fd), nil, unix.MSG_PEEK|unix.MSG_TRUNC)
		return errPeek != unix.EAGAIN // none there: Read waits, and calls again
	})
	return size, cmp.Or(err, errPeek)
}
