package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bare plays the parts that no section does: what is asked of the kernel is the
// least that does the work, so that they are the limit; and the relay.
func bare(args []string) {
	var err error
	runtime.LockOSThread()
	switch {
	case len(args) == 1 && args[0] == "relay":
		err = relay()
	case len(args) == 1 && args[0] == "tcp-echo":
		err = bareTCP()
	case len(args) > 0 && args[0] == "udp":
		err = bareUDP(slices.Contains(args, "echo"), slices.Contains(args, "print"), slices.Contains(args, group))
	default:
		err = fmt.Errorf("no such part: %q", args)
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// relay does to a connection what tcp_server:pipe does to a file, both ways.
func relay() error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		client, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", upstream)
			if err != nil {
				return
			}
			defer server.Close()
			go func() {
				io.Copy(server, client)
				server.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(client, server)
		}()
	}
}

// bareTCP echoes: one thread, one epoll, two system calls a message.
func bareTCP() error {
	ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	poll, err := unix.EpollCreate1(0)
	if err != nil {
		return err
	}
	watch := func(fd int) error {
		return unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
	if err := unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 8080}); err != nil {
		return err
	}
	if err := unix.Listen(ln, unix.SOMAXCONN); err != nil {
		return err
	}
	if err := watch(ln); err != nil {
		return err
	}
	events, buf := make([]unix.EpollEvent, 128), make([]byte, 4096)
	for {
		n, err := unix.EpollWait(poll, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, event := range events[:max(n, 0)] {
			fd := int(event.Fd)
			if fd == ln {
				if fd, _, err = unix.Accept4(ln, 0); err == nil {
					err = watch(fd)
				}
				if err != nil {
					return err
				}
				continue
			}
			n, err := unix.Read(fd, buf)
			if err == nil && n > 0 {
				_, err = unix.Write(fd, buf[:n])
			}
			if err != nil || n == 0 {
				unix.Close(fd)
			}
		}
	}
}

// bareUDP receives datagrams.
func bareUDP(echo, print, member bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 8080}); err != nil {
		return err
	}
	if member {
		mreq := &unix.IPMreqn{Multiaddr: [4]byte(net.ParseIP(group).To4()), Ifindex: 1}
		if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq); err != nil {
			return err
		}
	}
	var from unix.RawSockaddrInet4
	buf := make([]byte, 65535)
	part := unix.Iovec{Base: &buf[0]}
	msg := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&from)), Iov: &part, Iovlen: 1}
	for {
		part.SetLen(len(buf))
		msg.Namelen = unix.SizeofSockaddrInet4
		n, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), 0)
		if e != 0 {
			return e
		}
		if print {
			port := from.Port>>8 | from.Port<<8
			fmt.Printf("%d.%d.%d.%d:%d: %q\n", from.Addr[0], from.Addr[1], from.Addr[2], from.Addr[3], port, buf[:n])
		}
		if echo {
			part.SetLen(int(n))
			if _, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), 0); e != 0 {
				return e
			}
		}
	}
}
