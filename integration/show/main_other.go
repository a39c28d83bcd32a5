//go:build !linux

// Show needs network namespaces, which only Linux has.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "show: it needs network namespaces, which only Linux has; the programs themselves run here")
	os.Exit(1)
}
