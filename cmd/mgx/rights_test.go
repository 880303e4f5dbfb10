package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// What is held on a person or a workspace is handed out and erased at the command
// line, not by mistake, and each time the audit log says so and stays provable.
func TestRightsCommands(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	s := l.serve("127.0.0.1:0", "--workers", "0")
	s.end()
	invited := l.must("members", "invite", "canary@example.com", "--role", "developer")
	s = l.serve("127.0.0.1:0", "--workers", "0")
	var token string
	for word := range strings.FieldsSeq(invited) {
		if strings.HasPrefix(word, "mgxi_") {
			token = word
		}
	}
	if _, errs, code := l.as(t.TempDir(), "four words of theirs\n", "login", "--server", s.url, "--invitation", token, "--name", "Canary", "--email", "canary@example.com", "--password-stdin"); code != 0 {
		t.Fatal(errs)
	}
	l.must("workspaces", "create", "Canaries")
	s.end()
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"erase": {2, "one of --run, --task, --person and --workspace"},
		"erase --person user_local --workspace ws_x": {2, "one of --run"},
		"erase --run x --tasks":                      {2, "--tasks goes with --person"},
		"erase --person user_local --yes":            {6, "whoever has the data directory"},
		"erase --workspace ws_default --yes":         {6, "workspace of the installation"},
		"erase --person user_none --yes":             {2, "there is no person"},
		"erase --person canary@example.com":          {6, "say --yes"},
		"export x.jsonl --person nobody@example.com": {2, "there is no person"},
	} {
		if _, stderr, code := l.run(strings.Fields(args)...); code != want.code || !strings.Contains(stderr, want.says) {
			t.Errorf("mgx %s: exit %d, %s", args, code, stderr)
		}
	}
	dir := t.TempDir()
	l.must("export", filepath.Join(dir, "person.jsonl"), "--person", "canary@example.com")
	if text := file(t, filepath.Join(dir, "person.jsonl")); !strings.Contains(text, `"kind":"user"`) || !strings.Contains(text, `"kind":"session"`) || strings.Contains(text, "argon2") {
		t.Errorf("exported %s", text)
	}
	l.must("audit", "checkpoint")
	_, said, _ := l.run("erase", "--person", "canary@example.com", "--yes")
	for _, word := range []string{"Goes: the account, 1 memberships, 1 sessions", "Stays: ids", "Backups and exports made before hold it still"} {
		if !strings.Contains(said, word) {
			t.Errorf("it does not say %q: %s", word, said)
		}
	}
	l.must("backup", filepath.Join(dir, "backup"))
	for name, text := range everything(t, l.data()) {
		if strings.Contains(strings.ToLower(text), "canary@") || strings.Contains(text, "four words") {
			t.Errorf("%s holds the address", name)
		}
	}
	if strings.Contains(unpacked(t, filepath.Join(dir, "backup")), "canary@") {
		t.Error("a backup made afterwards holds the address")
	}
	acts := l.must("audit", "--action", "*")
	for _, act := range []string{"user.erase", "data.export", "data.backup"} {
		if !strings.Contains(acts, act) {
			t.Errorf("%s is not in the audit log:\n%s", act, acts)
		}
	}
	// What is refused was not done, and is no entry.
	recorded := func() int {
		return strings.Count(l.must("audit", "--action", "data.*"), "data.backup") + strings.Count(l.must("audit", "--action", "data.*"), "data.export")
	}
	before := recorded()
	for _, args := range [][]string{{"backup", filepath.Join(dir, "backup")}, {"export", filepath.Join(dir, "person.jsonl")}, {"export", filepath.Join(dir, "none.jsonl"), "--task", "task_none"}} {
		if _, stderr, code := l.run(args...); code == 0 {
			t.Errorf("mgx %v: %s", args, stderr)
		}
	}
	if after := recorded(); before == 0 || after != before {
		t.Errorf("%d entries of backups and exports became %d by some that were refused", before, after)
	}
	l.must("audit", "verify")
	l.must("verify")
}
