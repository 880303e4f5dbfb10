package git_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx/internal/git"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/off"
)

func TestForkGoesOnFromACheckpoint(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	run := prepared(t, r.dir)
	write(t, run.work("one"), "1")
	tree := run.checkpoint()
	commit := run.commit(run.src.Head, "one")
	write(t, run.work("two"), "2")
	run.checkpoint()
	before := snapshotOf(t, run.dir)

	fork := t.TempDir()
	write(t, filepath.Join(fork, "git.copy/objects/half"), "of a copy that was interrupted")
	for range 2 {
		if err := git.CopyRun(run.dir, fork); err != nil {
			t.Fatal(err)
		}
	}
	other := openRun(t, run.src, fork)
	other.restore(tree)
	if got := other.sh("ls; git status --short; git log --format=%s"); got != "README.md\ndir\nlink\none\nrun.sh\n?? one\nfirst" {
		t.Errorf("the fork has %q", got)
	}
	// Its commits and checkpoints are its own, and those of the fork's past are there.
	write(t, other.work("three"), "3")
	if next := other.commit(commit, "three"); other.sh("git log --format=%s "+next) != "three\none\nfirst" {
		t.Error("the fork lost a commit of its past")
	}
	if branch, err := other.deliver(other.commit(commit, "three"), "mgx/f/run-1"); err != nil {
		t.Errorf("%s, %v", branch, err)
	}
	wantSame(t, "the forked run", snapshotOf(t, run.dir), before)
	if os.SameFile(stat(t, filepath.Join(run.dir, "git", "HEAD")), stat(t, filepath.Join(fork, "git", "HEAD"))) {
		t.Error("HEAD is shared")
	}
	object := filepath.Join("git/objects", commit[:2], commit[2:])
	if !os.SameFile(stat(t, filepath.Join(run.dir, object)), stat(t, filepath.Join(fork, object))) {
		t.Error("objects are not shared")
	}
}

func stat(t *testing.T, name string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// A fork of a run that never got to its first checkout, or that no worker has begun
// with, can be prepared.
func TestForkOfAnUnpreparedRun(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	run := newRun(t, r.dir)
	for _, from := range []string{run.dir, filepath.Join(t.TempDir(), "none")} {
		fork := t.TempDir()
		if err := git.CopyRun(from, fork); err != nil {
			t.Fatal(err)
		}
		other := openRun(t, run.src, fork)
		if err := other.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantSame(t, "files", filesOf(t, other.work("")), filesOf(t, r.dir))
	}
}

// Everything also works in a box that cannot mount.
func TestWithoutMounts(t *testing.T) {
	t.Parallel()
	base := newRepo(t)
	r := repo{t, filepath.Join(t.TempDir(), "borrowing")}
	base.git("clone", "-q", "--shared", base.dir, r.dir)
	r.write("README.md", "dirty\n")
	before := snapshotOf(t, r.dir)
	dir, src := t.TempDir(), inspect(t, r.dir)
	open := func() *run {
		if err := git.Layout(dir); err != nil {
			t.Fatal(err)
		}
		box, err := off.New().Open(t.Context(), sandbox.Spec{
			Work: filepath.Join(dir, "work"), State: filepath.Join(dir, "state"), Mounts: git.Mounts(dir, src),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { box.Close() })
		return &run{t, dir, src, box, git.New(box, dir, src)}
	}
	run := open()
	if err := run.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	tree := run.checkpoint()
	if got := run.sh("cat README.md; git log --format=%s; git status --short"); !strings.HasPrefix(got, "dirty\nUncommitted changes") {
		t.Errorf("the agent sees %q", got)
	}
	run = open() // as after a crash: the pointer at .git is still there
	write(t, run.work("new"), "n")
	commit := run.commit(run.src.Head, "new")
	run.restore(tree)
	mustNotExist(t, run.work("new"))
	if _, err := run.deliver(commit, "mgx/off/run-1"); err != nil {
		t.Fatal(err)
	}
	r.untouched(before, "mgx/off/run-1")
}
