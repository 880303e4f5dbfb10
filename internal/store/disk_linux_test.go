package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// onOwnDisk runs a test again in a mount namespace of its own, where it may
// mount a small file system at dir without being root.
func onOwnDisk(t *testing.T, test func(dir string)) {
	if dir, yes := inChild(); yes {
		test(dir)
		return
	}
	t.Parallel()
	cmd := child(t, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("this machine does not allow user namespaces, which the test needs to mount a disk of its own: %v", err)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	case err != nil:
		t.Fatalf("%s", out)
	}
}

func mount(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		t.Skipf("this machine does not allow mounting in a user namespace: %v", err)
	}
}

// A full disk is said to be full; nothing that was committed is lost, and when
// there is room again work goes on.
func TestDiskFull(t *testing.T) {
	onOwnDisk(t, func(dir string) {
		mount(t, dir, 0, "size=3m")
		path := filepath.Join(dir, "mgx.db")
		ballast := filepath.Join(dir, "ballast")
		os.WriteFile(ballast, make([]byte, 1<<20), 0o600)
		s := open(t, path, store.Options{})
		sc := begin(t, s)
		text := strings.Repeat("x", 50_000)
		committed := int64(1)
		var err error
		for err == nil && committed < 1000 {
			if _, err = s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{note(sc, text)}}); err == nil {
				committed++
			}
		}
		if !mgx.IsCode(err, store.CodeDiskFull) || mgx.AsError(err).Kind != mgx.KindConfig {
			t.Fatalf("after %d events: %v", committed, err)
		}
		if n, err := s.Head(t.Context()); err != nil || n != committed {
			t.Errorf("head %d %v, want %d", n, err, committed)
		}
		if _, err := s.Backup(t.Context(), filepath.Join(dir, "copy.db"), store.BackupOptions{}); !mgx.IsCode(err, store.CodeDiskFull) {
			t.Errorf("Backup: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "copy.db")); err == nil {
			t.Error("half a backup was left")
		}
		other := filepath.Join(dir, "other.db")
		os.WriteFile(filepath.Join(dir, "rest"), make([]byte, 1<<20), 0o600) // takes what is left
		if s, err := store.Open(t.Context(), other, store.Options{}); !mgx.IsCode(err, store.CodeDiskFull) {
			t.Errorf("Open: %v", err)
			if err == nil {
				s.Close()
			}
		}
		os.Remove(ballast)
		commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, "goes on")}})
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestReadOnlyDisk(t *testing.T) {
	onOwnDisk(t, func(dir string) {
		mount(t, dir, 0, "size=8m")
		path := filepath.Join(dir, "mgx.db")
		sc := create(t, path)
		mount(t, dir, syscall.MS_REMOUNT|syscall.MS_RDONLY, "")

		if _, err := store.Open(t.Context(), path, store.Options{}); !mgx.IsCode(err, store.CodeReadOnly) {
			t.Errorf("Open: %v", err)
		}
		if _, err := store.Open(t.Context(), filepath.Join(dir, "new", "mgx.db"), store.Options{}); !mgx.IsCode(err, store.CodeReadOnly) {
			t.Errorf("Open of a new one: %v", err)
		}
		s := open(t, path, store.Options{ReadOnly: true})
		if r, err := s.Run(t.Context(), sc.Workspace, sc.Run); err != nil || r.ID != sc.Run {
			t.Errorf("got %+v %v", r, err)
		}
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "copy.db"), store.BackupOptions{}); err != nil {
			t.Errorf("Backup: %v", err)
		}
	})
}

// A log that could not be merged before the disk became read-only holds work
// that must not be passed over in silence.
func TestReadOnlyDiskWithLog(t *testing.T) {
	onOwnDisk(t, func(dir string) {
		mount(t, dir, 0, "size=8m")
		path, crashed := filepath.Join(t.TempDir(), "mgx.db"), filepath.Join(dir, "mgx.db")
		s := open(t, path, store.Options{})
		begin(t, s)
		for _, suffix := range []string{"", "-wal"} { // as a crash leaves it
			b, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			os.WriteFile(crashed+suffix, b, 0o600)
		}
		mount(t, dir, syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		ro, err := store.Open(context.Background(), crashed, store.Options{ReadOnly: true})
		if err == nil {
			if n, _ := ro.Head(t.Context()); n != 1 {
				t.Errorf("head %d: the log was passed over", n)
			}
			ro.Close()
		} else if !mgx.IsCode(err, store.CodeReadOnly) {
			t.Errorf("got %v", err)
		}
	})
}

// A restore for which there is no room leaves nothing, in the way of the
// database or of files, and says what is wrong.
func TestRestoreOnFullDisk(t *testing.T) {
	onOwnDisk(t, func(dir string) {
		mount(t, dir, 0, "size=2m")
		s := open(t, place(t), store.Options{})
		sc := begin(t, s)
		for range 40 {
			commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, strings.Repeat("x", 100_000))}})
		}
		var file bytes.Buffer
		if _, err := s.WriteBackup(t.Context(), &file, store.BackupOptions{}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "data", "mgx.db")
		if _, err := store.Restore(t.Context(), &file, path, store.RestoreOptions{}); !mgx.IsCode(err, store.CodeDiskFull) {
			t.Errorf("got %v", err)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
			t.Errorf("left %v", left)
		}
	})
}
