package main

import (
	"fmt"
	"testing"

	"mgx"
	"mgx/internal/llm/llmtest"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
)

// TestMemoryOfAServer has a server work on many runs at once: by default each has so
// little memory that all of them together leave some for the server.
func TestMemoryOfAServer(t *testing.T) {
	t.Parallel()
	bounded(t)
	share := confine.LimitsOf(sandbox.Spec{AtOnce: 64 + 1}).Memory
	l := newLab(t, labScript)
	most := share + 64<<20
	l.implements(llmtest.Turn{Calls: []llmtest.Call{shell("head -c %d /dev/zero | tail -c %d >/dev/null", most, most-1)}})
	server := l.serve("127.0.0.1:0", "--workers", "64")
	if out, errs, code := l.run("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--approve", "auto", "--upload", "--server", server.url); code != 0 {
		t.Fatalf("exit %d\n%s%s\n%s", code, out, errs, server.errs.String())
	}
	run := l.only(l.store())
	setting := fmt.Sprintf("memory=%dMB", share>>20)
	for _, e := range l.eventsOf(l.store(), run, string(mgx.RunLimitReached)) {
		var d mgx.LimitReachedData
		if err := e.Decode(&d); err != nil {
			t.Fatal(err)
		}
		if d.Limit == string(sandbox.LimitMemory) && d.Setting == setting {
			return
		}
		t.Errorf("another limit was reached than %s: %+v", setting, d)
	}
	t.Errorf("%s was not reached", setting)
}

// bounded skips where processes cannot be bounded together.
func bounded(t *testing.T) {
	t.Helper()
	for _, c := range driver("auto").Probe(t.Context()).Checks {
		if c.Name == "cgroup" && !c.OK {
			t.Skip(c.Detail)
		}
	}
}

// implements has the implementer take turns before those of the lab's script.
func (l *lab) implements(turns ...llmtest.Turn) {
	l.t.Helper()
	script, err := llmtest.ParseScript([]byte(labScript))
	if err != nil {
		l.t.Fatal(err)
	}
	script.Roles["implementer"] = append(turns, script.Roles["implementer"]...)
	l.server.Use(llmtest.NewScripted(script))
}
