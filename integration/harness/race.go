//go:build race

package harness

func init() { buildFlags = append(buildFlags, "-race") }
