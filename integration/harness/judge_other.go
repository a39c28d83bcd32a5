//go:build !linux

package harness

import (
	"example.com/sockets/integration/diagram"
	"example.com/sockets/integration/lab"
)

type watch struct{}

func (watch) stop() {}

func (r *record) watch(*lab.Host) {}

func (r *record) wire() *diagram.Diagram { return nil }

func groupOf(int) []int { return nil }
