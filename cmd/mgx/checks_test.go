package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm/llmtest"
)

// TestAnUnavailableCheckIsNoPass has checks whose program is not there: they judge
// nothing, and nowhere it is said that they passed.
func TestAnUnavailableCheckIsNoPass(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		checks       []string
		told, tally  string
		rounds       string
		passed       int
		neverShowing string
	}{
		"alone": {
			[]string{"no-such-program"},
			"Checks, round 1: unavailable\n", "○ 0 of 1 passed, 1 unavailable: ",
			"baseline unavailable, 1 unavailable", 0, " passed\n",
		},
		"beside one that passes": {
			[]string{"sh check.sh", "no-such-program"},
			"Checks, round 1: unavailable\n", "○ 1 of 2 passed, 1 unavailable: ",
			"baseline failed, baseline unavailable, 1 passed, 1 unavailable", 1, "round 1: passed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, labScript)
			args := []string{"run", "say hello", "--model", "openai/lab"}
			for _, c := range tc.checks {
				args = append(args, "--check", c)
			}
			_, told, code := l.run(args...)
			if code != 0 || !strings.Contains(told, tc.told) || !strings.Contains(told, tc.tally) || strings.Contains(told, tc.neverShowing) {
				t.Errorf("exit %d, %s", code, told)
			}
			s := l.store()
			run := l.only(s)
			if got := l.rounds(s); got != tc.rounds {
				t.Errorf("checks: %s", got)
			}
			if d := decoded[mgx.TaskCompletedData](t, l.events(s, run)[mgx.TaskCompleted][0]); d.Result.Checks != tc.passed {
				t.Errorf("%d checks passed, it says", d.Result.Checks)
			}
			if out := l.must("show", string(run.ID), "--json"); !strings.Contains(out, `"passed":false`) || strings.Contains(out, `"passed":true`) {
				t.Errorf("mgx show says:\n%s", out)
			}
			l.must("replay", string(run.ID))
		})
	}
}

// TestACheckThatTheChangeTookAwayFails has the author remove the program of a check: that
// is no check that cannot run, and the author is sent back.
func TestACheckThatTheChangeTookAwayFails(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.write("check", "#!/bin/sh\ntest \"$(sh greet.sh)\" = hello\n")
	if err := os.Chmod(filepath.Join(l.repo, "check"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.git("add", "-A")
	l.git("commit", "-qm", "Have a check")
	script, err := llmtest.ParseScript([]byte(labScript))
	if err != nil {
		t.Fatal(err)
	}
	done := llmtest.Turn{Calls: []llmtest.Call{ends("Say hello", "", "It says hello.")}}
	script.Roles["implementer"] = []llmtest.Turn{
		{Calls: []llmtest.Call{shell("echo echo hello >greet.sh; mv check kept")}},
		done,
		{Calls: []llmtest.Call{shell("mv kept check")}},
		done,
	}
	l.server.Use(llmtest.NewScripted(script))
	if _, errs, code := l.run("run", "say hello", "--model", "openai/lab", "--check", "./check"); code != 0 {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	if got := l.rounds(l.store()); got != "baseline failed, 1 failed, 1.2 passed" {
		t.Errorf("checks: %s", got)
	}
}
