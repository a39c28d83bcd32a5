package udp_server

import (
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// As the page shows it.
func TestAddressTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	given := harness.Start(t, h, "udp_server/address")
	given.Line(`listening on 127\.0\.0\.1:8080`)
	given.Line(`address: 127\.0\.0\.1`)
	given.Line(`port: 8080`)
	given.Line(`family: IPv4`)
	given.Stop()
	any6 := harness.Start(t, h, "udp_server/address", "-network", "udp6", "-addr", ":8080")
	any6.Line(`listening on \[::\]:8080`)
	any6.Line(`address: ::`)
	any6.Line(`port: 8080`)
	any6.Line(`family: IPv6`)
	any6.Stop()
	harness.Transcript(t, "address.txt", given, any6)
}

// A multicast group is refused: a socket that has not joined it would wait in vain.
func TestAddressGroup(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		refusesGroup(t, start("udp_server/address", "--addr", "239.1.1.1:8080"), `239\.1\.1\.1:8080`)
		refusesGroup(t, start("udp_server/address", "--network", "udp6", "--addr", "[ff02::1]:8080"), `\[ff02::1\]:8080`)
	})
}

// A signal ends it.
func TestAddressStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		peer.StopBy(t, func() *harness.Program {
			p := start("udp_server/address")
			p.Ready()
			p.Line("address: .*")
			p.Line("port: .*")
			p.Line("family: .*")
			return p
		})
	})
}

// In Node address() throws before bind has come to an end, on which it tells
// address, family and port.
func TestAddressOfNode(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	node := harness.NodeScript(t, h, `
		const socket = require('dgram').createSocket('udp4')
		const tell = () => { try { console.log(socket.address()) } catch (e) { console.log(e.code) } }
		socket.on('listening', () => { tell(); socket.close() })
		tell()
		socket.bind(8080, '127.0.0.1')
		tell()`)
	node.Line("EBADF")
	node.Line("EBADF")
	node.Line(`\{ address: '127\.0\.0\.1', family: 'IPv4', port: 8080 \}`)
	node.Exit(0)
}
