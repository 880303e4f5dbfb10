package main

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx"
)

// readingScript reads attachments by every tool that could, and tries to write.
const readingScript = `{
 "models": ["lab"],
 "roles": {
  "triage": [{"calls": [{"name": "finish", "args": {"kind": "question", "type": "question", "size": "S", "title": "Read"}}]}],
  "answerer": [
   {"calls": [{"name": "list", "args": {"path": "/attachments"}}, {"name": "read", "args": {"path": "/attachments/data/deep/a.txt"}},
    {"name": "grep", "args": {"pattern": "sausage", "path": "/attachments"}}, {"name": "glob", "args": {"pattern": "**/*.txt", "path": "/attachments"}}]},
   {"calls": [{"name": "shell", "args": {"command": "cat /attachments/bundle/in.txt /attachments/note/note.md; echo x > /attachments/data/new; ls /attachments/data/deep"}}]},
   {"calls": [{"name": "finish", "args": {"answer": "Read."}}]}]
 }}`

// attached makes a directory, a file and an archive to attach.
func (l *lab) attached() (args []string) {
	l.t.Helper()
	if err := os.MkdirAll(filepath.Join(l.home, "data/deep"), 0o755); err != nil {
		l.t.Fatal(err)
	}
	l.file("data/deep/a.txt", "the sausage is in the directory\n")
	return []string{"--attach", filepath.Join(l.home, "data"), "--attach", l.file("note.md", "a note\n"), "--attach", l.archive("bundle.tar", "in.txt", "from the archive\n")}
}

func (l *lab) archive(name, member, text string) string {
	l.t.Helper()
	f, err := os.Create(filepath.Join(l.home, name))
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := w.WriteHeader(&tar.Header{Name: member, Size: int64(len(text)), Mode: 0o644}); err != nil {
		l.t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		l.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		l.t.Fatal(err)
	}
	return f.Name()
}

// readAttached holds what agents read of the attachments against what was given, and
// returns where that is kept.
func (l *lab) readAttached(run mgx.Run) (kept string) {
	l.t.Helper()
	t, s := l.t, l.store()
	events := l.events(s, run)
	want := map[string]string{
		"list": "deep", "read": "the sausage is in the directory", "grep": "/attachments/data/deep/a.txt", "glob": "a.txt", "shell": "from the archive\na note\n",
	}
	for _, e := range events[mgx.ToolReturned] {
		res := decoded[mgx.ToolResultData](t, e)
		if !strings.Contains(res.Output, want[res.Name]) || res.Status != "success" {
			t.Errorf("%s: %s: %q, want %q", res.Name, res.Status, res.Output, want[res.Name])
		}
		if res.Label == nil || !res.Label.Untrusted || !strings.Contains(strings.Join(res.Label.Sources, " "), mgx.SourceAttachment) {
			t.Errorf("%s: label %+v", res.Name, res.Label)
		}
		if res.Name == "shell" && (strings.Contains(res.Output, "new") && !strings.Contains(res.Output, "Read-only")) {
			t.Errorf("the attachments were written: %q", res.Output)
		}
	}
	kept = filepath.Join(l.home, ".local/share/mgx/runs", string(run.ID), "attachments")
	if _, err := os.Stat(filepath.Join(kept, "data/new")); err == nil {
		t.Error("the attachments were written")
	}
	return kept
}

func TestAttachments(t *testing.T) {
	l := newLab(t, readingScript)
	l.must(append([]string{"run", "what is there?"}, l.attached()...)...)
	s := l.store()
	run := l.only(s)
	if got := run.Settings.Attachments; len(got) != 3 || got[0].Name != "data" || got[1].Name != "note" || got[2].Name != "bundle" || got[2].Files != 1 || got[2].Size != 17 {
		t.Errorf("attachments: %+v", got)
	}
	kept := l.readAttached(run)

	// A fork has them; a replay needs none; what was changed is not used.
	if err := os.RemoveAll(filepath.Join(l.home, "data")); err != nil {
		t.Fatal(err)
	}
	l.must("fork", string(run.ID), "--at", "12")
	if err := os.WriteFile(filepath.Join(kept, "data/deep/a.txt"), []byte("another\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.must("replay", string(run.ID))
	if _, errs, code := l.run("fork", string(run.ID), "--at", "12"); code != 3 || !strings.Contains(errs, "no longer what was attached") {
		t.Errorf("changed attachments: exit %d\n%s", code, errs)
	}
	l.must("erase", "--run", string(run.ID), "--yes")
	if _, err := os.Stat(kept); err == nil {
		t.Error("attachments outlive the erasure of their run")
	}
}

func TestAttachmentsThatAreRefused(t *testing.T) {
	l := newLab(t, readingScript)
	for _, c := range []struct{ path, says string }{
		{l.archive("slip.tar", "../out", "x"), "leads out"},
		{filepath.Join(l.home, "missing"), "no such file"},
		{os.DevNull, "neither a file nor a directory"},
		{"", "--attach is empty"},
	} {
		if _, errs, code := l.run("run", "hm?", "--attach", c.path); code != 2 || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d\n%s", c.path, code, errs)
		}
	}
	if runs, err := os.ReadDir(filepath.Join(l.home, ".local/share/mgx/runs")); err == nil && len(runs) > 0 {
		t.Errorf("what was refused left %d directories", len(runs))
	}
}

// What is attached to a task of a server is sent there, and is the same to its agents. It
// is with the run, so what was sent goes.
func TestAttachmentsAtAServer(t *testing.T) {
	t.Parallel()
	l := newLab(t, readingScript)
	server := l.serve("127.0.0.1:0", "--workers", "1")
	there := []string{"run", "what is there?", "--model", "openai/lab", "--repo", l.repo, "--server", server.url}
	l.must(append(there, l.attached()...)...)
	run := l.only(l.store())
	if got := run.Settings.Attachments; len(got) != 3 || got[0].Name != "data" || got[1].Name != "note" || got[2].Name != "bundle" || got[2].Files != 1 || got[2].Size != 17 {
		t.Errorf("attachments: %+v", got)
	}
	l.readAttached(run)
	for _, c := range []struct{ path, says string }{
		{l.archive("slip.tar", "../out", "x"), "leads out"},
		{filepath.Join(l.home, "missing"), "no such file"},
		{os.DevNull, "neither a file nor a directory"},
		{"", "--attach is empty"},
	} {
		if _, errs, code := l.run(append(there, "--attach", c.path)...); code != 2 || !strings.Contains(errs, c.says) || strings.Contains(errs, l.data()) {
			t.Errorf("%s: exit %d\n%s", c.path, code, errs)
		}
	}
	if runs, err := os.ReadDir(filepath.Join(l.data(), "runs")); err != nil || len(runs) != 1 {
		t.Errorf("%d directories of runs, %v", len(runs), err)
	}
	sent := func() int {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(l.data(), uploadsDir, "*", filePrefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if n := sent(); n != 4 {
		t.Errorf("%d files are kept of what was sent", n)
	}
	server.end()
	n := l.node()
	if err := n.uploads.sweepOnce(t.Context(), time.Now().Add(-time.Hour)); err != nil || sent() != 4 {
		t.Errorf("%d files are left before their time is over, %v", sent(), err)
	}
	if err := n.uploads.sweepOnce(t.Context(), time.Now().Add(time.Hour)); err != nil || sent() != 0 {
		t.Errorf("%d files are left, %v", sent(), err)
	}
}
