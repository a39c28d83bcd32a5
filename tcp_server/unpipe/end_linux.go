package main

import (
	"net"

	"golang.org/x/sys/unix"
)

func init() { awaitEnd = pollEnd }

// pollEnd waits for the peer's FIN or reset and reads nothing: poll(2) tells by
// POLLRDHUP, even with data unread in front of the FIN.
func pollEnd(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	// Read calls the function now and whenever something new has arrived, until
	// it returns true. No thread waits in between.
	return raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, _ := unix.Poll(fds, 0)
		return n > 0 // POLLERR and POLLHUP, as after a reset, come unasked
	})
}
