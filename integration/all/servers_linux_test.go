package all

import "testing"

// With no descriptor free a server neither dies nor spins, and whoever waits is
// served once another has gone.
func TestServersExhausted(t *testing.T) {
	t.Parallel()
	for _, s := range everyServer(t) {
		if s.Relays { // to serve one it needs two, see tcp_server.TestRelayExhausted
			continue
		}
		t.Run(s.Section, func(t *testing.T) {
			t.Parallel()
			s.Exhausted(t)
		})
	}
}
