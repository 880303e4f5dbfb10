//go:build unix && !linux

package sandboxtest

import (
	"testing"

	"mgx/internal/sandbox"
)

// Main returns at once: the attacks are of Linux.
func Main() {}

// Teeth skips: there is no driver with walls for this system.
func Teeth(t *testing.T, _ sandbox.Driver) { t.Skip("the attacks are of Linux") }
