package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx/internal/sandbox"
)

func TestShell(t *testing.T) {
	t.Parallel()
	ws := boxed(t, workspace(t, map[string]string{"sub dir/a.txt": "hello\n"}))
	res := call(t, ws, "shell", fields{"command": "echo out; echo err >&2; echo last"})
	want(t, res, Success, "out\nerr\nlast\n[exit code 0, ")
	if res.ExitCode == nil || *res.ExitCode != 0 || res.Duration <= 0 {
		t.Errorf("%+v", res)
	}
	res = call(t, ws, "shell", fields{"command": "exit 3"})
	want(t, res, Failure, "(no output)\n[exit code 3, ")
	if res.ExitCode == nil || *res.ExitCode != 3 {
		t.Errorf("%+v", res)
	}
	want(t, call(t, ws, "shell", fields{"command": "pwd; cat a.txt", "workdir": "sub dir"}), Success, "/workspace/sub dir\nhello")
	want(t, call(t, ws, "shell", fields{"command": "pwd", "workdir": "/workspace/sub dir"}), Success, "/workspace/sub dir")
	want(t, call(t, ws, "shell", fields{"command": "pwd", "workdir": "../.."}), Denied)
	want(t, call(t, ws, "shell", fields{"command": "pwd", "workdir": "nope"}), Failure, "no such file")
	want(t, call(t, ws, "shell", fields{"command": "cat; echo \"stdin ended\""}), Success, "stdin ended")
	want(t, call(t, ws, "shell", fields{"command": "echo made > made.txt"}), Success)
	if got := content(t, ws, "made.txt"); got != "made\n" {
		t.Errorf("made %q", got)
	}
	want(t, call(t, ws, "shell", fields{"command": "printf '\\033[31mred\\033[0m\\r\\n10%%\\r100%%\\n\\342\\200\\256x'"}), Success, "red\n100%\nx\n[exit")
	want(t, call(t, ws, "shell", fields{"command": "no-such-program-at-all"}), Failure, "Exit code 127")
	want(t, call(t, ws, "shell", fields{"command": "kill -9 $$"}), Failure, "exit code 137", "not the result of a test")
	want(t, call(t, ws, "shell", fields{"command": "  "}), Failure, "empty")
	want(t, call(t, ws, "shell", fields{"command": "a\x00b"}), Failure, "NUL")
	want(t, call(t, ws, "shell", fields{"command": "echo " + strings.Repeat("x", maxCommand)}), Failure, "write tool")
	if _, err := os.Stat("/bin/bash"); err == nil {
		want(t, call(t, ws, "shell", fields{"command": "a=(1 2); echo ${#a[@]} $BASH_VERSION"}), Success, "2 ")
	}
}

func TestShellReadOnly(t *testing.T) {
	t.Parallel()
	ws := boxed(t, workspace(t, map[string]string{"a": "x\n"}))
	ws.ReadOnly = true
	want(t, call(t, ws, "shell", fields{"command": "cat a"}), Success, "x\n")
	want(t, call(t, ws, "shell", fields{"command": "echo y > a"}), Failure, "ead-only")
	if got := content(t, ws, "a"); got != "x\n" {
		t.Errorf("the file is %q", got)
	}
}

func TestShellTimeout(t *testing.T) {
	t.Parallel()
	ws := boxed(t, workspace(t, nil))
	res := call(t, ws, "shell", fields{"command": "echo started; sleep 60", "timeout": 1})
	want(t, res, TimedOut, "started\n[timed out after 1s", "says nothing about whether a test passes")
	if res.ExitCode != nil {
		t.Error("a time-out has an exit code")
	}
}

func TestShellNamesTheLimit(t *testing.T) {
	t.Parallel()
	allowed := sandbox.Limits{
		Memory: 3 << 30, Processes: 512, FileSize: 5 << 20, OpenFiles: 8192, CPU: 90 * time.Minute, Tmp: 1<<20 + 1, Disk: 20 << 30, Files: 1000,
	}
	for limit, says := range map[sandbox.Limit]string{
		sandbox.LimitMemory: "memory (memory=3GB", sandbox.LimitProcesses: "processes (processes=512",
		sandbox.LimitCPU: "processor time (cpu-time=1h30m0s", sandbox.LimitFileSize: "the size of a file (file-size=5MB",
		sandbox.LimitDisk: "disk space (disk=20GB", sandbox.LimitFiles: "the number of files (files=1000",
		sandbox.LimitOpenFiles: "open files (open-files=8192", sandbox.LimitTmp: "temporary files (tmp=1048577",
	} {
		says = "The limit on " + says + ", as the operator's setting sandbox-limits has it) was reached: "
		for _, ended := range []sandbox.Result{{ExitCode: 137, Limit: limit}, {Limit: limit}, {TimedOut: true, Limit: limit, Told: true}} {
			ended.Allowed = allowed
			got := tellShell("make", time.Minute, ended, captured{text: "signal: killed"})
			if strings.Count(got.Text, says) != 1 || strings.Contains(got.Text, "most likely") {
				t.Errorf("%+v: %s", ended, got.Text)
			}
			if strings.Contains(got.Text, "own output says so") != ended.Told || got.Limit.Told != ended.Told || got.Limit.Limit != limit {
				t.Errorf("%+v: %+v", ended, got)
			}
		}
	}
}

// TestShellNamesWhatOthersHad is memory that all runs together had used up.
func TestShellNamesWhatOthersHad(t *testing.T) {
	t.Parallel()
	got := tellShell("make", time.Minute, sandbox.Result{ExitCode: 137, Limit: sandbox.LimitMemory}, captured{})
	if !strings.Contains(got.Text, "The limit on memory of all runs on this machine together was reached: ") {
		t.Error(got.Text)
	}
}

// TestShellTellsOfItsLimits asks for those that are told of by events of their own.
func TestShellTellsOfItsLimits(t *testing.T) {
	t.Parallel()
	ws := boxed(t, workspace(t, nil))
	tools, _ := ByName([]string{"shell"})
	for args, limit := range map[string]sandbox.Limit{
		`{"command":"true"}`:                                                      "",
		`{"command":"sleep 60","timeout":1}`:                                      sandbox.LimitTime,
		`{"command":"sh -c 'kill -XFSZ $$'"}`:                                     sandbox.LimitFileSize,
		fmt.Sprintf(`{"command":"yes $(seq 200) | head -c %d"}`, maxKept+(1<<20)): sandbox.LimitOutput,
		fmt.Sprintf(`{"command":"yes | head -c %d; exit 1"}`, maxOutput+10):       "",
	} {
		res, err := tools[0].Call(t.Context(), ws, json.RawMessage(args))
		if err != nil || res.Limit.Limit != limit {
			t.Errorf("%s: %+v, %v", args, res.Limit, err)
		}
	}
}

func TestShellEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ws := boxed(t, workspace(t, nil))
	ctx, cancel := context.WithCancel(t.Context())
	ws.Watch = func([]byte) { cancel() }
	tools, _ := ByName([]string{"shell"})
	start := time.Now()
	_, err := tools[0].Call(ctx, ws, json.RawMessage(`{"command":"echo go; sleep 60"}`))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it went on for %s", took)
	}
}

func TestShellLongOutput(t *testing.T) {
	t.Parallel()
	ws := boxed(t, workspace(t, nil))
	res := call(t, ws, "shell", fields{"command": "seq 1 20000; exit 1"})
	want(t, res, Failure, "1\n2\n3\n", "19999\n20000\n[exit code 1", "left out; the whole output is in /outputs/shell-")
	if n := len(res.Text); n > maxOutput+500 || n < maxOutput {
		t.Errorf("%d bytes", n)
	}
	_, rest, _ := strings.Cut(res.Text, "the whole output is in ")
	name, _, _ := strings.Cut(rest, ":")
	want(t, call(t, ws, "read", fields{"path": name, "offset": 10000, "limit": 1}), Success, "10000\t10000\n", "of 20000")
	want(t, call(t, ws, "grep", fields{"path": name, "pattern": "^12345$"}), Success, name+":12345:12345")
	want(t, call(t, ws, "shell", fields{"command": "wc -l < " + name}), Success, "20000")
	want(t, call(t, ws, "shell", fields{"command": "rm " + name}), Failure)
}

func TestShellWatch(t *testing.T) {
	t.Parallel()
	ws := boxed(t, workspace(t, nil))
	var mu sync.Mutex
	var seen strings.Builder
	ws.Watch = func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen.Write(b)
	}
	call(t, ws, "shell", fields{"command": "printf '\\033]0;title\\007hello\\n'"})
	mu.Lock()
	defer mu.Unlock()
	if seen.String() != "hello\n" {
		t.Errorf("watched %q", seen.String())
	}
}

// wrote is what a model gets of some output.
func wrote(ws *Workspace, pieces ...string) string {
	c := newCapture(ws)
	for _, p := range pieces {
		c.Write([]byte(p))
	}
	return c.close().text
}

func TestCapture(t *testing.T) {
	t.Parallel()
	ws := workspace(t, nil)
	if got := wrote(ws, "a\x1b[3", "1mb\xe2\x82", "\xac\n"); got != "ab€\n" {
		t.Errorf("got %q", got)
	}
	whole := strings.Repeat("0123456789\n", maxOutput/11)
	if got := wrote(ws, whole); got != whole {
		t.Error("output that fits was cut")
	}
	if entries, _ := children(place{root: ws.Outputs, name: ".", kept: OutputsDir}); len(entries) != 0 {
		t.Error("output that fits was kept")
	}
	line := "start " + strings.Repeat("é", 100_000) + " end"
	got := wrote(ws, line)
	if !strings.HasPrefix(got, "start é") || !strings.HasSuffix(got, "é end") {
		t.Errorf("an end is missing: %.40q", got)
	}
	if len(got) > maxOutput+300 || !strings.Contains(got, "left out") || strings.Contains(got, "\uFFFD") {
		t.Errorf("%d bytes: %.80q", len(got), got)
	}
	ws.Outputs = nil
	if got := wrote(ws, line); !strings.Contains(got, "could not be kept") {
		t.Errorf("%.80q", got)
	}
}

func TestWatchInPieces(t *testing.T) {
	t.Parallel()
	ws := workspace(t, nil)
	var seen []string
	ws.Watch = func(b []byte) { seen = append(seen, string(b)) }
	wrote(ws, "one", " two\n", "10%\r", "20%\r", "\x1b[3", "1m30%\n", "\xe2\x82", "\xac", "no end")
	if got := strings.Join(seen, "|"); got != "one| two\n|10%|\n20%|\n30%\n|€|no end" {
		t.Errorf("watched %q", got)
	}
}

func TestKeptOutputIsBounded(t *testing.T) {
	t.Parallel()
	ws := workspace(t, nil)
	mb := strings.Repeat(strings.Repeat("x", 99)+"\n", 10486)
	c := newCapture(ws)
	for range 60 {
		c.Write([]byte(mb))
	}
	if got := c.close().text; !strings.Contains(got, "the first 50.0 MB are in /outputs/shell-") {
		t.Errorf("%.200q", got[maxOutput/2:])
	}
	if info, err := ws.Outputs.Stat(c.name); err != nil || info.Size() != maxKept {
		t.Errorf("%v, %v", info, err)
	}
}

func TestOldOutputsGo(t *testing.T) {
	t.Parallel()
	ws := workspace(t, nil)
	for i, name := range []string{"shell-b.txt", "shell-a.txt", "shell-c.txt", "other"} {
		path := filepath.Join(ws.Outputs.Name(), name)
		writeFile(t, path, "12345")
		at := time.Unix(int64(i), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	makeRoom(ws.Outputs, 5, 10)
	var left []string
	entries, _ := children(place{root: ws.Outputs, name: ".", kept: OutputsDir})
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got := strings.Join(left, " "); got != "other shell-c.txt" {
		t.Errorf("left: %s", got)
	}
}

func TestHints(t *testing.T) {
	t.Parallel()
	for command, says := range map[string]string{
		"npm run dev": "server", "python3 -m http.server 80": "server", "tail -f log": "server", "jest --watch": "server", "cd x && vite": "server",
		"git rebase -i HEAD~2": "non-interactive", "python": "non-interactive", "vim a": "Narrow", "npm init": "non-interactive", "psql;": "non-interactive",
		"go test ./...": "Narrow", "npm test": "Narrow", "python3 test.py": "Narrow", "cat a | wc": "Narrow",
	} {
		if got := timeoutHint(command, ""); !strings.Contains(got, says) {
			t.Errorf("%s: %s", command, got)
		}
	}
	for _, output := range []string{"Continue? [Y/n] ", "x\nPassword: ", "Are you sure (yes/no)?", "Press any key to continue"} {
		if got := timeoutHint("./tool", output); !strings.Contains(got, "non-interactive") {
			t.Errorf("%q: %s", output, got)
		}
	}
	for _, c := range []struct {
		code         int
		output, says string
	}{
		{137, "", "killed"},
		{1, "fork/exec x: signal: killed", "killed"},
		{139, "", "segmentation fault"},
		{1, "curl: (6) Could not resolve host: x", "no network"},
		{0, "Killed", ""},
		{1, "FAIL", ""},
	} {
		if got := strings.Join(exitHints(sandbox.Result{ExitCode: c.code}, c.output), " "); !strings.Contains(got, c.says) || c.says == "" && got != "" {
			t.Errorf("%d %q: %q", c.code, c.output, got)
		}
	}
}

// brokenBox cannot run anything.
type brokenBox struct{ sandbox.Box }

func (brokenBox) Run(context.Context, sandbox.Command) (sandbox.Result, error) {
	return sandbox.Result{}, errors.New("no sandbox")
}

func (brokenBox) Path(guest string) string {
	return "/host/run" + strings.TrimPrefix(guest, sandbox.Workspace)
}

func TestBoxThatFails(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"a": "x\n"})
	ws.Box = brokenBox{}
	for _, name := range []string{"shell", "grep"} {
		tools, _ := ByName([]string{name})
		if _, err := tools[0].Call(t.Context(), ws, json.RawMessage(`{"command":"x","pattern":"x"}`)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// In a box that cannot mount, the workspace has its host name.
	want(t, call(t, ws, "read", fields{"path": "/host/run/a"}), Success, "x")
	want(t, call(t, ws, "read", fields{"path": "/host/runs/a"}), Denied)
}
