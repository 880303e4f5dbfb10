package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
)

// A run on a repository that was sent goes on from a backup, in another data directory
// and without the one that it began in.
func TestRestoredRunOnWhatWasSent(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	env, first, file := l.env, filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "backup")
	l.env = append(slices.Clone(env), "MGX_DATA="+first)
	server := l.serve("127.0.0.1:0", "--workers", "0")
	if _, killed := l.killAt(func(int, mgx.Event) bool { return true }, "run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--approve", "auto", "--upload", "--server", server.url); !killed {
		t.Fatal("the run is not there")
	}
	server.end()
	if _, killed := l.killAt(func(seen int, _ mgx.Event) bool { return seen == 40 }, "resume"); !killed {
		t.Fatal("the run ended first")
	}
	l.must("backup", file)
	if err := os.RemoveAll(first); err != nil {
		t.Fatal(err)
	}
	l.env = env
	l.must("restore", file)
	l.must("verify", "--events", "--files")
	l.resumeKilled()
	n := l.node()
	run := l.only(n.store)
	if run.Status != mgx.RunDone || !strings.HasPrefix(run.Repo.Path, first) {
		t.Fatalf("%s %+v on %+v", run.Status, run.Failure, run.Repo)
	}
	sent := filepath.Join(l.data(), sentTo(run.Workspace, run.Repo.Path))
	if err := n.uploads.sweepOnce(t.Context(), time.Now().Add(time.Hour)); err != nil || !isDir(sent) {
		t.Errorf("what a run works on was swept: %v", err)
	}
	l.must("get", string(run.ID))
	if got := l.git("show", run.Delivered.Branch+":greet.sh"); got != "echo hello" {
		t.Errorf("greet.sh on %s: %q", run.Delivered.Branch, got)
	}
	if isDir(first) {
		t.Error("the data directory from before is there again")
	}

	// Without it the run cannot go on, and that is said.
	if err := os.RemoveAll(sent); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := l.run("diff", string(run.ID)); code == 0 || !strings.Contains(errs, run.Repo.Path) {
		t.Errorf("exit %d %s", code, errs)
	}
}

// A backup can put nothing into a repository that was sent but what one has.
func TestFilesOfWhatWasSent(t *testing.T) {
	t.Parallel()
	in := "uploads/ws_a/" + strings.Repeat("f", 64) + "/"
	for name, want := range map[string]bool{
		in + ".git/HEAD": true, in + ".git/objects/pack/pack-1.pack": true, in + ".git/refs/heads/main": true, in + sentFrom + "/" + string(mgx.ProjectOf("/x")): true,
		in + ".git/hooks/post-checkout": false, in + ".git/../../x": false, in + "check.sh": false, in + sentFrom + "/../../HEAD": false, in + ".git": false,
		"uploads/ws_a/ffff/.git/HEAD": false, "uploads/../" + strings.Repeat("f", 64) + "/.git/HEAD": false, "/" + in + ".git/HEAD": false,
	} {
		if got := validSent(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
