// Package lab gives a test hosts of its own, on links of its own.
//
// On Linux a host is a network namespace and a link is a veth pair, all inside
// a user namespace that the suite enters when it starts (see Enter), so no root
// is needed, no port is ever taken and nothing can leave. Elsewhere there is
// one host, the machine's own loopback interface, and what needs more is
// skipped by name.
package lab

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Require skips the test unless have is true, and names what is missing. Where
// SOCKETS_REQUIRE, a list with commas, holds the name, it fails instead: a
// machine that is meant to have the feature must not be green without it.
func Require(t testing.TB, name string, have bool) {
	t.Helper()
	switch {
	case have:
	case demanded(name):
		t.Fatalf("this machine has no %s, and SOCKETS_REQUIRE demands it", name)
	default:
		t.Skipf("this machine has no %s", name)
	}
}

func demanded(name string) bool {
	return slices.Contains(strings.Split(os.Getenv("SOCKETS_REQUIRE"), ","), name)
}
