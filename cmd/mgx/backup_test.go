package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mgx"
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
