package tcp_client

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// refusedThere is what a client says when nobody listens at an address.
func refusedThere(addr string) string {
	return fmt.Sprintf(`(?:dial tcp %s: connect: connection refused|connect ECONNREFUSED %[1]s)`, addr)
}

// goesOn demands that a client tells of attempt n that has failed, and returns the pause
// that it takes. The words for the cause are a program's own.
func goesOn(p *harness.Program, n int, cause string) (pause string) {
	if p.Foreign() {
		cause = ".*"
	}
	return p.Line(fmt.Sprintf(`attempt %d: %s; again in (\S+)`, n, cause))[0]
}

// Connected, the client waits for the peer's FIN, whatever its flags for connecting say:
// more silence than -timeout is no matter.
func TestConnectingHolds(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "connecting", "--timeout", "3s")
		remote.SetReadDeadline(time.Now().Add(4 * time.Second))
		_, err := remote.Read(make([]byte, 1))
		assert.ErrorContains(t, err, "i/o timeout")
		assert.NilError(t, remote.CloseWrite())
		client.Line("closed")
		client.Exit(0)
	})
}

// A signal ends the connection.
func TestConnectingStop(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "connecting")
		stopWaiting(t, client, syscall.SIGINT) // and the other one in TestConnectingStopInPause
		assert.Equal(t, readToFIN(t, remote), "")
	})
}

// A signal ends a pause, at once.
func TestConnectingStopInPause(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client := start("tcp_client/connecting", "--addr", "127.0.0.1:1", "--tries", "2", "--pause", "1h")
		goesOn(client, 1, refusedThere("127.0.0.1:1"))
		stopWaiting(t, client, syscall.SIGTERM)
	})
}

// A reset is an error: one line, and exit code 1.
func TestConnectingReset(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client, remote := dialled(t, h, start, "connecting", "--tries", "9")
		testReset(t, client, remote)
	})
}

// When no attempt is left the last one's error is told, with exit code 1.
func TestConnectingGivesUp(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		client := start("tcp_client/connecting", "--addr", "127.0.0.1:1", "--tries", "3", "--pause", "1ms")
		for n := 1; n < 3; n++ {
			goesOn(client, n, refusedThere("127.0.0.1:1"))
		}
		client.ExitSaying(1, `connecting: `+refusedThere("127.0.0.1:1")+`\n`)
	})
}

// What no attempt can mend ends at the first: what is no address.
func TestConnectingNoAddress(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:65536", "::1:0"} {
		peer.Refuses(t, h, "tcp_client/connecting", `dial tcp: address .*`, "-addr", addr, "-tries", "9")
	}
}

// A time, a number or a pause out of range is refused before an attempt: Go would take a
// -timeout below 0 for one that is over.
func TestConnectingRange(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	for _, args := range []string{"-timeout -1s", "-timeout -1ns", "-tries 0", "-pause 999us", "-pause 1h1ns"} {
		peer.Refuses(t, h, "tcp_client/connecting", `want -timeout 0 or more, -tries 1 or more, -pause 1ms to 1h and no argument, not .*`, strings.Fields(args)...)
	}
}

// Nobody there, or a name that means nothing.
func TestConnectingFailures(t *testing.T) {
	t.Parallel()
	testFailures(t, "connecting")
}
