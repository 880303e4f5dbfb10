//go:build unix

package sandboxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/sandbox"
)

// Contract checks what every driver promises.
func Contract(t *testing.T, d sandbox.Driver) {
	for _, c := range []struct {
		name string
		test func(*testing.T, sandbox.Driver)
	}{
		{"exit codes", exitCodes},
		{"programs are found by the box's PATH", lookup},
		{"refuses what cannot run as asked", refusals},
		{"output keeps its order in one writer", outputOrder},
		{"output comes as it is written", outputStreams},
		{"a slow writer holds the command back", backPressure},
		{"a failed writer breaks the pipe", brokenWriter},
		{"standard input", standardInput},
		{"an input that never ends is not waited for", endlessInput},
		{"a terminal or file of ours is never handed on", noFilePassed},
		{"the environment is the box's alone", cleanEnvironment},
		{"the working directory", workingDirectory},
		{"a program may want no core files", noCoreFiles},
		{"the deadline kills the tree", deadline},
		{"a cancelled ctx kills the tree", cancel},
		{"what is left behind dies with the command", leftovers},
		{"commands side by side", sideBySide},
		{"many commands leave nothing behind", noLeaks},
		{"a directory mounted over one of the workspace", mountInWorkspace},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, d) })
	}
}

func exitCodes(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	w.write("plain", "not a program")
	w.write("orphan", "#!/no/such/interpreter\n")
	must(t, os.Chmod(filepath.Join(w.work, "orphan"), 0o755))
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"true"}, 0},
		{[]string{"false"}, 1},
		{[]string{"sh", "-c", "exit 42"}, 42},
		{[]string{"sh", "-c", "exit 255"}, 255},
		{[]string{"sh", "-c", "kill -TERM $$"}, 128 + 15},
		{[]string{"sh", "-c", "kill -KILL $$"}, 128 + 9},
		{[]string{"sh", "-c", "kill -SEGV $$"}, 128 + 11},
		{[]string{"no-such-program"}, 127},
		{[]string{""}, 127},
		{[]string{"/no/such/program"}, 127},
		{[]string{"./plain"}, 126},
		{[]string{"./orphan"}, 127},
		{[]string{w.box.Path(sandbox.Workspace)}, 126},
	} {
		o := w.run(sandbox.Command{Args: c.args})
		equal(t, fmt.Sprint(c.args), o.ExitCode, c.code)
		if (c.code == 126 || c.code == 127) && !strings.HasPrefix(o.err, "mgx: ") {
			t.Errorf("%v says %q", c.args, o.err)
		}
		if o.TimedOut {
			t.Errorf("%v: timed out", c.args)
		}
	}
}

func lookup(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	w.write("bin/greet", "#!/bin/sh\necho hello\n")
	must(t, os.Chmod(filepath.Join(w.work, "bin/greet"), 0o755))
	bin := w.box.Path(sandbox.Workspace + "/bin")

	equal(t, "without PATH", w.run(sandbox.Command{Args: []string{"greet"}}).ExitCode, 127)
	o := w.run(sandbox.Command{Args: []string{"greet"}, Env: []string{"PATH=" + bin + ":" + sandbox.DefaultPath}})
	equal(t, "with PATH", o.out, "hello\n")
	o = w.run(sandbox.Command{Args: []string{"greet"}, Dir: sandbox.Workspace + "/bin", Env: []string{"PATH=.::bin"}})
	equal(t, "relative PATH", o.ExitCode, 127)
	o = w.run(sandbox.Command{Args: []string{"./greet"}, Dir: sandbox.Workspace + "/bin"})
	equal(t, "relative program", o.out, "hello\n")
}

func refusals(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	for what, cmd := range map[string]sandbox.Command{
		"no arguments": {Timeout: patience},
		"no time-out":  {Args: []string{"true"}},
		"no such dir":  {Args: []string{"true"}, Timeout: patience, Dir: sandbox.Workspace + "/absent"},
		"dir is file":  {Args: []string{"true"}, Timeout: patience, Dir: "/bin/sh"},
		"nul in args":  {Args: []string{"echo", "a\x00b"}, Timeout: patience},
		"mount absent": {Args: []string{"true"}, Timeout: patience, Mounts: []sandbox.Mount{{Host: filepath.Join(w.outside, "absent"), Guest: "/x", Mode: sandbox.ReadOnly}}},
	} {
		_, err := w.box.Run(t.Context(), cmd)
		if e, ok := errors.AsType[*mgx.Error](err); !ok || e.Kind != mgx.KindUsage {
			t.Errorf("%s: %v", what, err)
		}
	}
	equal(t, "afterwards", w.ok("echo fine"), "fine")

	for what, spec := range map[string]sandbox.Spec{
		"no workspace":       {Work: filepath.Join(w.outside, "absent")},
		"workspace is file":  {Work: w.secret},
		"relative workspace": {Work: "."},
		"mount absent":       {Work: w.work, Mounts: []sandbox.Mount{{Host: filepath.Join(w.outside, "absent"), Guest: "/x", Mode: sandbox.ReadOnly}}},
	} {
		box, err := d.Open(t.Context(), spec)
		if e, ok := errors.AsType[*mgx.Error](err); !ok || e.Kind != mgx.KindUsage {
			t.Errorf("%s: %v, %v", what, box, err)
		}
	}
}

func outputOrder(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	var both bytes.Buffer
	w.run(sandbox.Command{
		Args:   []string{"sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done"},
		Stdout: &both, Stderr: &both,
	})
	var want strings.Builder
	for i := 1; i <= 9; i++ {
		fmt.Fprintf(&want, "out %d\nerr %d\n", i, i)
	}
	equal(t, "output", both.String(), want.String())
}

// outputStreams lets the command go on only after its first line has arrived.
func outputStreams(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	in, answer := io.Pipe()
	out := writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("first")) {
			go answer.Write([]byte("go\n"))
		}
		return len(p), nil
	})
	o := w.run(sandbox.Command{Args: []string{"sh", "-c", "echo first; read go; echo last"}, Stdin: in, Stdout: out})
	equal(t, "exit code", o.ExitCode, 0)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func backPressure(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	const size = 48 << 20
	var total, largest int
	out := writerFunc(func(p []byte) (int, error) {
		total += len(p)
		largest = max(largest, len(p))
		return len(p), nil
	})
	w.run(sandbox.Command{Args: []string{"sh", "-c", fmt.Sprintf("head -c %d /dev/zero", size)}, Stdout: out})
	equal(t, "bytes", total, size)
	if largest > 1<<20 {
		t.Errorf("%d bytes in one write", largest)
	}
}

func brokenWriter(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	full := writerFunc(func([]byte) (int, error) { return 0, errors.New("full") })
	o := w.run(sandbox.Command{Args: []string{"sh", "-c", "exec cat /dev/zero"}, Stdout: full})
	want := 128 + 13
	if w.box.Level() == sandbox.LevelGVisor { // which sends no signal for a pipe of the host, and so cat says what is wrong
		want = 1
	}
	equal(t, "exit code", o.ExitCode, want)
}

func standardInput(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	equal(t, "none", w.ok("cat | wc -c | tr -d ' '"), "0")
	big := strings.Repeat("0123456789abcdef", 1<<16)
	o := w.run(sandbox.Command{Args: []string{"cat"}, Stdin: strings.NewReader(big)})
	equal(t, "echoed", o.out == big, true)
	o = w.run(sandbox.Command{Args: []string{"true"}, Stdin: strings.NewReader(big)})
	equal(t, "not read", o.ExitCode, 0)
}

func endlessInput(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	in, stop := io.Pipe()
	defer stop.Close()
	o := w.run(sandbox.Command{Args: []string{"true"}, Stdin: in})
	equal(t, "exit code", o.ExitCode, 0)
}

func noFilePassed(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	f, err := os.Create(filepath.Join(w.outside, "log"))
	must(t, err)
	defer f.Close()
	o := w.run(sandbox.Command{Args: []string{"sh", "-c", "for i in 0 1 2; do test -p /dev/fd/$i || exit 1; done; echo through"}, Stdin: f, Stdout: f, Stderr: f})
	equal(t, "all pipes", o.ExitCode, 0)
	text, err := os.ReadFile(f.Name())
	must(t, err)
	equal(t, "written", string(text), "through\n")
}

func cleanEnvironment(t *testing.T, d sandbox.Driver) {
	for _, name := range []string{"MGX_SECRET", "LD_PRELOAD_X", "NODE_OPTIONS", "OPENAI_API_KEY", "GIT_DIR", "BASH_ENV"} {
		t.Setenv(name, secretText)
	}
	w := open(t, d, func(w *world) { w.spec.Env = []string{"A=box", "B=box", "LANG=C"} })
	o := w.run(sandbox.Command{Args: []string{"env"}, Env: []string{"B=command", "C=a=b c"}})
	got := strings.Split(strings.TrimSpace(o.out), "\n")
	want := sandbox.Environ(w.box.Path("/home/mgx"), w.box.Path("/tmp"), []string{"A=box", "B=command", "C=a=b c", "LANG=C"})
	slices.Sort(got)
	slices.Sort(want)
	equal(t, "environment", strings.Join(got, "\n"), strings.Join(want, "\n"))
	w.ok(`test -d "$HOME" && test -d "$TMPDIR" && echo x >"$HOME/file" && echo x >"$TMPDIR/file"`)
}

func workingDirectory(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	w.write("sub dir/file", "here")
	equal(t, "default", w.ok("pwd -P"), real(t, w.box.Path(sandbox.Workspace)))
	o := w.run(sandbox.Command{Args: []string{"cat", "file"}, Dir: sandbox.Workspace + "/sub dir"})
	equal(t, "in a directory", o.out, "here")
	w.ok("echo made >made")
	equal(t, "seen on the host", w.read("made"), "made\n")
}

// real resolves links where the path is one of the host.
func real(t *testing.T, name string) string {
	if r, err := filepath.EvalSymlinks(name); err == nil {
		return r
	}
	return name
}

// alive starts, in the script's background, a process that holds a fifo, and
// returns a function that says whether it is gone: the fifo ends when nobody
// holds it.
func (w *world) alive() (script string, gone func() bool) {
	w.t.Helper()
	name := filepath.Join(w.work, "alive")
	must(w.t, mkfifo(name))
	r, err := os.OpenFile(name, os.O_RDONLY|nonblock, 0)
	must(w.t, err)
	w.t.Cleanup(func() { r.Close() })
	return "exec 9>alive; ", func() bool {
		r.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err := io.Copy(io.Discard, r)
		return err == nil
	}
}

// noCoreFiles has a program hear that it gets what it asks for, whatever is done.
func noCoreFiles(t *testing.T, d sandbox.Driver) {
	open(t, d, nil).ok("ulimit -c 0")
}

func deadline(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	script, gone := w.alive()
	begin := time.Now()
	o := w.run(sandbox.Command{
		Args:    []string{"sh", "-c", script + "trap '' TERM INT HUP; sleep 1000 & (sleep 1000; echo never) & echo started; wait"},
		Timeout: 2 * time.Second,
	})
	equal(t, "timed out", o.TimedOut, true)
	equal(t, "exit code", o.ExitCode, 137)
	equal(t, "output before", o.out, "started\n")
	equal(t, "all dead", gone(), true)
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func cancel(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	script, gone := w.alive()
	ctx, stop := context.WithCancel(t.Context())
	started := writerFunc(func(p []byte) (int, error) { stop(); return len(p), nil })
	_, err := w.box.Run(ctx, sandbox.Command{Args: []string{"sh", "-c", script + "echo started; sleep 1000"}, Stdout: started, Timeout: patience})
	equal(t, "code", mgx.IsCode(err, mgx.CodeCancelled), true)
	equal(t, "all dead", gone(), true)

	_, err = w.box.Run(ctx, sandbox.Command{Args: []string{"true"}, Timeout: patience})
	equal(t, "code when cancelled before", mgx.IsCode(err, mgx.CodeCancelled), true)
}

func leftovers(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	script, gone := w.alive()
	begin := time.Now()
	o := w.sh(script + "sleep 1000 & echo done")
	equal(t, "output", o.out, "done\n")
	equal(t, "all dead", gone(), true)
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func sideBySide(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			o := w.sh(fmt.Sprintf("echo %d >file%d; cat file%d; exit %d", i, i, i, i))
			equal(t, "output", o.out, fmt.Sprintln(i))
			equal(t, "exit code", o.ExitCode, i)
		})
	}
	all.Wait()
}

func noLeaks(t *testing.T, d sandbox.Driver) {
	t.Setenv("TMPDIR", t.TempDir())
	w := open(t, d, nil)
	w.ok("true") // whatever is made once is made now
	before := footprint(t, w)
	for range 12 {
		w.ok("echo x >$TMPDIR/x")
		w.run(sandbox.Command{Args: []string{"absent"}})
		w.run(sandbox.Command{Args: []string{"sleep", "100"}, Timeout: time.Millisecond})
	}
	equal(t, "descriptors, mounts, processes, files", footprint(t, w), before)
}

func mountInWorkspace(t *testing.T, d sandbox.Driver) {
	var data string
	w := open(t, d, func(w *world) {
		data = filepath.Join(w.outside, "data")
		must(w.t, os.Mkdir(data, 0o755))
		must(w.t, os.WriteFile(filepath.Join(data, "file"), []byte("mounted"), 0o644))
		must(w.t, os.Mkdir(filepath.Join(w.work, "point"), 0o755))
		w.spec.Mounts = append(w.spec.Mounts, sandbox.Mount{Host: data, Guest: sandbox.Workspace + "/point", Mode: sandbox.ReadOnly})
	})
	equal(t, "read", w.ok("cat point/file"), "mounted")
	equal(t, "by its path", w.ok("cat '"+w.box.Path(sandbox.Workspace+"/point/file")+"'"), "mounted")
	o := w.run(sandbox.Command{
		Args:   []string{"sh", "-c", "echo new >point/new && cat point/file"},
		Mounts: []sandbox.Mount{{Host: data, Guest: sandbox.Workspace + "/point", Mode: sandbox.ReadWrite}},
	})
	equal(t, "writable for one command", o.out, "mounted")
	_, err := os.Stat(filepath.Join(data, "new"))
	must(t, err)
}
