//go:build !linux

package main

import (
	"errors"
	"net"
	"net/netip"
)

func connect(*net.UDPConn, *net.UDPAddr) (local, peer netip.AddrPort, err error) {
	return local, peer, errors.New("a socket that is there is connected here on Linux only")
}

func disconnect(*net.UDPConn) (local netip.AddrPort, err error) { return local, errors.ErrUnsupported }
