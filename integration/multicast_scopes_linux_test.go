package integration

import (
	"testing"

	"example.com/sockets/integration/lab"
)

// What the page says of Node's BlockList.
func TestMulticastScopesInNode(t *testing.T) {
	t.Parallel()
	p := startNode(t, lab.NewHost(t, "h"), `
const net = require('net')
const adminScoped = new net.BlockList()
adminScoped.addSubnet('239.0.0.0', 8)
console.log(adminScoped.check('239.255.0.1'), adminScoped.check('230.185.192.108'))
`)
	p.Line("true false")
	p.Exit(0)
}
