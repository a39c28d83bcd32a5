//go:build !linux

package main

import (
	"errors"
	"net"
)

func setBacklog(ln *net.TCPListener, backlog int) (n int, err error) {
	return 0, errors.ErrUnsupported
}
