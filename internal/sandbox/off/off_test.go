//go:build unix

package off_test

import (
	"os"
	"testing"

	"mgx/internal/sandbox/off"
	"mgx/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	sandboxtest.Main()
	os.Exit(m.Run())
}

func TestContract(t *testing.T) { sandboxtest.Contract(t, off.New()) }
func TestTeeth(t *testing.T)    { sandboxtest.Teeth(t, off.New()) }
