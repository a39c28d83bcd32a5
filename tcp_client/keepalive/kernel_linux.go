package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// readBack says what the kernel has (SO_KEEPALIVE, socket(7); the rest tcp(7)).
func readBack(conn *net.TCPConn) (text string, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return "", err
	}
	failed := raw.Control(func(fd uintptr) {
		get := func(level, option int) int {
			value, failed := unix.GetsockoptInt(int(fd), level, option)
			err = cmp.Or(err, failed)
			return value
		}
		text = fmt.Sprintf("keep-alive %s: idle %v, interval %v, count %d",
			map[bool]string{true: "on", false: "off"}[get(unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 0],
			time.Duration(get(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))*time.Second,
			time.Duration(get(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))*time.Second,
			get(unix.IPPROTO_TCP, unix.TCP_KEEPCNT))
	})
	return text, errors.Join(failed, err)
}
