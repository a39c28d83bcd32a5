package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// bare plays the parts that no section does: what is asked of the kernel is the
// least that does the work, so that they are the limit.
func bare(args []string) {
	var err error
	runtime.LockOSThread()
	switch {
	case len(args) == 1 && args[0] == "tcp-echo":
		err = bareTCP()
	case len(args) > 0 && args[0] == "udp":
		err = bareUDP(slices.Contains(args, "echo"), slices.Contains(args, "print"), slices.Contains(args, group))
	case len(args) > 0 && args[0] == "udp-batch":
		err = bareBatch(slices.Contains(args, group))
	case len(args) > 0 && args[0] == "ReadBatch":
		err = readBatch(slices.Contains(args, group))
	default:
		err = fmt.Errorf("no such part: %q", args)
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// spins is how often a loop asks in vain before it sleeps, some 50 µs: to be woken
// takes longer than the work does, and a limit that had to be would be none.
const spins = 100

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
	for idle := 0; ; {
		wait := 0
		if idle == spins {
			wait = -1
		}
		n, err := unix.EpollWait(poll, events, wait)
		if err != nil && err != unix.EINTR {
			return err
		}
		if idle++; n > 0 || wait < 0 {
			idle = 0
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

// udpSocket returns the receiver's socket, on any address, and a member of the
// group if that is asked for.
func udpSocket(member bool) (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); err != nil {
		return fd, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fd, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 8080}); err != nil || !member {
		return fd, err
	}
	mreq := &unix.IPMreqn{Multiaddr: [4]byte(net.ParseIP(group).To4()), Ifindex: 1}
	return fd, unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq)
}

// receive asks in vain for a while and then sleeps until the call has something.
func receive(call func(flags int) (uintptr, unix.Errno)) (uintptr, error) {
	for range spins {
		if n, e := call(unix.MSG_DONTWAIT); e == 0 {
			return n, nil
		} else if e != unix.EAGAIN {
			return 0, e
		}
	}
	n, e := call(unix.MSG_WAITFORONE)
	if e != 0 {
		return 0, e
	}
	return n, nil
}

// bareUDP receives datagrams one by one.
func bareUDP(echo, print, member bool) error {
	fd, err := udpSocket(member)
	if err != nil {
		return err
	}
	var from unix.RawSockaddrInet4
	buf := make([]byte, 65535)
	part := unix.Iovec{Base: &buf[0]}
	msg := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&from)), Iov: &part, Iovlen: 1}
	for {
		part.SetLen(len(buf))
		msg.Namelen = unix.SizeofSockaddrInet4
		n, err := receive(func(flags int) (uintptr, unix.Errno) {
			n, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags&unix.MSG_DONTWAIT))
			return n, e
		})
		if err != nil {
			return err
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

const batch = 64 // datagrams that one call may take

// bareBatch receives datagrams with recvmmsg(2): one system call for as many as
// are there.
func bareBatch(member bool) error {
	fd, err := udpSocket(member)
	if err != nil {
		return err
	}
	type mmsghdr struct {
		unix.Msghdr
		n uint32
	}
	msgs, parts, from := make([]mmsghdr, batch), make([]unix.Iovec, batch), make([]unix.RawSockaddrInet4, batch)
	for i := range msgs {
		parts[i].Base = &make([]byte, 2048)[0]
		parts[i].SetLen(2048)
		msgs[i].Name, msgs[i].Iov, msgs[i].Iovlen = (*byte)(unsafe.Pointer(&from[i])), &parts[i], 1
	}
	for {
		for i := range msgs {
			msgs[i].Namelen = unix.SizeofSockaddrInet4
		}
		if _, err := receive(func(flags int) (uintptr, unix.Errno) {
			n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), batch, uintptr(flags), 0, 0)
			return n, e
		}); err != nil {
			return err
		}
	}
}

// readBatch does the same as a Go program does it.
func readBatch(member bool) error {
	at := ":8080"
	if member {
		at = group + at // shares the port, and joins nothing
	}
	conn, err := net.ListenPacket("udp4", at)
	if err != nil {
		return err
	}
	p := ipv4.NewPacketConn(conn)
	if member {
		lo, err := net.InterfaceByIndex(1)
		if err != nil {
			return err
		}
		if err := p.JoinGroup(lo, &net.UDPAddr{IP: net.ParseIP(group)}); err != nil {
			return err
		}
	}
	msgs := make([]ipv4.Message, batch)
	for i := range msgs {
		msgs[i].Buffers = [][]byte{make([]byte, 2048)}
	}
	for {
		if _, err := p.ReadBatch(msgs, 0); err != nil {
			return err
		}
	}
}
