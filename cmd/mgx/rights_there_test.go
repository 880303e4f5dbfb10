package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the owner does with what is held is done at a server with the same words: the
// same file, the same questions, the same refusals.
func TestRightsAtAServer(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must("demo")
	run := string(l.only(l.store()).ID)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	l.must("export", at("here.jsonl"), "--run", run)
	s := l.serve("127.0.0.1:0", "--workers", "0")
	defer s.end()
	there := func(args ...string) (stdout, stderr string, code int) {
		return l.run(append(args, "--server", s.url)...)
	}
	if _, stderr, code := there("export", at("there.jsonl"), "--run", run[len(run)-8:]); code != 0 || !strings.Contains(stderr, "Wrote "+at("there.jsonl")) {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if file(t, at("here.jsonl")) != file(t, at("there.jsonl")) {
		t.Error("the export of the server is another")
	}
	sum := func(name string) string {
		_, rest, _ := strings.Cut(file(t, at(name)), `"sha256": "`)
		return rest[:64]
	}
	if sum("here.jsonl.index.json") != sum("there.jsonl.index.json") {
		t.Error("it has another digest")
	}
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"export " + at("there.jsonl"):                             {2, "never overwrites"},
		"export " + at("none.jsonl") + " --task task_none":        {2, "nothing is held on task_none"},
		"export " + at("none.jsonl") + " --person jo@example.com": {2, "there is no person jo@example.com"},
		"export " + at("all.jsonl"):                               {0, "Wrote"},
		"export " + at("me.jsonl") + " --person user_local":       {0, "Wrote"},
		"erase":                              {2, "say what to erase"},
		"erase --run " + run:                 {6, "this erases task task_"},
		"erase --person user_none --yes":     {2, "there is no person"},
		"erase --person user_local --yes":    {6, "whoever has the data directory"},
		"erase --workspace ws_default --yes": {6, "workspace of the installation"},
		"erase --task task_none --yes":       {2, "there is no task"},
		"retain --dry-run":                   {0, "Would remove 0 events"},
		"retain":                             {0, "Removed 0 events"},
		"retain --token mgxk_none_none":      {6, ""},
	} {
		if _, stderr, code := there(strings.Fields(args)...); code != want.code || !strings.Contains(stderr, want.says) {
			t.Errorf("mgx %s: exit %d, %s", args, code, stderr)
		}
	}
	if _, err := os.Stat(at("none.jsonl")); err == nil {
		t.Error("a file of nothing is left")
	}
	left, err := filepath.Glob(at(".*.part-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if _, stderr, code := there("erase", "--run", run, "--yes"); code != 0 || !strings.Contains(stderr, "events lost their data") || !strings.Contains(stderr, "branch -D mgx/") || !strings.Contains(stderr, "Backups and exports") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(l.data(), "runs", run)); err == nil {
		t.Error("its files are left")
	}
	stdout, stderr, code := there("erase", "--run", run, "--yes", "--json")
	if code != 0 || !strings.Contains(stdout, `"events":0`) || !strings.Contains(stdout, run) {
		t.Errorf("exit %d: %s %s", code, stdout, stderr)
	}
	acts, _, _ := there("audit", "--action", "*")
	for _, act := range []string{"run.export", "workspace.export", "user.export", "subject.erase", "events.retain"} {
		if !strings.Contains(acts, act) {
			t.Errorf("%s is not in the audit log:\n%s", act, acts)
		}
	}
}
