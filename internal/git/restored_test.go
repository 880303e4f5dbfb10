package git_test

import (
	"os"
	"path/filepath"
	"testing"

	"mgx/internal/git"
)

// A backup holds files, so a clone that comes back from one lacks its empty
// directories, without which git does not take it for a repository.
func TestCloneWithoutEmptyDirectories(t *testing.T) {
	t.Parallel()
	r := prepared(t, newRepo(t).dir)
	want := r.checkpoint()
	if err := os.Rename(filepath.Join(r.dir, "git", "refs"), filepath.Join(t.TempDir(), "refs")); err != nil {
		t.Fatal(err)
	}
	if got, err := git.New(r.box, r.dir, r.src).Checkpoint(t.Context()); err != nil || got != want {
		t.Errorf("checkpoint %s, %v; want %s", got, err, want)
	}
}
