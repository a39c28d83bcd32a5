package pages

import (
	"errors"
	"os"
	"path/filepath"
)

// Top returns the project's top folder: where bazel run was typed, or the one
// above that has a MODULE.bazel. A test under Bazel runs in a tree of links to
// what it declares, and if it declares MODULE.bazel is led to the real one.
func Top() (string, error) {
	if dir := os.Getenv("BUILD_WORKSPACE_DIRECTORY"); dir != "" { // set by bazel run
		return dir, nil
	}
	dir, err := os.Getwd()
	for err == nil {
		if module, e := filepath.EvalSymlinks(filepath.Join(dir, "MODULE.bazel")); e == nil {
			return filepath.Dir(module), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not inside the project: no MODULE.bazel here or above")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
