//go:build linux

package native_test

import (
	"os"
	"testing"

	"mgx/internal/sandbox/native"
	"mgx/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	sandboxtest.Main()
	playRole()
	playChain()
	os.Exit(m.Run())
}

func TestContract(t *testing.T) { sandboxtest.Contract(t, native.New()) }
func TestWalls(t *testing.T)    { sandboxtest.Walls(t, native.New(), "native") }

func TestLiteContract(t *testing.T) { sandboxtest.Contract(t, native.NewLite()) }
func TestLiteWalls(t *testing.T)    { sandboxtest.Walls(t, native.NewLite(), "lite") }

func TestWallsAsAnOrdinaryUser(t *testing.T) {
	sandboxtest.AsUser(t, sandboxtest.Ordinary(), "--clear-groups", "^(TestWalls|TestLiteWalls)$")
}
