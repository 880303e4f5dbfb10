package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(built.dir)
	os.Exit(code)
}

// built is the program as users have it. Tests with processes run this one: under
// the race detector each command in the sandbox starts ten times slower.
var built struct {
	once sync.Once
	dir  string
	err  error
	out  []byte
}

// programEnv names the program where somebody has built it, for tests that run as
// another user.
const programEnv = "MGX_TEST_PROGRAM"

// program builds mgx once and returns its path.
func program(t testing.TB) string {
	t.Helper()
	if given := os.Getenv(programEnv); given != "" {
		return given
	}
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

// TestDemoInProcess is the whole job within this process, so that the race
// detector sees it.
func TestDemoInProcess(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	var out, stderr bytes.Buffer
	c := &cli{in: strings.NewReader(""), out: &out, err: &stderr, getenv: func(name string) string {
		if name == "HOME" {
			return home
		}
		return ""
	}}
	root := c.command()
	root.SetArgs([]string{"demo"})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if !strings.Contains(stderr.String(), "mgx/add-a-healthz-endpoint/run-1") {
		t.Errorf("no branch in\n%s", stderr.String())
	}
}
