package archive

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Somebody swaps what is copied for links to another place, again and again. What
// lies there is never in the copy.
func TestSwappedSource(t *testing.T) {
	t.Parallel()
	outside, from := t.TempDir(), t.TempDir()
	for _, name := range []string{filepath.Join(outside, "f"), filepath.Join(from, "dir", "f"), filepath.Join(from, "file")} {
		text := "inside"
		if strings.HasPrefix(name, outside) {
			text = "outside"
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	other := t.TempDir() // the links wait where they are not copied
	pairs := [][2]string{{filepath.Join(from, "dir"), filepath.Join(other, "dir")}, {filepath.Join(from, "file"), filepath.Join(other, "file")}}
	for i, to := range []string{outside, filepath.Join(outside, "f")} {
		if err := os.Symlink(to, pairs[i][1]); err != nil {
			t.Fatal(err)
		}
	}
	exchange := func(p [2]string) error {
		return unix.Renameat2(unix.AT_FDCWD, p[0], unix.AT_FDCWD, p[1], unix.RENAME_EXCHANGE)
	}
	if err := exchange(pairs[0]); err != nil {
		t.Skipf("this file system cannot exchange a directory and a link: %v", err)
	}
	var swaps sync.WaitGroup
	stop := make(chan struct{})
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
	copied, source := 0, rootOf(t, from)
	for range 800 {
		into := t.TempDir()
		root, err := os.OpenRoot(into)
		if err != nil {
			t.Fatal(err)
		}
		if Copy(t.Context(), root, source, Defaults) == nil {
			copied++
		}
		root.Close()
		for _, name := range []string{"dir/f", "file"} {
			if b, err := os.ReadFile(filepath.Join(into, name)); err == nil && strings.Contains(string(b), "outside") {
				t.Fatalf("%s was copied from outside", name)
			}
		}
		os.RemoveAll(into)
	}
	t.Log(copied, "of them were whole")
}
