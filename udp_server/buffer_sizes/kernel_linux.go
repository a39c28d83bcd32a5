package main

import (
	"fmt"
	"log"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel asks it for the sizes of a socket's buffers, and for how many datagrams it had to
// drop because the one for receiving was full.
func kernel(conn *net.UDPConn) (sizes, dropped string) {
	//weave:question
	// SO_MEMINFO returns nine numbers, in the order of sock_diag(7)'s idiag_skmeminfo. The
	// module has no type for them, so that this is the bare call.
	var info [9]uint32
	length, errno := uint32(unsafe.Sizeof(info)), syscall.Errno(0)
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
				uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&length)), 0)
		})
	}
	//weave:end
	if err != nil || errno != 0 {
		log.Fatalf("ask for SO_MEMINFO: %v, %v", err, errno)
	}
	const rcvbuf, sndbuf, drops = 1, 3, 8
	return fmt.Sprintf("receive buffer %d bytes, send buffer %d bytes", info[rcvbuf], info[sndbuf]),
		fmt.Sprintf("the kernel has dropped %d", info[drops])
}
