package git_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mgx/internal/git"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// A life of a run, in a process of its own that is killed at its nth git command
// on the host or in the box: while it runs, or as soon as it has ended.
type life struct {
	repo, runDir, branch string
	counter              string // file that counts commands
	killAt               int    // 0: never
	during               bool
}

const lifeName = "MGX_TEST_LIFE_OF_A_RUN"

// env hands the life to the process. The git on its PATH counts and kills.
func (l life) env(t *testing.T) []string {
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	end := `"$real" "$@"; kill -9 $PPID; exit`
	if l.during {
		end = `"$real" "$@" <&0 & echo $! >"$counter.left"; kill -9 $PPID; exit`
	}
	bin := t.TempDir()
	write(t, filepath.Join(bin, "git"), fmt.Sprintf(`#!/bin/sh
real=%s counter=%s
read n <"$counter"; n=$((n + 1)); echo $n >"$counter"
if [ $n = %d ]; then %s; fi
exec "$real" "$@"
`, real, l.counter, l.killAt, end))
	if err := os.Chmod(filepath.Join(bin, "git"), 0o755); err != nil {
		t.Fatal(err)
	}
	spec := strings.Join([]string{l.repo, l.runDir, l.branch, l.counter, strconv.Itoa(l.killAt), strconv.FormatBool(l.during)}, "|")
	return append(os.Environ(), lifeName+"="+spec, "PATH="+bin+":"+os.Getenv("PATH"))
}

// live is what the process does: everything a run does with git, once.
func live(spec string) error {
	f := strings.Split(spec, "|")
	killAt, err := strconv.Atoi(f[4])
	if err != nil {
		return err
	}
	l := life{f[0], f[1], f[2], f[3], killAt, f[5] == "true"}
	ctx := context.Background()
	src, err := git.Inspect(ctx, l.repo)
	if err != nil {
		return err
	}
	if err := git.Layout(l.runDir); err != nil {
		return err
	}
	box, err := native.New().Open(ctx, sandbox.Spec{
		Work: filepath.Join(l.runDir, "work"), State: filepath.Join(l.runDir, "state"), Mounts: git.Mounts(l.runDir, src),
	})
	if err != nil {
		return err
	}
	c := git.New(mortalBox{box, l}, l.runDir, src)
	if err := c.Prepare(ctx); err != nil {
		return err
	}
	start, err := l.once("start", func() (string, error) { return c.Snapshot(ctx) })
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.runDir, "work", "by agent"), []byte("agent\n"), 0o644); err != nil {
		return err
	}
	tree, err := c.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if err := c.Restore(ctx, tree); err != nil {
		return err
	}
	commit, err := c.Commit(ctx, git.CommitRequest{Tree: tree, Parent: start, Message: "by agent", AuthorName: "MGX", AuthorEmail: "m@x", When: noon})
	if err != nil {
		return err
	}
	bundle, err := c.Bundle(ctx, src.Head, commit)
	if err != nil {
		return err
	}
	_, err = git.Deliver(ctx, src, bundle, commit, l.branch)
	return err
}

// once is the journal of a life: what a step returned is kept for the next one.
// A snapshot made again later would be another commit.
func (l life) once(name string, step func() (string, error)) (string, error) {
	path := filepath.Join(filepath.Dir(l.counter), name)
	if text, err := os.ReadFile(path); err == nil {
		return string(text), nil
	}
	result, err := step()
	if err != nil {
		return "", err
	}
	return result, os.WriteFile(path, []byte(result), 0o600)
}

// mortalBox kills its process at a command.
type mortalBox struct {
	sandbox.Box
	life
}

func (b mortalBox) Run(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	text, err := os.ReadFile(b.counter)
	if err != nil {
		return sandbox.Result{}, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return sandbox.Result{}, err
	}
	if err := os.WriteFile(b.counter, fmt.Appendln(nil, n+1), 0o600); err != nil {
		return sandbox.Result{}, err
	}
	if n+1 != b.killAt {
		return b.Box.Run(ctx, cmd)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.Box.Run(ctx, cmd)
	}()
	for b.during && !b.locked() {
		select {
		case <-ended:
			b.during = false
		default:
			runtime.Gosched()
		}
	}
	if !b.during {
		<-ended
	}
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// locked reports whether git is in the middle of writing.
func (l life) locked() bool {
	locks, err := filepath.Glob(filepath.Join(l.runDir, "git", "*.lock"))
	return err == nil && len(locks) > 0
}

// start runs a life and reports whether it was killed.
func (l life) start(t *testing.T) (killed bool) {
	t.Helper()
	write(t, l.counter, "0\n")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = l.env(t)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return true
	}
	t.Fatalf("killed at %d: %v\n%s", l.killAt, err, out)
	return false
}

// settle waits until a git that outlived its process has ended.
func (l life) settle(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(l.counter + ".left")
	if err != nil {
		return // none was left
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 5000 {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("git goes on and on")
}

// Killed at any command, nothing of the user's has changed, and the next process
// delivers the same as if nothing had happened.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	for _, during := range []bool{false, true} {
		t.Run(map[bool]string{false: "after", true: "during"}[during], func(t *testing.T) {
			t.Parallel()
			r := dirtyRepo(t)
			openRun(t, inspect(t, r.dir), t.TempDir()) // skips without a sandbox
			step := 2
			if testing.Short() {
				step = 9
			}
			n := 1
			if during {
				n = 2
			}
			for killAndResume(t, r, n, during) {
				n += step
			}
			t.Logf("killed at up to %d commands", n)
			r.git("fsck", "--strict")
		})
	}
}

// killAndResume kills one life at its nth command and lets a second finish. It
// reports whether there was an nth command.
func killAndResume(t *testing.T, r repo, n int, during bool) bool {
	before := snapshotOf(t, r.dir)
	l := life{r.dir, t.TempDir(), fmt.Sprintf("killed/at-%d", n), filepath.Join(t.TempDir(), "n"), n, during}
	killed := l.start(t)
	l.settle(t)
	r.untouched(before, l.branch)
	l.killAt = 0
	if killed && l.start(t) {
		t.Fatal("a life that nobody ends was ended")
	}
	r.untouched(before, l.branch)
	if got := r.git("log", "--format=%s", l.branch); got != "by agent\nUncommitted changes at the start of the run\nfirst" {
		t.Errorf("delivered %q", got)
	}
	if got := r.git("show", l.branch+":by agent"); got != "agent" {
		t.Errorf("delivered %q", got)
	}
	if t.Failed() {
		t.Fatalf("killed at %d", n)
	}
	return killed
}
