package main

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

func init() {
	kernel = func(conn *net.TCPConn) error {
		raw, err := conn.SyscallConn() // the way to what package net has no call for
		if err != nil {
			return err
		}
		var size, queued int
		var errSize, errQueued error
		//weave:questions
		err = raw.Control(func(fd uintptr) {
			// SO_SNDBUF (socket(7)) is memory, the kernel's own bookkeeping included, and
			// no sharp limit. SIOCOUTQ (tcp(7)) is the data that is not acknowledged.
			size, errSize = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF)
			queued, errQueued = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		})
		//weave:end
		if err := errors.Join(err, errSize, errQueued); err != nil {
			return err
		}
		fmt.Printf("send buffer %d bytes\n", size)
		fmt.Printf("queued %d bytes, the peer has not acknowledged them\n", queued)
		return nil
	}
}
