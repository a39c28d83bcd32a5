package udp_server

import (
	"os"
	"testing"

	"example.com/sockets/integration/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
