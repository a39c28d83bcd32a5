package harness

import (
	"testing"

	"gotest.tools/v3/assert"
)

// What was mistyped is found, and what was never meant to be a section is not.
func TestNearest(t *testing.T) {
	sections := []string{"tcp_client/client", "tcp_server/half_open", "udp_client/client"}
	for word, want := range map[string]string{
		"tcp_server:half-open": "tcp_server:half_open",
		"udp_clint:client":     "udp_client:client",
		"halfopen":             "tcp_server:half_open",
		"python3":              "",
		"nc":                   "",
	} {
		assert.Equal(t, nearest(word, sections), want, word)
	}
}
