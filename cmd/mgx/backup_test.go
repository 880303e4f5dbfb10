package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store/pgtest"
)

// TestRestoredRunCompletes backs up while a run is at work, kills it, throws its
// data away, and lets another process go on from the restored backup.
func TestRestoredRunCompletes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 15, 40, 70} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, labScript)
			before := l.fingerprint()
			file, data := filepath.Join(t.TempDir(), "backup"), filepath.Join(l.home, ".local", "share", "mgx")
			_, killed := l.killAt(func(seen int, _ mgx.Event) bool {
				if seen == n {
					l.must("backup", file)
				}
				return seen == n
			}, labRun...)
			if !killed {
				t.Fatal("the run ended first")
			}
			if err := os.RemoveAll(data); err != nil {
				t.Fatal(err)
			}
			l.must("restore", file)
			l.must("verify", "--events", "--files")
			l.resumeKilled()
			// What was done after the backup and is not in it is done again.
			l.verify(l.server.Requests())
			if l.fingerprint() != before {
				t.Error("the user's repository has changed")
			}
			l.must("verify", "--events", "--files")
		})
	}
}

// Without what is in the run's repository a run cannot go on, and both verify
// and backup say so.
func TestLostFilesAreFound(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.killAt(func(seen int, _ mgx.Event) bool { return seen == 60 }, labRun...)
	l.must("verify", "--files")
	run := l.only(l.store())
	objects := filepath.Join(l.home, ".local", "share", "mgx", "runs", string(run.ID), "git", "objects")
	if err := os.RemoveAll(filepath.Join(objects, run.Tree[:2])); err != nil {
		t.Fatal(err)
	}
	if out, _, code := l.run("verify", "--files"); code != 1 || out == "" {
		t.Errorf("verify: exit %d\n%s", code, out)
	}
	l.must("verify") // without --files it does not look
	file := filepath.Join(t.TempDir(), "backup")
	if out, _, code := l.run("backup", file); code != 1 || out == "" {
		t.Errorf("backup: exit %d\n%s", code, out)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("what there is was not kept: %v", err)
	}
	if _, _, code := l.run("backup", filepath.Join(t.TempDir(), "backup"), "--no-files"); code != 0 {
		t.Errorf("backup without files: exit %d", code)
	}
}

// TestRestoredIntoPostgreSQL moves a run that is at work from a file to a
// database server.
func TestRestoredIntoPostgreSQL(t *testing.T) {
	t.Parallel()
	address := pgtest.New(t).NewDatabase(t)
	l := newLab(t, labScript)
	l.killAt(func(seen int, _ mgx.Event) bool { return seen == 40 }, labRun...)
	file, data := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "data")
	l.must("backup", file)
	to := []string{"--database", address, "--data", data}
	l.must(append([]string{"restore", file}, to...)...)
	l.must(append([]string{"verify", "--events", "--files"}, to...)...)
	if out, errs, code := l.run(append([]string{"resume"}, to...)...); code != 0 {
		t.Fatalf("resume: exit %d\n%s%s", code, out, errs)
	}
	l.must(append([]string{"verify", "--events", "--files"}, to...)...)
	if got := l.git("for-each-ref", "--format=%(refname)", "refs/heads/mgx"); got == "" {
		t.Error("nothing was delivered")
	}
	if _, errs, code := l.run(append([]string{"restore", file}, to...)...); code != 3 {
		t.Errorf("a second restore: exit %d\n%s", code, errs)
	}
	back := filepath.Join(t.TempDir(), "back")
	l.must(append([]string{"backup", back, "--all-files"}, to...)...)
	if err := os.RemoveAll(filepath.Join(l.home, ".local", "share", "mgx")); err != nil {
		t.Fatal(err)
	}
	l.must("restore", back)
	l.verify(l.server.Requests())
}

// TestRetainRemovesWhatIsOld ages a run that has ended by hand.
func TestRetainRemovesWhatIsOld(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must(labRun...)
	s := l.store()
	run := l.only(s)
	scope := mgx.Scope{Workspace: run.Workspace, Task: run.Task.ID, Run: run.ID}
	for range 3 {
		e := scope.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "old"})
		e.Version, e.Time = "1.0.0", e.Time.AddDate(-1, 0, 0)
		if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	if out := l.must("retain", "--dry-run", "--json"); !strings.Contains(out, `"removed":2,"emptied":1,"earliest":1`) {
		t.Errorf("dry run: %s", out)
	}
	if out := l.must("retain", "--json"); !strings.Contains(out, `"removed":2,"emptied":1`) || strings.Contains(out, `"earliest":1}`) {
		t.Errorf("retain: %s", out)
	}
	l.must("verify", "--events", "--files")
	l.must("replay", string(run.ID))
	if out := l.must("retain", "--json"); !strings.Contains(out, `"removed":0,"emptied":0`) {
		t.Errorf("again: %s", out)
	}
}

// TestRestoreWithoutRoom runs out of disk in the middle of the files.
func TestRestoreWithoutRoom(t *testing.T) {
	t.Parallel()
	dir := mountTmpfs(t, "size=1m")
	l := newLab(t, labScript)
	noise := make([]byte, 2<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	l.write("noise", string(noise))
	l.must(append(labRun, "--include-dirty")...) // the run's own repository holds it
	file := filepath.Join(t.TempDir(), "backup")
	l.must("backup", file, "--all-files")
	data := filepath.Join(dir, "data")
	_, stderr, code := l.run("restore", file, "--data", data)
	if code != 3 || !strings.Contains(stderr, "full") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
