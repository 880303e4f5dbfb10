package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"

	"mgx"
	"mgx/internal/app"
)

// review adds a run that has changed something, with a comment on it, and says by
// which requests the routes are tried that are about such changes.
func (c *crashTown) review() {
	t := c.lab.t
	t.Helper()
	rules := filepath.Join(t.TempDir(), "asks.policy")
	if err := os.WriteFile(rules, []byte("extend auto\nask effect deliver tool deliver_branch because \"a person looks at it\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := c.command(6, "run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--policy", rules, "--approve", "ask", "--json")
	first, _, _ := bytes.Cut(out, []byte("\n"))
	var e mgx.Event
	if err := json.Unmarshal(first, &e); err != nil || e.Run == "" {
		t.Fatalf("%v %s", err, out)
	}
	run := string(e.Run)
	c.command(0, "approve", run)
	c.command(6, "resume", run)
	var comment app.Comment
	var review app.Review
	for _, one := range []struct {
		out  []byte
		into any
	}{{c.command(0, "review", run, "--comment", "greet.sh:1", "Louder.", "--json"), &comment}, {c.command(0, "review", run, "--json"), &review}} {
		if err := json.Unmarshal(one.out, one.into); err != nil {
			t.Fatalf("%v %s", err, one.out)
		}
	}
	if len(review.Files) == 0 || comment.ID == "" {
		t.Fatalf("%+v %+v", review, comment)
	}
	for _, rest := range []string{"work", "state"} { // which is made again from the checkpoints
		if err := removeRun(filepath.Join(c.data, "runs", run, rest)); err != nil {
			t.Fatal(err)
		}
	}
	file := review.Files[0]
	c.samples["commentRun"] = crashCall{ids: []string{run}, body: map[string]any{"file": "greet.sh", "line": 1, "text": "Much louder."}}
	c.samples["closeComment"] = crashCall{ids: []string{run, comment.ID}}
	c.samples["approveFile"] = crashCall{ids: []string{run}, body: map[string]any{"file": file.Path, "digest": file.Digest, "approved": true}}
}

// command runs a command on the base, and returns what it says.
func (c *crashTown) command(code int, args ...string) []byte {
	t := c.lab.t
	t.Helper()
	args = append(args, "--data", c.data)
	if c.cluster != nil {
		args = append(args, "--database", c.place)
	}
	cmd := exec.CommandContext(t.Context(), c.program, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.lab.env, c.lab.repo, &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		t.Fatalf("mgx %q: %v, want exit %d\n%s%s", args, err, code, out.String(), errs.String())
	}
	return out.Bytes()
}
