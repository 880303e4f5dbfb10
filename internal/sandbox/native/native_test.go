//go:build linux

package native_test

import (
	"os"
	"testing"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/landlock"
	"mgx/internal/sandbox/native"
	"mgx/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	sandboxtest.Main()
	playRole()
	playChain()
	playBuffers()
	playModules()
	os.Exit(m.Run())
}

func TestContract(t *testing.T) { sandboxtest.Contract(t, native.New()) }
func TestWalls(t *testing.T)    { sandboxtest.Walls(t, native.New(), "native") }

func TestLiteContract(t *testing.T) { sandboxtest.Contract(t, lite(t)) }
func TestLiteWalls(t *testing.T)    { sandboxtest.Walls(t, lite(t), "lite") }

// lite is for kernels that have it; on others it must say so, and run nothing.
func lite(t *testing.T) sandbox.Driver {
	t.Helper()
	d := native.NewLite()
	if confine.FindWalls().Landlock >= landlock.VersionTruncate {
		return d
	}
	_, err := d.Open(t.Context(), sandbox.Spec{Work: t.TempDir()})
	if level := d.Probe(t.Context()).Level; level != "" || !mgx.IsCode(err, "sandbox_unavailable") {
		t.Fatalf("level %q without Landlock, and a box opens with %v", level, err)
	}
	t.Skip(err)
	return nil
}

func TestWallsAsAnOrdinaryUser(t *testing.T) {
	sandboxtest.AsUser(t, sandboxtest.Ordinary(), "--clear-groups", "^(TestWalls|TestLiteWalls)$")
}
