//go:build unix

package view_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/view"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestNothingOutsideIsTouched puts links out of the directories on the way to the
// links of mounts, as a command can at level lite, whose own walls let it write there.
func TestNothingOutsideIsTouched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	for _, name := range []string{"work", "home", "tmp", "data", "victim/empty"} {
		check(t, os.MkdirAll(at(name), 0o755))
	}
	check(t, os.WriteFile(at("victim", "file"), []byte("precious"), 0o644))
	data := func(guest string) sandbox.Mount {
		return sandbox.Mount{Host: at("data"), Guest: guest, Mode: sandbox.ReadWrite}
	}
	v := view.New(at("work"), at("home"), at("tmp"))
	check(t, v.Add([]sandbox.Mount{
		data("/home/mgx/.cache/file"), data("/home/mgx/.cache/empty"), data(sandbox.Workspace + "/sub/file"), data(sandbox.Workspace + "/fine"),
	}))
	for _, name := range []string{"home/.cache", "work/sub"} {
		if to, err := os.Readlink(filepath.Join(at(name), "file")); err != nil || to != at("data") {
			t.Fatalf("%s leads to %q, %v", name, to, err)
		}
		check(t, os.RemoveAll(at(name)))
		check(t, os.Symlink(at("victim"), at(name)))
	}
	if err := v.Add([]sandbox.Mount{data("/home/mgx/.cache/new")}); err == nil {
		t.Error("a link was made where a link leads")
	}
	check(t, v.Close())
	for _, name := range []string{"file", "empty"} {
		if _, err := os.Lstat(at("victim", name)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"victim/new", "work/fine"} {
		if _, err := os.Lstat(at(name)); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
}

// TestPipeForGit puts a pipe where the file is that leads git to its directory.
func TestPipeForGit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	work, gitdir := filepath.Join(dir, "work"), filepath.Join(dir, "git")
	check(t, os.Mkdir(work, 0o755))
	check(t, os.Mkdir(gitdir, 0o755))
	check(t, syscall.Mkfifo(filepath.Join(work, ".git"), 0o644))
	v := view.New(work, dir, dir)
	if err := v.Add([]sandbox.Mount{{Host: gitdir, Guest: sandbox.Workspace + "/.git", Mode: sandbox.ReadOnly}}); err == nil {
		t.Error("a pipe was taken for the file of git")
	}
}
