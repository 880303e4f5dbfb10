package main

import (
	"context"
	"strings"
	"testing"

	"mgx/internal/sandbox"
)

// probed is a sandbox that can be asked what it is, and nothing else.
type probed struct {
	sandbox.Driver
	report sandbox.Report
}

func (p probed) Probe(context.Context) sandbox.Report { return p.report }

// Whoever demands more than a machine gives hears what the stronger sandbox lacks, not
// only what the one that works does.
func TestWhatIsMissing(t *testing.T) {
	t.Parallel()
	lacks := func(what string) []sandbox.Check { return []sandbox.Check{{Name: what, Detail: "get it"}} }
	native := probed{report: sandbox.Report{Driver: "native", Checks: lacks("user namespace")}}
	lite := probed{report: sandbox.Report{Driver: "lite", Level: sandbox.LevelLite, Checks: lacks("cgroup")}}
	for name, c := range map[string]struct {
		drivers strongest
		want    string
	}{
		"both":    {strongest{native, lite}, "Missing: user namespace: get it; cgroup: get it."},
		"one":     {strongest{lite, native}, "Missing: cgroup: get it."},
		"neither": {strongest{native, native}, "Missing: user namespace: get it; user namespace: get it."},
	} {
		level := c.drivers.Probe(t.Context()).Level
		if err := tooWeak(t.Context(), nameless{c.drivers}, level, sandbox.LevelFull); !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing that is missing makes the default gVisor: it has to be chosen.
func TestGVisorIsDemandedAndNotChosen(t *testing.T) {
	t.Parallel()
	native := probed{report: sandbox.Report{Driver: "native", Level: sandbox.LevelFull}}
	if err := tooWeak(t.Context(), native, sandbox.LevelFull, sandbox.LevelGVisor); !strings.Contains(err.Error(), "Choose it with --sandbox=gvisor") {
		t.Error(err)
	}
}

// nameless are drivers that are not asked who they are.
type nameless struct{ strongest }

func (nameless) Name() string { return "" }

// A run works in the sandbox that was chosen for it, through to its branch, where the
// machine has it; where it lacks something, the run says so, and that it was no mistake.
func TestRunsGetTheChosenSandbox(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"docker", "gvisor"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, branch := 0, "mgx/say-hello/run-1"
			if driver(name).Probe(t.Context()).Level == "" {
				want, branch = 3, ""
			}
			l := newLab(t, labScript)
			_, errs, code := l.run("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--sandbox", name)
			if run := l.only(l.store()); code != want || run.Settings.Sandbox != name || run.Branch != branch {
				t.Errorf("exit %d, in %q, branch %q: %s", code, run.Settings.Sandbox, run.Branch, errs)
			}
		})
	}
}
