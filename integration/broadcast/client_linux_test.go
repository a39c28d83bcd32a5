package broadcast

import (
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Three clients on one machine and two on another each receive each datagram,
// once: the directed broadcast of a network.
func TestClientsAllReceive(t *testing.T) {
	t.Parallel()
	segment := lab.NewSegment(t, "segment")
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	segment.Join(t, a, "10.0.0.1/24")
	segment.Join(t, b, "10.0.0.2/24")
	var clients []*harness.Program
	for _, on := range []*lab.Host{a, a, a, b, b} {
		client := harness.Start(t, on, "broadcast/client", "-addr", "10.0.0.255:8080")
		client.Line(`listening on 10\.0\.0\.255:8080`)
		clients = append(clients, client)
	}
	for range 3 { // a second copy of one would not be the line of the next
		data, port := broadcastOnce(t, harness.Go(t, a), "10.0.0.255:8080")
		for _, client := range clients {
			client.Line(`10\.0\.0\.1:` + port + `: ` + data)
		}
	}
	for _, client := range clients {
		client.Stop()
	}
}

// Bound to one of the machine's own addresses, a socket receives no broadcast; bound
// to a broadcast address it receives what is sent to that, and nothing else; bound to
// 0.0.0.0, all.
func TestClientBoundToAnAddress(t *testing.T) {
	harness.Both(t, func(t *testing.T, b *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		a := lab.NewHost(t, "a")
		lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
		a.Route(t, "0.0.0.0/0", "10.0.0.2")
		bound := map[string]*harness.Program{}
		for _, ip := range []string{"0.0.0.0", "10.0.0.2", "10.0.0.255", "255.255.255.255"} {
			binds := start
			if peer.InOurNode(t) && (ip == "10.0.0.2" || ip == "255.255.255.255") {
				binds = harness.Go(t, b) // to Node an address is an address
			}
			bound[ip] = binds("broadcast/client", "--addr", ip+":8080")
			assert.Equal(t, bound[ip].Ready(), ip+":8080")
		}
		for range 2 { // another's, of the first round, would not be the line of the second
			for _, ip := range []string{"10.0.0.255", "255.255.255.255", "10.0.0.2"} {
				data, port := broadcastOnce(t, harness.Go(t, a), ip+":8080")
				bound[ip].Line(`10\.0\.0\.1:` + port + `: ` + data)
				if ip != "10.0.0.2" { // of those with one port, the kernel gives unicast to one
					bound["0.0.0.0"].Line(`10\.0\.0\.1:` + port + `: ` + data)
				}
			}
		}
		for _, p := range bound {
			p.Stop()
		}
	})
}

// By default nothing from outside gets in, however it is addressed.
func TestClientDefaultIsThisMachine(t *testing.T) {
	harness.Both(t, func(t *testing.T, b *lab.Host, start harness.Starter) {
		lab.Require(t, "namespaces", lab.Isolated())
		a := lab.NewHost(t, "a")
		lab.Link(t, a, "10.0.0.1/24", b, "10.0.0.2/24")
		a.Route(t, "0.0.0.0/0", "10.0.0.2")
		client, witness := start("broadcast/client"), listening(t, b)
		client.Line(`listening on 127\.255\.255\.255:8080`)
		for _, to := range []string{"10.0.0.2:8080", "10.0.0.255:8080", "255.255.255.255:8080"} {
			data, port := broadcastOnce(t, harness.Go(t, a), to)
			witness.Line(`10\.0\.0\.1:` + port + `: ` + data)
		}
		data, port := broadcastOnce(t, harness.Go(t, b), "127.255.255.255:8080")
		client.Line(`127\.0\.0\.1:` + port + `: ` + data) // and nothing came before it
		witness.Await(`127\.0\.0\.1:` + port + `: ` + data)
		client.Stop()
		witness.Stop()
	})
}
