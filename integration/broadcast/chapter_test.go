package broadcast

import (
	"os"
	"testing"

	"example.com/sockets/integration/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// broadcasting waits for the server's first line and returns from where it sends.
func broadcasting(p *harness.Program, to string) (port string) {
	return p.Line(`sending to \Q` + to + `\E from 0\.0\.0\.0:(\d+)`)[0]
}
