//go:build !linux

package main

import "net"

const (
	peeks     = false
	truncated = 0x10 // MSG_TRUNC in macOS's sys/socket.h; on Windows it is an error
)

func next(*net.UDPConn) (size int, err error) { return -1, nil }
