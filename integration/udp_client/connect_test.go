package udp_client

import (
	"fmt"
	"net/netip"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Until Enter the socket is one that takes everybody's datagrams, empty and large ones
// too. The end of stdin is no Enter.
func TestConnectNotYet(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		for _, ip := range []string{"127.0.0.1", "[::1]"} {
			if peer.InOurNode(t) && ip == "[::1]" {
				break // TestConnectPeerOnly has a stranger there
			}
			p := start("udp_client/connect", "--addr", ip+":8080", "--from", ip+":8081")
			addr := listens(p)
			for size := range map[int]bool{0: true, 5: true, 8000: true} {
				stranger := peer.ListenUDP(t, h, "udp", ip+":0")
				peer.SendUDP(t, stranger, addr, string(make([]byte, size)))
				p.Line(fmt.Sprintf(`\Q%v\E sent %d bytes: "(\\x00|\\u0000){0,64}"`, peer.AddrOf(stranger), size))
			}
			p.Stop()
		}
	})
}

// Node checks by itself what is connected: connecting twice, disconnecting twice and the
// address of a peer that is none throw.
func TestConnectOfNode(t *testing.T) {
	t.Parallel()
	node := harness.NodeScript(t, lab.NewHost(t, "h"), `
		const socket = require('dgram').createSocket('udp4')
		const what = (f) => { try { console.log(f()) } catch (e) { console.log(e.code) } }
		what(() => socket.remoteAddress())
		what(() => socket.disconnect())
		socket.connect(8080, '127.0.0.1', () => {
			what(() => socket.remoteAddress().port)
			what(() => socket.connect(8081, '127.0.0.1'))
			what(() => socket.disconnect())
			what(() => socket.remoteAddress())
			what(() => socket.disconnect())
			socket.close()
		})`)
	for _, line := range []string{
		"ERR_SOCKET_DGRAM_NOT_CONNECTED", "ERR_SOCKET_DGRAM_NOT_CONNECTED",
		"8080", "ERR_SOCKET_DGRAM_IS_CONNECTED", "undefined",
		"ERR_SOCKET_DGRAM_NOT_CONNECTED", "ERR_SOCKET_DGRAM_NOT_CONNECTED",
	} {
		node.Line(line)
	}
	node.Exit(0)
}

func TestConnectStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.StopBy(t, func() *harness.Program {
			p := start("udp_client/connect")
			listens(p)
			return p
		})
	})
}

// listens waits for the program's first line, and returns where it listens.
func listens(p *harness.Program) netip.AddrPort { return netip.MustParseAddrPort(p.Ready()) }
