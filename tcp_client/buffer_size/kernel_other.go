//go:build !unix

package main

import (
	"errors"
	"net"
)

// sendBuffer cannot tell.
func sendBuffer(*net.TCPConn) (int, error) { return 0, errors.ErrUnsupported }

// queued cannot tell: SIOCOUTQ is Linux's.
func queued(*net.TCPConn) (uint32, error) { return 0, errors.ErrUnsupported }
