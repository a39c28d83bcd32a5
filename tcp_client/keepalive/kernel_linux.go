package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	kernel = func(conn *net.TCPConn) error {
		raw, err := conn.SyscallConn() // the way to what package net has no call for
		if err != nil {
			return err
		}
		var on, idle, interval, count int
		var errs [4]error                   // one for each question
		err = raw.Control(func(s uintptr) { // socket(7), tcp(7)
			on, errs[0] = unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			idle, errs[1] = unix.GetsockoptInt(int(s), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
			interval, errs[2] = unix.GetsockoptInt(int(s), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
			count, errs[3] = unix.GetsockoptInt(int(s), unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
		})
		if err := errors.Join(err, errors.Join(errs[:]...)); err != nil {
			return err
		}
		fmt.Printf("keep-alive %s: idle %v, interval %v, count %d\n", map[int]string{0: "off", 1: "on"}[on],
			time.Duration(idle)*time.Second, time.Duration(interval)*time.Second, count)
		return nil
	}
}
