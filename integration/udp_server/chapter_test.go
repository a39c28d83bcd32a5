package udp_server

import (
	"os"
	"strconv"
	"testing"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// wrongNetworks lists what -network is not.
func wrongNetworks(name string) (wrong []peer.Misuse) {
	for _, network := range []string{"udp", "tcp4", "UDP4", "", "ip4:udp"} {
		wrong = append(wrong, peer.Misuse{Args: []string{"-network", network}, Message: name + ": -network " + strconv.Quote(network) + " is not udp4 or udp6"})
	}
	return wrong
}
