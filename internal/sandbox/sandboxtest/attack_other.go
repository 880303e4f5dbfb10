//go:build unix && !linux

package sandboxtest

import (
	"testing"

	"mgx/internal/sandbox"
)

// Main returns at once: the attacks are of Linux.
func Main() {}

// Walls skips: there is no driver with walls for this system.
func Walls(t *testing.T, _ sandbox.Driver) { t.Skip("the attacks are of Linux") }

// Teeth skips as Walls does.
func Teeth(t *testing.T, _ sandbox.Driver) { t.Skip("the attacks are of Linux") }

// Sample skips as Walls does.
func Sample(t *testing.T, _ sandbox.Driver) { t.Skip("the attacks are of Linux") }
