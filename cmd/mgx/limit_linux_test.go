package main

import (
	"encoding/json"
	"strings"
	"testing"

	"mgx"
)

// TestLimitOfARun has an agent and a check come to limits of the sandbox: both are
// told to the operator, with what reached them, and the run goes on.
func TestLimitOfARun(t *testing.T) {
	t.Parallel()
	l := newLab(t, strings.Replace(labScript, `{"command": "echo made >> made.txt; sh check.sh"}`,
		`{"command": "echo made >> made.txt; sleep 1000", "timeout": 1}`, 1))
	l.write("check.sh", "test \"$(sh greet.sh)\" = hello || exit 1\ntest -e made.txt && kill -XFSZ $$\n:\n")
	l.git("commit", "-qam", "Check with a limit")
	_, stderr, code := l.run("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh")
	t.Log(code, stderr) // the check never passes
	run := l.latest()
	seen := map[string]mgx.LimitReachedData{}
	for line := range strings.Lines(l.must("events", "--run", string(run.ID), "--type", string(mgx.RunLimitReached), "--json")) {
		var e mgx.Event
		var d mgx.LimitReachedData
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if err := e.Decode(&d); err != nil {
			t.Fatal(err)
		}
		if (d.Check == "") == (d.CallID == "") || d.Sandbox == "" {
			t.Errorf("%+v", d)
		}
		seen[d.Limit] = d
	}
	if d, ok := seen["time"]; !ok || d.CallID == "" || d.ExitCode != nil {
		t.Errorf("the time-out of the agent's command: %+v", d)
	}
	if d, ok := seen["file_size"]; !ok || d.ExitCode == nil || *d.ExitCode != 153 || d.Setting != "file-size=8GB" {
		t.Errorf("the size of a file: %+v", d)
	}
	out := l.must("events", "--run", string(run.ID), "--json")
	for _, words := range []string{"timed out after 1s", "The limit on the size of a file (file-size=8GB, "} {
		if !strings.Contains(out, words) {
			t.Errorf("the agent was not told %q", words)
		}
	}
}
