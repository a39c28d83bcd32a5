package main

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// connect does what package net has no call for, and returns what the kernel then says of
// the socket's two ends: what Go has noted of them is as old as conn.
func connect(conn *net.UDPConn, to *net.UDPAddr) (local, peer netip.AddrPort, err error) {
	err = control(conn, func(fd int) (err error) {
		if err = unix.Connect(fd, sockaddr(to)); err != nil {
			return fmt.Errorf("connect %v: %w", to, err)
		}
		local, err = addrPort(unix.Getsockname(fd))
		if err == nil {
			peer, err = addrPort(unix.Getpeername(fd))
		}
		return err
	})
	return local, peer, err
}

// disconnect connects to an address of no family, which undoes it (connect(2)).
func disconnect(conn *net.UDPConn) (local netip.AddrPort, err error) {
	err = control(conn, func(fd int) (err error) {
		none := unix.RawSockaddr{Family: unix.AF_UNSPEC} // unix.Connect takes no such
		_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&none)), unsafe.Sizeof(none))
		if errno != 0 {
			return errno
		}
		local, err = addrPort(unix.Getsockname(fd))
		return err
	})
	return local, err
}

// control lends f the socket's descriptor.
func control(conn *net.UDPConn, f func(fd int) error) (failed error) {
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	}
	return cmp.Or(err, failed)
}

// sockaddr is an address as the system calls want it, and addrPort the way back.
func sockaddr(a *net.UDPAddr) unix.Sockaddr {
	if ip := a.IP.To4(); ip != nil || a.IP == nil { // none is this machine
		sa := &unix.SockaddrInet4{Port: a.Port}
		copy(sa.Addr[:], ip)
		return sa
	}
	sa := &unix.SockaddrInet6{Port: a.Port, Addr: [16]byte(a.IP)}
	if zone, err := net.InterfaceByName(a.Zone); err == nil {
		sa.ZoneId = uint32(zone.Index)
	} else if index, err := strconv.Atoi(a.Zone); err == nil {
		sa.ZoneId = uint32(index)
	}
	return sa
}

func addrPort(sa unix.Sockaddr, err error) (netip.AddrPort, error) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), err
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr).Unmap() // of a socket for both families
		if zone, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
			ip = ip.WithZone(zone.Name)
		}
		return netip.AddrPortFrom(ip, uint16(sa.Port)), err
	}
	return netip.AddrPort{}, err
}
