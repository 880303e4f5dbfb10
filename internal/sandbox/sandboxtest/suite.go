//go:build unix

// Package sandboxtest is the suite that every sandbox driver runs.
//
// [Contract] holds what the interface promises of all drivers. [Walls] attacks a
// driver whose level is basic or better, from inside, with the running test
// binary as the attacker; and to show that the attacks are real, [Teeth] runs
// the harmless ones without walls, where each must succeed.
//
// A test binary that calls these must call [Main] first in its TestMain.
package sandboxtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
)

// patience is the time-out of commands that are expected to end by themselves.
const patience = 60 * time.Second

// world is a box, and the host around it.
type world struct {
	t       *testing.T
	box     sandbox.Box
	work    string // the workspace
	state   string
	outside string // a directory that the box must not see
	secret  string // a file in it
	spec    sandbox.Spec
}

const secretText = "the secret of the host"

// attacker is where a box shows the test binary.
const attacker = "/attacker/probe"

// open builds a world; change may alter the spec before the box opens.
func open(t *testing.T, d sandbox.Driver, change func(*world)) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, work: filepath.Join(dir, "work"), state: filepath.Join(dir, "state"), outside: filepath.Join(dir, "outside")}
	w.secret = filepath.Join(w.outside, "secret")
	for _, d := range []string{w.work, w.outside} {
		must(t, os.Mkdir(d, 0o755))
	}
	must(t, os.WriteFile(w.secret, []byte(secretText), 0o600))
	exe, err := os.Executable()
	must(t, err)
	w.spec = sandbox.Spec{
		ID: t.Name(), Work: w.work, State: w.state,
		Mounts: []sandbox.Mount{{Host: exe, Guest: attacker, Mode: sandbox.ReadOnly}},
		Limits: sandbox.Limits{Tmp: 32 << 20, FileSize: 1 << 30, Processes: 256},
	}
	if change != nil {
		change(w)
	}
	w.box, err = d.Open(t.Context(), w.spec)
	must(t, err)
	t.Cleanup(func() {
		if err := w.box.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outcome is how a command ended, with what it wrote.
type outcome struct {
	sandbox.Result
	out, err string
}

// run runs a command to its end; streams that it does not set are collected.
func (w *world) run(cmd sandbox.Command) outcome {
	w.t.Helper()
	var out, err bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &err
	}
	if cmd.Timeout == 0 {
		cmd.Timeout = patience
	}
	r, e := w.box.Run(w.t.Context(), cmd)
	must(w.t, e)
	return outcome{r, out.String(), err.String()}
}

func (w *world) sh(script string) outcome {
	w.t.Helper()
	return w.run(sandbox.Command{Args: []string{"sh", "-c", script}})
}

// ok runs a script that must succeed and returns its output without the last
// newline.
func (w *world) ok(script string) string {
	w.t.Helper()
	o := w.sh(script)
	if o.ExitCode != 0 {
		w.t.Fatalf("%s: exit code %d\n%s%s", script, o.ExitCode, o.out, o.err)
	}
	return strings.TrimSuffix(o.out, "\n")
}

func (w *world) write(name, text string) {
	w.t.Helper()
	must(w.t, os.MkdirAll(filepath.Dir(filepath.Join(w.work, name)), 0o755))
	must(w.t, os.WriteFile(filepath.Join(w.work, name), []byte(text), 0o644))
}

func (w *world) read(name string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.work, name))
	must(w.t, err)
	return string(b)
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}
