package tcp_server

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// States of a connection, as in the kernel's include/net/tcp_states.h.
const (
	tcpEstablished = 1
	tcpSynSent     = 2
	tcpFinWait2    = 5
	tcpTimeWait    = 6
	tcpCloseWait   = 8
)

// queues returns how many bytes of a client are in the receive queue of the
// server's socket, accepted or not, and how many in the send queue of its own.
func queues(t *testing.T, on *lab.Host, client string) (unread, sending int) {
	t.Helper()
	port := int(netip.MustParseAddrPort(client).Port())
	for _, s := range peer.TCPSockets(t, on) {
		switch port {
		case s.Remote:
			unread = s.Unread
		case s.Local:
			sending = s.Sending
		}
	}
	return unread, sending
}

func unreadOf(t *testing.T, on *lab.Host, client string) int {
	t.Helper()
	unread, _ := queues(t, on, client)
	return unread
}

// awaitFull waits until a client has sent all that the server's kernel takes
// while nobody reads: it has more to send, and nothing moves.
func awaitFull(t *testing.T, on *lab.Host, client string) (unread int) {
	t.Helper()
	same := 0
	peer.Until(t, "nothing moves", func() bool {
		now, sending := queues(t, on, client)
		if same++; now != unread || now == 0 || sending == 0 {
			unread, same = now, 0
		}
		return same == 20
	})
	return unread
}

// arrive writes each piece in a write of its own, and waits for each to be in
// the kernel's queue of the server's host.
func arrive(t *testing.T, on *lab.Host, client *net.TCPConn, pieces ...string) {
	t.Helper()
	want := unreadOf(t, on, client.LocalAddr().String())
	for _, piece := range pieces {
		peer.Write(t, client, piece)
		want += len(piece)
		peer.Until(t, "all has arrived", func() bool { return unreadOf(t, on, client.LocalAddr().String()) == want })
	}
}

// inFolder starts a section of the chapter as a shell in that folder does, or as
// bazel run does: from elsewhere, with the folder in BUILD_WORKING_DIRECTORY.
func inFolder(t *testing.T, on *lab.Host, bazel bool, dir, section string, args ...string) *harness.Program {
	t.Helper()
	harness.Ours(t, "where bazel run was typed is not told to others")
	p := harness.Start(t, on, "tcp_server/"+section, "-addr", "127.0.0.1:0", "-to", os.DevNull)
	p.Ready()
	binary, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.Pid()))
	assert.NilError(t, err)
	p.Stop()

	cmd := exec.Command(binary, args...)
	if cmd.Dir = dir; bazel {
		cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "BUILD_WORKING_DIRECTORY="+dir)
	}
	p = harness.Command(t, on, cmd)
	p.Section = "tcp_server/" + section
	return p
}

// No room in the file: whether much or little was sent, the client learns by a
// reset that it is not stored; it is reported, and the next is served as well.
func testPipeFullDisk(t *testing.T, section string, args ...string) {
	t.Helper()
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := start("tcp_server/"+section, append(args, "--addr", "127.0.0.1:0", "--to", "/dev/full")...)
		addr := server.Ready()
		sizes := []int{1, 5, 32768, 32769} // with less than a buffer nothing stays unread
		for _, n := range sizes {
			client := peer.DialTCP(t, h, addr)
			peer.Write(t, client, peer.Noise(n))
			client.CloseWrite() // an error if the reset is there
			_, err := client.Read(make([]byte, 1))
			assert.ErrorIs(t, err, syscall.ECONNRESET, "%d bytes", n)
			if server.Line(peer.Of(client) + `piped 0 bytes`); section == "unpipe" {
				server.Line(peer.Of(client) + `closed`)
			}
		}
		server.Signal(syscall.SIGTERM)
		server.Await("closed")
		server.ExitSaying(0, fmt.Sprintf(`(%s: .*no space left on device.*\n){%d}`, section, len(sizes)))
	})
}

// A disk with room for a part: that part is in the file and is counted, and the
// client learns by a reset that it is not all.
func testPipeDiskFillsUp(t *testing.T, section string, args ...string) {
	t.Helper()
	lab.Require(t, "namespaces", lab.Isolated())
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		dir, room := t.TempDir(), 2*os.Getpagesize()
		var err error
		h.Do(func() { // a disk of the host's own (mount_namespaces(7), tmpfs(5))
			if err = unix.Unshare(unix.CLONE_NEWNS); err == nil {
				err = unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", room))
			}
		})
		assert.NilError(t, err)
		file := filepath.Join(dir, "message.txt")
		server := start("tcp_server/"+section, append(args, "--addr", "127.0.0.1:0", "--to", file)...)
		client := peer.DialTCP(t, h, server.Ready())
		data := peer.Noise(room + 100)
		peer.Write(t, client, data)
		client.CloseWrite() // an error if the reset is there
		_, err = client.Read(make([]byte, 1))
		assert.ErrorIs(t, err, syscall.ECONNRESET)
		if server.Line(peer.Of(client) + fmt.Sprintf(`piped %d bytes`, room)); section == "unpipe" {
			server.Line(peer.Of(client) + `closed`)
		}
		var stored []byte
		h.Do(func() { stored, err = os.ReadFile(file) })
		assert.NilError(t, err)
		assert.Assert(t, bytes.Equal(stored, data[:room]), "%d bytes", len(stored))
		server.Signal(syscall.SIGTERM)
		server.Await("closed")
		server.ExitSaying(0, section+`: .*no space left on device.*\n`)
	})
}

// urgent sends a byte out of band, as TCP's urgent data.
func urgent(t *testing.T, conn *net.TCPConn, b byte) {
	t.Helper()
	raw, err := conn.SyscallConn()
	assert.NilError(t, err)
	var failed error
	assert.NilError(t, raw.Control(func(fd uintptr) { failed = syscall.Sendto(int(fd), []byte{b}, syscall.MSG_OOB, nil) }))
	assert.NilError(t, failed)
}

// party is one of several connections of the client's.
func party(name string, conn net.Conn) wire.Party {
	return wire.Party{Name: name, Addr: conn.LocalAddr().String()}
}
