package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mgx/internal/sandbox/native"
)

// TestMain lets the test binary be mgx itself in the scripts, so that their
// processes run under the race detector when the tests do.
func TestMain(m *testing.M) {
	native.Main()
	testscript.Main(suite{m}, map[string]func(){
		"mgx": func() { os.Exit(run(os.Args[1:])) },
	})
}

type suite struct{ *testing.M }

func (s suite) Run() int {
	defer func() { os.RemoveAll(built.dir) }()
	return s.M.Run()
}

// built is the program as users have it. Tests with many processes run this one:
// under the race detector each command in the sandbox starts ten times slower.
var built struct {
	once sync.Once
	dir  string
	err  error
	out  []byte
}

// program builds mgx once and returns its path.
func program(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "mgx-test-"); built.err == nil {
			built.out, built.err = exec.Command("go", "build", "-o", built.dir, ".").CombinedOutput()
		}
	})
	if built.err != nil {
		t.Fatalf("build: %v\n%s", built.err, built.out)
	}
	return filepath.Join(built.dir, "mgx")
}
