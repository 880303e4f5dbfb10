package git_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"mgx/internal/git"
)

// TestSwappedWhileGitLooks swaps files of a run for links that lead outside while
// git takes checkpoints, puts them back and shows what differs. It may fail. What
// lies outside is in no checkpoint, and stays as it is.
func TestSwappedWhileGitLooks(t *testing.T) {
	t.Parallel()
	const secret = "what lies outside"
	user := newRepo(t)
	user.write("dir/f", "inside\n")
	user.write("file", "inside\n")
	user.commit("files")
	r := prepared(t, user.dir)
	before := r.checkpoint()
	outside, other := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "f"), secret+"\n")
	pairs := [][2]string{{r.work("dir"), filepath.Join(other, "dir")}, {r.work("file"), filepath.Join(other, "file")}}
	for i, to := range []string{outside, filepath.Join(outside, "f")} {
		if err := os.Symlink(to, pairs[i][1]); err != nil {
			t.Fatal(err)
		}
	}
	exchange := func(p [2]string) error {
		return unix.Renameat2(unix.AT_FDCWD, p[0], unix.AT_FDCWD, p[1], unix.RENAME_EXCHANGE)
	}
	if err := exchange(pairs[0]); err != nil {
		t.Skipf("these file systems cannot exchange a directory and a link: %v", err)
	}
	stop := make(chan struct{})
	var swaps sync.WaitGroup
	defer func() { close(stop); swaps.Wait() }()
	swaps.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = exchange(pairs[0]), exchange(pairs[1])
			}
		}
	})
	for range 10 {
		tree, err := r.Checkpoint(t.Context())
		if err != nil {
			continue
		}
		diff, err := r.Diff(t.Context(), before, tree, git.DiffOptions{})
		if err == nil && strings.Contains(diff, "+"+secret) {
			t.Fatalf("a checkpoint has what lies outside:\n%s", diff)
		}
		_ = r.Restore(t.Context(), before)
	}
	entries, err := os.ReadDir(outside)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "f")); err != nil || string(b) != secret+"\n" || len(entries) != 1 {
		t.Errorf("outside there are %d files now, and the one says %q, %v", len(entries), b, err)
	}
}
