package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mgx"
	"mgx/internal/llm/llmtest"
)

// TestOddRepositories runs the job in repositories with files that programs
// stumble over. They must come through untouched.
func TestOddRepositories(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(l *lab){
		"odd names": func(l *lab) {
			for _, name := range []string{"a space", "new\nline", "\xff\xfe", "-dash", "ünï", "quote\"'", "tab\t", ":colon", "*"} {
				l.write(name, "x\n")
			}
		},
		"binary and huge": func(l *lab) {
			l.write("bin", "\x00\x01\x02\xff")
			f, err := os.Create(filepath.Join(l.repo, "huge"))
			if err != nil {
				l.t.Fatal(err)
			}
			if err := f.Truncate(100 << 20); err != nil {
				l.t.Fatal(err)
			}
			f.Close()
		},
		"links and modes": func(l *lab) {
			os.Symlink("/etc/passwd", filepath.Join(l.repo, "out"))
			os.Symlink("nowhere", filepath.Join(l.repo, "dangling"))
			os.Symlink(".", filepath.Join(l.repo, "loop"))
			l.write("script", "#!/bin/sh\n")
			os.Chmod(filepath.Join(l.repo, "script"), 0o755)
		},
		"hooks and filters": func(l *lab) {
			l.write(".gitattributes", "* filter=evil\n*.lfs filter=lfs diff=lfs merge=lfs -text\n")
			l.write("big.lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
			l.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch "+l.home+"/pwned\n")
			os.Chmod(filepath.Join(l.repo, ".git/hooks/post-checkout"), 0o755)
			l.write(".git/hooks/reference-transaction", "#!/bin/sh\ntouch "+l.home+"/pwned\n")
			os.Chmod(filepath.Join(l.repo, ".git/hooks/reference-transaction"), 0o755)
		},
		"CRLF": func(l *lab) {
			l.write("dos.txt", "one\r\ntwo\r\n")
			l.write(".gitattributes", "*.txt text eol=crlf\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, labScript)
			prepare(l)
			l.git("-c", "core.hooksPath=/dev/null", "add", "-A")
			l.git("-c", "core.hooksPath=/dev/null", "commit", "-qm", "Odd things")
			before := l.fingerprint()
			l.must(labRun...)
			if l.fingerprint() != before {
				t.Error("the user's repository has changed")
			}
			branch := l.only(l.store()).Branch
			if got := l.git("diff", "--name-only", "main", branch); got != "greet.sh\nmade.txt" {
				t.Errorf("the branch changes %q", got)
			}
			if _, err := os.Stat(filepath.Join(l.home, "pwned")); err == nil {
				t.Error("a hook of the repository ran")
			}
		})
	}
}

// TestDirtyTree takes HEAD with a notice, or the changes with --include-dirty,
// and leaves both as they are.
func TestDirtyTree(t *testing.T) {
	t.Parallel()
	dirty := func(t *testing.T) *lab {
		l := newLab(t, labScript)
		l.write("stashed", "s")
		l.git("add", "-A")
		l.git("stash")
		l.write("check.sh", "test \"$(sh greet.sh)\" = hello # changed\n")
		l.write("staged", "1")
		l.git("add", "staged")
		l.write("untracked", "2")
		return l
	}
	t.Run("HEAD", func(t *testing.T) {
		l := dirty(t)
		before := l.fingerprint()
		_, stderr, code := l.run(labRun...)
		if code != 0 || !strings.Contains(stderr, "uncommitted changes") {
			t.Errorf("exit %d, and no notice in\n%s", code, stderr)
		}
		if got := l.git("diff", "--name-only", "main", l.only(l.store()).Branch); got != "greet.sh\nmade.txt" {
			t.Errorf("the branch changes %q", got)
		}
		if l.fingerprint() != before {
			t.Error("the user's repository has changed")
		}
	})
	t.Run("included", func(t *testing.T) {
		l := dirty(t)
		before := l.fingerprint()
		l.must(append(labRun, "--include-dirty")...)
		if got := l.git("diff", "--name-only", "main", l.only(l.store()).Branch); got != "check.sh\ngreet.sh\nmade.txt\nstaged\nuntracked" {
			t.Errorf("the branch changes %q", got)
		}
		if l.fingerprint() != before {
			t.Error("the user's repository has changed")
		}
	})
}

// TestModelsThatMisbehave ends each run in good time, with the right exit and
// with the answer never taken for whole.
func TestModelsThatMisbehave(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault *llmtest.Fault
		exit  int
	}{
		"endless answer":  {&llmtest.Fault{Kind: llmtest.Endless}, 4},
		"huge event":      {&llmtest.Fault{Kind: llmtest.Huge}, 4},
		"a web page":      {&llmtest.Fault{Kind: llmtest.WebPage}, 4},
		"quota used up":   {&llmtest.Fault{Kind: llmtest.Status, Status: 429, Body: `{"error":{"code":"insufficient_quota","message":"pay"}}`}, 4},
		"forbidden":       {&llmtest.Fault{Kind: llmtest.Status, Status: 403, Body: `{"error":{"message":"no"}}`}, 4},
		"bytewise":        {&llmtest.Fault{Kind: llmtest.SplitArgs}, 0},
		"without a usage": {&llmtest.Fault{Kind: llmtest.NoUsage}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newFaultyLab(t, labScript, func(int, *http.Request) *llmtest.Fault { return c.fault })
			if _, stderr, code := l.run(labRun...); code != c.exit {
				t.Errorf("exit %d, want %d\n%s", code, c.exit, stderr)
			}
		})
	}
}

// TestPassingFaultsAreRetried has each third request fail in a way that passes.
func TestPassingFaultsAreRetried(t *testing.T) {
	t.Parallel()
	faults := []*llmtest.Fault{
		{Kind: llmtest.ResetMidEvent, After: 1},
		{Kind: llmtest.Status, Status: 503, Header: http.Header{"Retry-After": {"0"}}},
		{Kind: llmtest.NoEnd},
		{Kind: llmtest.ResetAtOnce},
	}
	l := newFaultyLab(t, labScript, func(n int, _ *http.Request) *llmtest.Fault {
		if n%3 == 0 {
			return faults[n/3%len(faults)]
		}
		return nil
	})
	l.must(labRun...)
	out := l.must("events", "--json", "--type", "llm.provider.error")
	if n := strings.Count(out, "\n"); n < 2 {
		t.Errorf("%d provider errors in the log", n)
	}
	l.verify(l.server.Requests()) // requests are not what this is about
}

// TestInterruptIsNotTheEnd sends Ctrl-C's signal: the run can be resumed.
func TestInterruptIsNotTheEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	process := make(chan *os.Process, 1)
	interrupt := func(request, piece int) {
		if request == 4 && piece == 1 {
			(<-process).Signal(os.Interrupt)
		}
	}
	l.streaming.Store(&interrupt)
	cmd := l.mgx(labRun...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	process <- cmd.Process
	err := cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 7 || !strings.Contains(stderr.String(), "mgx resume run_") {
		t.Fatalf("exit %d (%v)\n%s", code, err, stderr.String())
	}
	l.streaming.Store(nil)
	l.must("resume")
	l.verify(1)
}

// TestCancelFromAnotherProcess stops a run that is at work in this one.
func TestCancelFromAnotherProcess(t *testing.T) {
	t.Parallel()
	l := newLab(t, strings.Replace(labScript, "echo made >> made.txt", "sleep 60; echo made >> made.txt", 1))
	cancelled := make(chan int, 1)
	start := time.Now()
	_, _, code, stderr := l.follow(func(_ int, e mgx.Event) bool {
		if e.Type == mgx.ToolCalled && strings.Contains(string(e.Data), "sleep 60") {
			go func() {
				_, _, code := l.run("cancel", string(e.Run))
				cancelled <- code
			}()
		}
		return false
	}, labRun...)
	if code != 7 {
		t.Errorf("run: exit %d\n%s", code, stderr)
	}
	if code := <-cancelled; code != 0 {
		t.Errorf("cancel: exit %d", code)
	}
	if run := l.only(l.store()); run.Status != mgx.RunCancelled {
		t.Errorf("the run is %s", run.Status)
	}
	if took := time.Since(start); took > 50*time.Second {
		t.Errorf("it went on for %s", took)
	}
}

// TestFullDisk runs the demo in a data directory of 3 MB.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	dir := mountTmpfs(t, "size=3m")
	l.write("filler", strings.Repeat(fmt.Sprintln("not quite compressible", time.Now()), 100_000))
	l.git("add", "-A")
	l.git("commit", "-qm", "Fill")
	_, stderr, code := l.run(append(labRun, "--data", dir)...)
	if code == 0 || code == 70 {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	if !strings.Contains(stderr, "space") && !strings.Contains(stderr, "full") {
		t.Errorf("the reason is not said:\n%s", stderr)
	}
}

func TestReadOnlyDataDirectory(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	dir := mountTmpfs(t, "ro")
	_, stderr, code := l.run("runs", "--data", dir)
	if code != 3 || !strings.Contains(stderr, dir) {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}

// mountTmpfs makes a small file system, which takes root.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system takes root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Skipf("this machine does not let root mount: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	if out, err := exec.Command("mount", "-o", "remount,"+options, dir).CombinedOutput(); err != nil {
		t.Fatalf("remount %s: %v\n%s", options, err, out)
	}
	return dir
}

// TestTimeout has a tool outlast the whole run.
func TestTimeout(t *testing.T) {
	t.Parallel()
	l := newLab(t, strings.Replace(labScript, "echo made >> made.txt", "sleep 300", 1))
	start := time.Now()
	_, stderr, code := l.run(append(labRun, "--timeout", "4s")...)
	if code != 7 || !strings.Contains(stderr, "Timed out") || !strings.Contains(stderr, "mgx fork") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	if took := time.Since(start); took > 60*time.Second {
		t.Errorf("it took %s", took)
	}
	if run := l.only(l.store()); run.Status != mgx.RunCancelled {
		t.Errorf("the run is %s", run.Status)
	}
}

// TestFollow watches the log from another process while a run writes it, and
// ends with success when it is interrupted.
func TestFollow(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must("runs") // makes the log
	watch := l.mgx("events", "--follow", "--json")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	l.must(labRun...)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 2<<20)
	var last int64
	for lines.Scan() {
		var e mgx.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Position != last+1 {
			t.Fatalf("position %d follows %d", e.Position, last)
		}
		if last = e.Position; e.Type == mgx.TaskCompleted {
			watch.Process.Signal(os.Interrupt)
		}
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
	if run := l.only(l.store()); last < run.Sequence {
		t.Errorf("only %d events were seen", last)
	}
}
