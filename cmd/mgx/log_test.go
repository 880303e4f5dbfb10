package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestLogLinesSayWhatTheyAreAbout reads the log of a whole run: every line about
// work carries the ids that lead to it, and no line the key.
func TestLogLinesSayWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	_, stderr, code := l.run(append(labRun, "--json", "--log-format", "json", "--log-level", "info")...)
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	run := l.only(l.store())
	seen := map[string]int{}
	for line := range strings.Lines(stderr) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("not a JSON line: %s", line)
		}
		seen[entry["msg"].(string)]++
		want := map[string]string{
			"workspace_id": string(run.Workspace), "task_id": string(run.Task.ID), "run_id": string(run.ID), "trace_id": run.ID.TraceID(),
		}
		for key, id := range want {
			if entry[key] != id {
				t.Errorf("%s is %v, want %s: %s", key, entry[key], id, line)
			}
		}
		for _, key := range []string{"step", "agent_id"} {
			if id, _ := entry[key].(string); id == "" {
				t.Errorf("no %s: %s", key, line)
			}
		}
	}
	if seen["model call"] != run.Calls || seen["tool call"] != run.ToolCalls {
		t.Errorf("the log has %v, the run %d model calls and %d tool calls", seen, run.Calls, run.ToolCalls)
	}
	if strings.Contains(stderr, "sk-lab") {
		t.Error("the key is in the log")
	}
}
