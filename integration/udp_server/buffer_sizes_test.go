package udp_server

import (
	"net/netip"
	"os"
	"syscall"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// sized starts the program and waits until it has said how large its buffers are.
func sized(start harness.Starter, args ...string) (p *harness.Program, addr netip.AddrPort, receive, send string) {
	p = start("udp_server/buffer_sizes", args...)
	addr = netip.MustParseAddrPort(p.Ready())
	sizes := p.Line(`receive buffer (\d+) bytes, send buffer (\d+) bytes`)
	return p, addr, sizes[0], sizes[1]
}

// ends stops the program and demands its last two lines.
func ends(p *harness.Program, dropped string, read string) {
	p.Signal(syscall.SIGTERM)
	p.Line(`read ` + read + `; ` + dropped)
	p.Line("closed")
	p.Exit(0)
}

// It echoes whatever comes, and counts it, the empty ones too.
func TestBufferSizesEchoes(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, ip := range []string{"127.0.0.1", "[::1]"} {
			p := start("udp_server/buffer_sizes", "--addr", ip+":0")
			addr := netip.MustParseAddrPort(p.Ready())
			p.Line(".*") // the sizes, where the system tells
			conn := peer.ListenUDP(t, h, "udp", ip+":0")
			for _, size := range []int{0, 1, 8000} {
				roundTrip(t, conn, addr, pattern(size))
			}
			ends(p, ".*", "3 datagrams, 8001 bytes")
		}
	})
}

// Nothing is opened for a size that the system call could not have.
func TestBufferSizesTooLarge(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, flag := range []string{"-receive", "-send"} {
		peer.Refuses(t, h, "udp_server/buffer_sizes", "want .* sizes below 2 GiB .*", flag, "2147483648")
	}
}

// A multicast group is refused: a socket that has not joined it would wait in vain.
func TestBufferSizesGroup(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		refusesGroup(t, start("udp_server/buffer_sizes", "--addr", "239.1.1.1:8080"), `239\.1\.1\.1:8080`)
	})
}

func TestBufferSizesStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
			if peer.InOurNode(t) && sig == syscall.SIGTERM {
				break // which ends it in the other tests
			}
			p := start("udp_server/buffer_sizes")
			p.Ready()
			p.Line(".*")
			p.Signal(sig)
			p.Line(`read 0 datagrams, 0 bytes; .*`)
			p.Line("closed")
			p.Exit(0)
		}
	})
}

// In Node a socket has buffers to ask about once it is bound; the two setters do what the
// two options do.
func TestBufferSizesOfNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	node := harness.NodeScript(t, h, `
		const dgram = require('dgram')
		const one = dgram.createSocket({ type: 'udp4', recvBufferSize: 20000, sendBufferSize: 30000 })
		const other = dgram.createSocket('udp4')
		try { other.setRecvBufferSize(20000) } catch (e) { console.log(e.code, e.info.code) }
		one.bind(0, '127.0.0.1', () => other.bind(0, '127.0.0.1', () => {
			other.setRecvBufferSize(20000)
			other.setSendBufferSize(30000)
			console.log(one.getRecvBufferSize() === other.getRecvBufferSize() && one.getSendBufferSize() === other.getSendBufferSize())
			console.log(one.getSendQueueCount(), one.getSendQueueSize())
			one.close()
			other.close()
		}))`)
	node.Line("ERR_SOCKET_BUFFER_SIZE EBADF")
	node.Line("true")
	node.Line("0 0")
	node.Exit(0)
}
