package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"example.com/sockets/integration/harness"
)

// suite measures the suite itself: what the tests of a chapter cost for each of its
// sections, the test binary and the programs being built.
func suite() contest {
	c := contest{name: "the suite", unit: "s of processor time a section", less: true, alone: true}
	packages, _ := filepath.Glob("integration/*/*_test.go")
	for i, file := range packages {
		dir := filepath.Dir(file)
		if i > 0 && dir == filepath.Dir(packages[i-1]) {
			continue
		}
		program := sync.OnceValues(func() (string, error) {
			file, err := os.CreateTemp("", "bench")
			if err != nil {
				return "", err
			}
			file.Close()
			if out, err := exec.Command("go", "test", "-c", "-o", file.Name(), "./"+dir).CombinedOutput(); err != nil {
				return "", fmt.Errorf("%w: %s", err, out)
			}
			// The first run builds the programs.
			return file.Name(), exec.Command(file.Name(), "-test.run", "^$").Run()
		})
		chapter := filepath.Base(dir)
		sections := 0
		for _, section := range harness.Sections() {
			if chapter == "all" || strings.HasPrefix(section, chapter+"/") {
				sections++
			}
		}
		if sections == 0 {
			continue // the workshop's own tests
		}
		c.entries = append(c.entries, entry{name: fmt.Sprintf("%s, %d sections", chapter, sections), measure: func(testing.TB) (score, error) {
			program, err := program()
			if err != nil {
				return score{}, err
			}
			cmd := exec.Command(program)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				failed := regexp.MustCompile(`(?m)^\s*--- FAIL: \S+`).FindAllString(string(out), 5)
				return score{}, errors.Join(err, fmt.Errorf("%q", failed))
			}
			// Its own and that of all it started and waited for: the inner self, its programs.
			return score{Value: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() / float64(sections)}, nil
		}})
	}
	return c
}
