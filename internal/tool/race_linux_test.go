package tool

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// swapping makes dir/f and file in the workspace turn into links that lead outside
// and back, all the time, until the test ends. Outside lies the same, with the
// secret in it.
func swapping(t *testing.T, work, outside string) {
	t.Helper()
	pairs := [][2]string{{"dir", "dir.other"}, {"file", "file.other"}}
	writeFile(t, filepath.Join(work, "dir/f"), "inside\n")
	writeFile(t, filepath.Join(work, "file"), "inside\n")
	for _, link := range [][2]string{{outside, "dir.other"}, {filepath.Join(outside, "f"), "file.other"}} {
		if err := os.Symlink(link[0], filepath.Join(work, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	exchange := func(p [2]string) error {
		return unix.Renameat2(unix.AT_FDCWD, filepath.Join(work, p[0]), unix.AT_FDCWD, filepath.Join(work, p[1]), unix.RENAME_EXCHANGE)
	}
	if err := exchange(pairs[0]); err != nil {
		t.Skipf("this file system cannot exchange a directory and a link: %v", err)
	}
	stop := make(chan struct{})
	var swaps sync.WaitGroup
	t.Cleanup(func() { close(stop); swaps.Wait() })
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
}

// TestToolsWhileFilesAreSwapped uses every tool that touches files while a program
// of the agent swaps them for links that lead outside. Calls may fail. None reads
// what lies there, and none writes.
func TestToolsWhileFilesAreSwapped(t *testing.T) {
	const secret = "what lies outside"
	ws := boxed(t, workspace(t, nil))
	work, outside := ws.Root.Name(), t.TempDir()
	writeFile(t, filepath.Join(outside, "f"), secret+"\n")
	swapping(t, work, outside)

	seen := map[bool]bool{} // a reader that trusts paths sees both, so there is a race to lose
	for end := time.Now().Add(time.Minute); len(seen) < 2 && time.Now().Before(end); {
		if b, err := os.ReadFile(filepath.Join(work, "dir/f")); err == nil {
			seen[strings.Contains(string(b), secret)] = true
		}
	}
	if len(seen) < 2 {
		t.Fatal("nothing was swapped")
	}

	for _, c := range []struct {
		name  string
		args  fields
		times int
	}{
		{"read", fields{"path": "dir/f"}, 300},
		{"read", fields{"path": "file"}, 300},
		{"list", fields{"path": "dir"}, 200},
		{"list", fields{"path": ".", "depth": 3}, 200},
		{"edit", fields{"path": "dir/f", "old_string": "outside", "new_string": "changed"}, 200},
		{"edit", fields{"path": "file", "old_string": "inside", "new_string": "inside"}, 200},
		{"write", fields{"path": "dir/new", "content": "written\n"}, 200},
		{"write", fields{"path": "file", "content": "inside\n"}, 200},
		{"apply_patch", fields{"patch": "*** Begin Patch\n*** Add File: dir/patched\n+written\n*** End Patch\n"}, 100},
		{"apply_patch", fields{"patch": "*** Begin Patch\n*** Update File: dir/f\n-inside\n+inside\n*** End Patch\n"}, 100},
		{"grep", fields{"pattern": "lies|inside", "path": "."}, 12},
		{"grep", fields{"pattern": "lies|inside", "path": "dir"}, 12},
		{"glob", fields{"pattern": "dir/*"}, 12},
	} {
		tools, err := ByName([]string{c.name})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(c.args)
		if err != nil {
			t.Fatal(err)
		}
		args, err := ParseArgs(tools[0].Spec(), string(raw))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for range c.times {
			res, err := tools[0].Call(t.Context(), ws, args)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if strings.Contains(res.Text, secret) {
				t.Fatalf("%s %s read what lies outside: %s", c.name, raw, res.Text)
			}
		}
	}
	entries, err := os.ReadDir(outside)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "f")); err != nil || string(b) != secret+"\n" || len(entries) != 1 {
		t.Errorf("outside there are %d files now, and the one says %q, %v", len(entries), b, err)
	}
}

// A pipe in the place of a directory that was one a moment ago keeps nobody waiting.
func TestAPipeIsNoDirectory(t *testing.T) {
	ws := workspace(t, nil)
	if err := unix.Mkfifo(filepath.Join(ws.Root.Name(), "dir"), 0o644); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := children(place{root: ws.Root, name: "dir"})
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it has entries")
		}
	case <-time.After(30 * time.Second):
		t.Error("it is waited for")
	}
}
