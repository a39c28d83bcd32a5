package main

import (
	"cmp"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

func init() {
	kernel = func(conn *net.TCPConn) error {
		raw, err := conn.SyscallConn()
		if err != nil {
			return err
		}
		var info *unix.TCPInfo
		var errInfo error
		err = raw.Control(func(fd uintptr) {
			// TCP_INFO (tcp(7)): of much else the segments with data that have left, where
			// what was sent again counts again (RFC 4898), and the bytes that have not.
			info, errInfo = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		})
		if err := cmp.Or(err, errInfo); err != nil {
			return err
		}
		fmt.Printf("sent %d segments, %d bytes wait for an ACK\n", info.Data_segs_out, info.Notsent_bytes)
		return nil
	}
}
