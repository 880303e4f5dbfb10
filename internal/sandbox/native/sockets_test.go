//go:build linux

package native_test

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// TestSocketsThatComeAndGo has a program outside listen in the workspace, and put other
// things in the place of its socket file, while boxes are built that would hide it.
func TestSocketsThatComeAndGo(t *testing.T) {
	work := t.TempDir()
	name := filepath.Join(work, "socket")
	box, err := native.New().Open(t.Context(), sandbox.Spec{Work: work})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	var others sync.WaitGroup
	end := make(chan struct{})
	others.Go(func() {
		for {
			l, err := net.Listen("unix", name)
			if err != nil {
				t.Error(err)
				return
			}
			for _, put := range []func() error{
				func() error { return os.Remove(name) },
				func() error { return os.Symlink("/etc/passwd", name) },
				func() error { return os.Remove(name) },
				func() error { return os.Mkdir(name, 0o755) },
				func() error { return os.Remove(name) },
			} {
				if err := put(); err != nil {
					t.Error(err)
				}
			}
			l.Close()
			select {
			case <-end:
				return
			default:
			}
		}
	})
	for range 30 {
		if _, err := box.Run(t.Context(), sandbox.Command{Args: []string{"true"}, Timeout: time.Minute}); err != nil {
			t.Error(err)
			break
		}
	}
	close(end)
	others.Wait()
}
