package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sockets/integration/harness"
)

// suite measures the suite itself: the tests of 5 sections, of 10, and so on,
// and of everything, the test binary and the sections being built.
func suite() contest {
	c := contest{name: "the suite", unit: "s", less: true, alone: true}
	sections := slices.Sorted(maps.Keys(harness.Built()))
	// The sections that bench has built serve the suite too.
	dir := os.Getenv("SOCKETS_PROGRAMS")
	absent := ""
	if dir == "" {
		absent = "only when started by go run"
	}
	program := filepath.Join(dir, "integration.test")
	tests := sync.OnceValues(func() ([]string, error) {
		build := exec.Command("go", "test", "-c", "-o", program, "./integration")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
		out, err := exec.Command(program, "-test.list", ".").Output()
		return strings.Fields(string(out)), err
	})
	add := func(name string, sections []string) {
		c.entries = append(c.entries, entry{name: name, absent: absent, measure: func(testing.TB) (score, error) {
			all, err := tests()
			if err != nil {
				return score{}, err
			}
			chosen := "."
			if sections != nil {
				chosen = "^(" + strings.Join(testsOf(all, sections), "|") + ")$"
			}
			cmd := exec.Command(program, "-test.run", chosen)
			cmd.Dir = "integration"
			began := time.Now()
			out, err := cmd.CombinedOutput()
			if err != nil {
				failed := regexp.MustCompile(`(?m)^\s*--- FAIL: \S+`).FindAllString(string(out), 5)
				err = errors.Join(err, fmt.Errorf("%q", failed))
			}
			return score{Value: time.Since(began).Seconds()}, err
		}})
	}
	for _, n := range []int{5, 10, 20, 30} {
		if n > len(sections) {
			break
		}
		var some []string // from every chapter
		for i := range n {
			some = append(some, sections[i*len(sections)/n])
		}
		add(fmt.Sprintf("%d sections", n), some)
	}
	add(fmt.Sprintf("all %d sections, lab and tools", len(sections)), nil)
	return c
}

// testsOf returns the tests of some sections: a test's name begins with its
// section's, as TestTCPServerHalfOpen with tcp_server/half_open.
func testsOf(tests, sections []string) (chosen []string) {
	for _, test := range tests {
		best, of := 0, ""
		for section := range harness.Built() {
			name := "Test"
			for _, word := range strings.FieldsFunc(section, func(r rune) bool { return strings.ContainsRune("/_", r) }) {
				if word == "tcp" || word == "udp" || word == "ttl" {
					word = strings.ToUpper(word)
				}
				name += strings.ToUpper(word[:1]) + word[1:]
			}
			if strings.HasPrefix(test, name) && len(name) > best {
				best, of = len(name), section
			}
		}
		if slices.Contains(sections, of) {
			chosen = append(chosen, test)
		}
	}
	return chosen
}
