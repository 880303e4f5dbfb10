package git

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pipe in the place of a directory that was one a moment ago keeps nobody waiting.
func TestAPipeIsNotOpenedUp(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := unix.Mkfifo(filepath.Join(root.Name(), "dir"), 0o644); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- openUp(root, "dir") }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it has entries")
		}
	case <-time.After(30 * time.Second):
		t.Error("it is waited for")
	}
}
