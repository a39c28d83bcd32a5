package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

// suite measures the suite itself: the tests of each chapter, the test binary and
// the programs being built.
func suite() contest {
	c := contest{name: "the suite", unit: "s", less: true, alone: true}
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
		c.entries = append(c.entries, entry{name: filepath.Base(dir), measure: func(testing.TB) (score, error) {
			program, err := program()
			if err != nil {
				return score{}, err
			}
			cmd := exec.Command(program)
			cmd.Dir = dir
			began := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				failed := regexp.MustCompile(`(?m)^\s*--- FAIL: \S+`).FindAllString(string(out), 5)
				return score{}, errors.Join(err, fmt.Errorf("%q", failed))
			}
			return score{Value: time.Since(began).Seconds()}, nil
		}})
	}
	return c
}
