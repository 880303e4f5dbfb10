package store_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"mgx"
	"mgx/internal/store"
)

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
		if _, err := s.Backup(t.Context(), name, store.BackupOptions{}); !mgx.IsCode(err, "file_exists") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, _ := os.ReadFile(precious); string(b) != "x" {
		t.Error("overwritten")
	}
	if _, err := s.Backup(t.Context(), filepath.Join(dir, "none", "x.db"), store.BackupOptions{}); mgx.AsError(err).Kind != mgx.KindConfig {
		t.Errorf("into a directory that does not exist: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := s.Backup(ended, filepath.Join(dir, "x.db"), store.BackupOptions{}); err == nil {
		t.Error("a cancelled backup succeeded")
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 2 {
		t.Errorf("something was left behind: %v", left)
	}
}
