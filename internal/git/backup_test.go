package git_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mgx/internal/git"
)

// A copy of the files that Files names can put every checkpoint back, and says
// which it cannot.
func TestACopyOfTheFilesGoesOn(t *testing.T) {
	r := newRepo(t)
	run := prepared(t, r.dir)
	first := run.checkpoint()
	write(t, run.work("deep/new.txt"), "one\n")
	second := run.checkpoint()
	write(t, filepath.Join(run.dir, "outputs", "7", "stdout"), "output\n")
	write(t, filepath.Join(run.dir, "git", "refs", "x.lock"), "")
	write(t, filepath.Join(run.dir, "git", "hooks", "post-checkout"), "exit 1\n")

	dir := t.TempDir()
	var names []string
	for name, err := range git.Files(run.dir) {
		if err != nil {
			t.Fatal(err)
		}
		if !git.ValidFile(name) {
			t.Errorf("%s is not valid", name)
		}
		names = append(names, name)
		data, err := os.ReadFile(filepath.Join(run.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(data))
	}
	for _, name := range []string{"git/index", "git/mgx.index", "git/mgx.prepared", "git/refs/x.lock", "git/hooks/post-checkout"} {
		if slices.Contains(names, name) {
			t.Errorf("%s was copied", name)
		}
	}
	if i, j := slices.Index(names, "git/HEAD"), slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, "git/objects/") }); i < 0 || j < i {
		t.Errorf("references do not come before objects: %v", names)
	}
	src := inspect(t, r.dir)
	trees := []string{first, second, strings.Repeat("1", 40)}
	for _, whole := range []bool{false, true} {
		missing, err := git.Missing(t.Context(), dir, src, trees, whole)
		if err != nil || !slices.Equal(missing, trees[2:]) {
			t.Errorf("missing (whole %v): %v %v", whole, missing, err)
		}
	}
	if err := git.Layout(dir); err != nil {
		t.Fatal(err)
	}
	other := openRun(t, src, dir)
	for tree, want := range map[string]bool{second: true, first: false} {
		other.restore(tree)
		if _, err := os.Stat(other.work("deep/new.txt")); (err == nil) != want {
			t.Errorf("tree %s: %v", tree, err)
		}
	}
	blob := strings.TrimSpace(run.sh("git rev-parse " + second + ":deep/new.txt"))
	if err := os.Remove(filepath.Join(dir, "git", "objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	if missing, err := git.Missing(t.Context(), dir, src, trees[:2], true); err != nil || !slices.Equal(missing, trees[1:2]) {
		t.Errorf("without a file's content: %v %v", missing, err)
	}
	if missing, err := git.Missing(t.Context(), t.TempDir(), src, trees, true); err != nil || len(missing) != 3 {
		t.Errorf("without a git directory: %v %v", missing, err)
	}
}

func TestValidFile(t *testing.T) {
	for name, want := range map[string]bool{
		"git/HEAD": true, "git/objects/ab/cd": true, "outputs/1/stdout": true, "git/packed-refs": true,
		"git/hooks/post-checkout": false, "git/index": false, "git": false, "outputs": false, "work/x": false, "git/../x": false,
		"/git/HEAD": false, "git//HEAD": false, "outputs/a\\b": false, "outputs/a\x00": false, "": false, "git/objects/../hooks/x": false,
	} {
		if git.ValidFile(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
