//go:build !linux

package main

import (
	"errors"
	"net"
)

// setBacklog cannot: no other system is known to tell what became of the backlog.
func setBacklog(ln *net.TCPListener, backlog int) (n int, err error) {
	return 0, errors.ErrUnsupported
}
