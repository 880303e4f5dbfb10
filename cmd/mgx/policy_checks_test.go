package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// checkScript changes what the repository's own check runs, which is free where edits are.
const checkScript = `{
 "models": ["lab"],
 "roles": {
  "triage": [{"calls": [{"name": "finish", "args": {"kind": "change", "type": "code_generation", "size": "S", "title": "Say hello"}}]}],
  "implementer": [
   {"calls": [{"name": "edit", "args": {"path": "greet.sh", "old_string": "echo bye", "new_string": "echo hello"}}]},
   {"calls": [{"name": "edit", "args": {"path": "Makefile", "old_string": "sh check.sh", "new_string": "sh check.sh && sh check.sh"}}]},
   {"calls": [{"name": "finish", "args": {"status": "done", "subject": "Say hello", "body": "", "summary": "It says hello."}}]}],
  "reviewer": [{"calls": [{"name": "finish", "args": {"verdict": "approve", "summary": "Fine.", "findings": []}}]}]
 }}`

// TestAPolicyDecidesOnChecks runs the check that a Makefile names under policies that
// allow it, ask about it and deny it, and one that a person named.
func TestAPolicyDecidesOnChecks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy string
		args   []string
		answer []string // to the question about the check; nil: there is none
		want   string   // status of the check in each round
	}{
		"by default":                  {policy: "extend auto", want: "baseline failed, 1 passed"},
		"asked about":                 {policy: "extend accept-edits\nallow effect deliver", answer: []string{}, want: "baseline failed, 1 passed"},
		"asked about and refused":     {policy: "extend accept-edits\nallow effect deliver", answer: []string{"--reject", "not here"}, want: "baseline refused, 1 refused"},
		"nobody to ask":               {policy: "extend accept-edits\nallow effect deliver", args: []string{"--approve", "never"}, want: "baseline refused, 1 refused"},
		"a policy that asks nobody":   {policy: "extend accept-edits\nallow effect deliver\nunattended", want: "baseline refused, 1 refused"},
		"denied":                      {policy: "extend auto\ndeny tool check", want: "baseline refused, 1 refused"},
		"its command denied":          {policy: "extend auto\ndeny command \"make *\"", want: "baseline refused, 1 refused"},
		"named":                       {policy: "extend accept-edits\nallow effect deliver", args: []string{"--check", "make test"}, want: "baseline failed, 1 passed"},
		"named where nobody is asked": {policy: "allow effect read,write,deliver\nunattended", args: []string{"--check", "make test"}, want: "baseline failed, 1 passed"},
		"named and denied":            {policy: "extend auto\ndeny effect execute", args: []string{"--check", "make test"}, want: "baseline refused, 1 refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, checkScript)
			l.write("Makefile", "test:\n\tsh check.sh\n")
			l.git("add", "-A")
			l.git("commit", "-qm", "Have a check")
			rules := filepath.Join(l.home, "own.policy")
			if err := os.WriteFile(rules, []byte(tc.policy+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, stderr, code := l.run(append([]string{"run", "say hello", "--model", "openai/lab", "--policy", rules}, tc.args...)...)
			s := l.store()
			id := string(l.only(s).ID)
			if tc.answer != nil {
				a := l.waits(s, "run the check make test")
				if code != 6 || a.Call.Tool != "check" || a.Call.Arguments != `{"command":"make test"}` || l.rounds(s) != "" {
					t.Fatalf("exit %d, waits for %+v, checks %q\n%s", code, a.Call, l.rounds(s), stderr)
				}
				l.must(append([]string{"approve", id}, tc.answer...)...)
				_, stderr, code = l.run("resume", id)
			}
			if code != 0 || l.only(s).Status != mgx.RunDone {
				t.Fatalf("exit %d, the run is %s\n%s", code, l.only(s).Status, stderr)
			}
			if got := l.rounds(s); got != tc.want {
				t.Errorf("checks: %s\nwant %s", got, tc.want)
			}
			asked := len(l.eventsOf(s, l.only(s), string(mgx.ApprovalRequested)))
			if want := map[bool]int{true: 1}[tc.answer != nil]; asked != want {
				t.Errorf("%d questions, want %d", asked, want)
			}
			shown := l.must("show", id)
			if strings.Contains(tc.want, "refused") != strings.Contains(shown, "refused") {
				t.Errorf("mgx show says:\n%s", shown)
			}
			l.must("replay", id)
		})
	}
}

// rounds are the checks of the one run, with how they ended.
func (l *lab) rounds(s *store.Store) string {
	l.t.Helper()
	var all []string
	for _, e := range l.eventsOf(s, l.only(s), string(mgx.RunChecksCompleted)) {
		var d mgx.ChecksData
		if err := e.Decode(&d); err != nil {
			l.t.Fatal(err)
		}
		passed := true
		for _, c := range d.Checks {
			all = append(all, d.Round+" "+c.Status)
			passed = passed && c.Status == "passed"
		}
		if d.Passed != passed {
			l.t.Errorf("round %s passed: %v", d.Round, d.Passed)
		}
	}
	return strings.Join(all, ", ")
}
