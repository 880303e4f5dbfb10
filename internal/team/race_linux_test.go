package team

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mgx/internal/guard"
	"mgx/internal/guard/policy"
)

// swapping makes each name below work change places with its link below other, all
// the time, until the test ends.
func swapping(t *testing.T, work, other string, names ...string) {
	t.Helper()
	exchange := func(name string) error {
		return unix.Renameat2(unix.AT_FDCWD, filepath.Join(work, name), unix.AT_FDCWD, filepath.Join(other, name), unix.RENAME_EXCHANGE)
	}
	for _, name := range names {
		if err := exchange(name); err != nil {
			t.Skipf("this file system cannot exchange a file and a link: %v", err)
		}
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
				for _, name := range names {
					_ = exchange(name)
				}
			}
		}
	})
}

// sees waits until a reader that trusts a path would have seen both, so that there
// is a race to lose.
func sees(t *testing.T, name, inside, outside string) {
	t.Helper()
	seen := map[string]bool{}
	for end := time.Now().Add(time.Minute); !seen[inside] || !seen[outside]; {
		if b, err := os.ReadFile(name); err == nil {
			seen[string(b)] = true
		}
		if time.Now().After(end) {
			t.Fatal("nothing was swapped")
		}
	}
}

// TestFilesOfTheRepositoryAreSwapped reads what MGX itself reads of a repository
// while those files are swapped for links that lead outside. It may find none; it
// finds nothing of what lies there.
func TestFilesOfTheRepositoryAreSwapped(t *testing.T) {
	const rules = "what lies outside"
	inside := map[string]string{"AGENTS.md": "inside", "Makefile": "all:\n", "package.json": `{"scripts":{"lint":"x"}}`}
	outside := map[string]string{"AGENTS.md": rules, "Makefile": "check:\n", "package.json": `{"scripts":{"test":"x"}}`}
	work, there, links := t.TempDir(), t.TempDir(), t.TempDir()
	var names []string
	for name, text := range inside {
		names = append(names, name)
		writeAt(t, filepath.Join(work, name), text)
		writeAt(t, filepath.Join(there, name), outside[name])
		if err := os.Symlink(filepath.Join(there, name), filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(work)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	swapping(t, work, links, names...)
	sees(t, filepath.Join(work, "AGENTS.md"), "inside", rules)
	for range 2000 {
		text, err := readRules(root, guard.NewRedactor(), func(string) bool { return false })
		if err == nil && strings.Contains(text, rules) {
			t.Fatal("rules were read from outside")
		}
		for _, c := range DetectChecks(root) {
			if c.Command != "npm run lint" {
				t.Fatalf("there is a check %q, which only files outside have", c.Command)
			}
		}
	}
}

// TestAVeilIsLiftedWhileDirectoriesAreSwapped takes away what programs made at a
// kept path, while the directory above is swapped for a link to another that has
// the like. That stays.
func TestAVeilIsLiftedWhileDirectoriesAreSwapped(t *testing.T) {
	p, err := policy.Parse("allow\ndeny path **/secrets")
	if err != nil {
		t.Fatal(err)
	}
	work, there, links := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(work, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeAt(t, filepath.Join(there, "secrets"), "outside")
	if err := os.Symlink(there, filepath.Join(links, "dir")); err != nil {
		t.Fatal(err)
	}
	dir, err := os.OpenRoot(filepath.Join(work, "dir")) // wherever that is
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	root, err := os.OpenRoot(work)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	made := func() {
		if err := dir.WriteFile("secrets", []byte("inside"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	made()
	swapping(t, work, links, "dir")
	sees(t, filepath.Join(work, "dir/secrets"), "inside", "outside")
	taken := 0
	for range 2000 {
		made()
		v := &veil{kept: p.Kept(policy.Facts{Effect: policy.Execute})}
		if names, _, err := v.lifted(t.Context(), root); err == nil {
			taken += len(names)
		}
		if _, err := os.Lstat(filepath.Join(there, "secrets")); err != nil {
			t.Fatal("what lay outside is gone: ", err)
		}
	}
	t.Log(taken, "times what was made was taken away")
}

// A pipe is no file, and nobody waits for one.
func TestAPipeIsNoFile(t *testing.T) {
	root := tree(t, "x")
	for _, name := range []string{"AGENTS.md", "Makefile"} {
		if err := syscall.Mkfifo(filepath.Join(root.Name(), name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := readRules(root, guard.NewRedactor(), func(string) bool { return false }); text != "" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if checks := DetectChecks(root); len(checks) > 0 {
		t.Errorf("%v", checks)
	}
}

func writeAt(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
