package store_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// A backup of a database that is being written to is a moment of it: sound,
// without a gap, and not older than the call.
func TestBackupOfLiveFile(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{})
	sc := begin(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{note(sc, "x"), sc.Event(mgx.ToolCalled, mgx.ToolCallData{})}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 3 {
		before, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "copy.db")
		if err := s.Backup(t.Context(), copied); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(copied); err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v %v", info.Mode(), err)
		}
		restored := open(t, copied, store.Options{})
		if err := restored.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if n, _ := restored.Head(t.Context()); n < before {
			t.Errorf("backup %d ends at %d, before %d", i, n, before)
		}
		commit(t, restored, mgx.Change{Events: []mgx.Event{note(sc, "goes on")}})
	}
	stop()
	wg.Wait()
}

func TestBackupNeverOverwrites(t *testing.T) {
	t.Parallel()
	path := place(t)
	s := open(t, path, store.Options{})
	begin(t, s)
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	os.WriteFile(precious, []byte("x"), 0o600)
	os.Symlink("nowhere", filepath.Join(dir, "link"))
	for _, name := range []string{precious, filepath.Join(dir, "link"), dir, path} {
		if err := s.Backup(t.Context(), name); !mgx.IsCode(err, "file_exists") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, _ := os.ReadFile(precious); string(b) != "x" {
		t.Error("overwritten")
	}
	if err := s.Backup(t.Context(), filepath.Join(dir, "none", "x.db")); mgx.AsError(err).Kind != mgx.KindConfig {
		t.Errorf("into a directory that does not exist: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Backup(ended, filepath.Join(dir, "x.db")); err == nil {
		t.Error("a cancelled backup succeeded")
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 2 {
		t.Errorf("something was left behind: %v", left)
	}
}
