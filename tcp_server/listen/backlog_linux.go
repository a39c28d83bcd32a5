package main

import (
	"net"

	"golang.org/x/sys/unix"
)

// setBacklog calls listen(2) again: on a socket that listens already, Linux
// just takes the new backlog. It returns what the kernel made of it, which is
// net.core.somaxconn at most.
func setBacklog(ln *net.TCPListener, backlog int) (n int, err error) {
	raw, err := ln.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unix.Listen(int(fd), backlog); failed != nil {
			return
		}
		// Of a listener, tcpi_sacked is the backlog and tcpi_unacked how many wait
		// (tcp_get_info in the kernel's net/ipv4/tcp.c).
		var info *unix.TCPInfo
		if info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); failed == nil {
			n = int(info.Sacked)
		}
	})
	if err == nil {
		err = failed
	}
	return n, err
}
