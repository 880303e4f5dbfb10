package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/store"
)

// policyScript runs a check twice, once among other things, and has a reviewer who
// looks with a command of its own.
const policyScript = `{
 "models": ["lab"],
 "roles": {
  "triage": [{"calls": [{"name": "finish", "args": {"kind": "change", "type": "code_generation", "size": "S", "title": "Say hello"}}]}],
  "implementer": [
   {"calls": [{"name": "shell", "args": {"command": "echo made >> made.txt"}}]},
   {"calls": [{"name": "shell", "args": {"command": "sh check.sh"}}]},
   {"calls": [{"name": "edit", "args": {"path": "greet.sh", "old_string": "echo bye", "new_string": "echo hello"}}]},
   {"calls": [{"name": "shell", "args": {"command": "sh check.sh", "timeout": 30}}]},
   {"calls": [{"name": "finish", "args": {"status": "done", "subject": "Say hello", "body": "", "summary": "It says hello."}}]}],
  "reviewer": [
   {"calls": [{"name": "shell", "args": {"command": "cat greet.sh"}}]},
   {"expect": "Refused by a person: look at the diff", "calls": [{"name": "finish", "args": {"verdict": "approve", "summary": "Fine.", "findings": []}}]}]
 }}`

// eventsOf are all of a run, in order.
func (l *lab) eventsOf(s *store.Store, run mgx.Run, types ...string) []mgx.Event {
	l.t.Helper()
	events, err := s.EventsAfter(l.t.Context(), run.Workspace, mgx.StreamID(run.ID), "", types, 0, 10_000)
	if err != nil {
		l.t.Fatal(err)
	}
	return events
}

// waits checks that the run waits for a call that begins as given.
func (l *lab) waits(s *store.Store, call string) mgx.Approval {
	l.t.Helper()
	run := l.only(s)
	if run.Status != mgx.RunWaiting || len(run.Pending()) != 1 {
		l.t.Fatalf("the run is %s and waits for %+v", run.Status, run.Pending())
	}
	a := run.Pending()[0]
	if a.Call == nil || !strings.HasPrefix(a.Effect, call) || a.Call.Why == "" || a.Call.Rule == "" || a.Call.Digest == "" || a.Call.Label == nil || a.Hash == "" {
		l.t.Fatalf("it waits for %+v, want %s", a, call)
	}
	return a
}

// TestACallThatIsAskedAboutWaitsForExactlyThatAnswer goes through everything that a
// person can answer, in processes of their own, one of which is killed when the
// question has been asked.
func TestACallThatIsAskedAboutWaitsForExactlyThatAnswer(t *testing.T) {
	t.Parallel()
	l := newLab(t, policyScript)
	asked := func(_ int, e mgx.Event) bool { return e.Type == mgx.ApprovalRequested }
	if _, killed := l.killAt(asked, "run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--policy", "accept-edits"); !killed {
		t.Fatal("nothing was asked")
	}
	s := l.store()
	answer := func(args ...string) {
		t.Helper()
		l.must(append([]string{"approve", string(l.only(s).ID)}, args...)...)
		if _, stderr, code := l.run("resume", string(l.only(s).ID)); code != 6 {
			t.Fatalf("resume: exit %d\n%s", code, stderr)
		}
	}
	if _, _, code := l.run("resume", string(l.only(s).ID)); code != 6 {
		t.Fatalf("a run that waits ends with exit %d", code)
	}
	first := l.waits(s, "call shell: echo made")
	if first.Call.Arguments != `{"command":"echo made >> made.txt"}` {
		t.Errorf("the arguments are shown as %s", first.Call.Arguments)
	}
	id := string(l.only(s).ID)
	if _, stderr, code := l.run("approve", id, "--hash", "sha256:0"); code != 6 || !strings.Contains(stderr, "not what was decided on") {
		t.Errorf("a decision on something else: exit %d\n%s", code, stderr)
	}
	if _, _, code := l.run("approve", id, "something/else"); code != 2 {
		t.Errorf("an approval that is not there: exit %d", code)
	}
	answer(strings.TrimPrefix(first.Hash, "sha256:")[:12])
	l.waits(s, "call shell: sh check.sh")
	answer("--rest")
	if a := l.waits(s, "call shell: cat greet.sh"); a.Call.AgentRole != "reviewer" {
		t.Errorf("asked for by %s", a.Call.AgentRole)
	}
	answer("--reject", "look at the diff")
	l.waits(s, "add the branch")
	l.must("approve", id)
	l.must("resume", id)
	l.verify(1)
	var verdicts strings.Builder
	for _, e := range l.eventsOf(s, l.only(s), string(mgx.ToolCalled)) {
		var d mgx.ToolCallData
		if err := e.Decode(&d); err != nil {
			t.Fatal(err)
		}
		verdicts.WriteString(d.Name + ":" + d.Verdict + " ")
	}
	if want := "shell:ask shell:ask edit:allow shell:allow shell:ask "; verdicts.String() != want {
		t.Errorf("verdicts %q, want %q", verdicts.String(), want)
	}
	if n := len(l.eventsOf(s, l.only(s), string(mgx.ApprovalRequested))); n != 4 {
		t.Errorf("%d approvals were asked for, want 4", n)
	}
}

// TestSeveralCallsWaitAtOnce has two reads at the same time, each asked about.
func TestSeveralCallsWaitAtOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	rules := filepath.Join(l.home, "own.policy")
	if err := os.WriteFile(rules, []byte("extend auto\nask effect read role implementer because \"even this\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := l.run(append(labRun, "--policy", rules)...); code != 6 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	s := l.store()
	id := string(l.only(s).ID)
	pending := l.only(s).Pending()
	if len(pending) != 2 || pending[0].Call.Rule == "" || pending[0].Hash == pending[1].Hash {
		t.Fatalf("pending: %+v", pending)
	}
	if shown := l.must("show", id); !strings.Contains(shown, "Approval 2 of 2") || !strings.Contains(shown, "even this") {
		t.Errorf("not all are shown:\n%s", shown)
	}
	if _, stderr, code := l.run("approve", id); code != 2 || !strings.Contains(stderr, "name one of them") {
		t.Errorf("one of two, not named: exit %d\n%s", code, stderr)
	}
	l.must("approve", id, strings.TrimPrefix(pending[1].ID, "decision/"), "--rest")
	if _, _, code := l.run("resume", id); code != 6 {
		t.Errorf("with one of two decided: exit %d", code)
	}
	if now := l.only(s).Pending(); len(now) != 1 || now[0].ID != pending[0].ID {
		t.Fatalf("then it waits for %+v", now)
	}
	l.must("approve", id)
	l.must("resume", id)
	l.verify(0)
}

// TestPlanModeIsKeptByTheKernel has agents write where they may only plan, and
// change the plan that was approved.
func TestPlanModeIsKeptByTheKernel(t *testing.T) {
	t.Parallel()
	const tries = `echo planted > planted.txt; echo echo hello > greet.sh; rm -f check.sh; mkdir d; ln -s / l; sh -c 'echo x >> greet.sh'; cat greet.sh`
	l := newLab(t, strings.NewReplacer("TRIES", tries).Replace(`{
 "models": ["lab"],
 "roles": {
  "triage": [{"calls": [{"name": "finish", "args": {"kind": "change", "type": "code_generation", "size": "XS", "title": "Say hello"}}]}],
  "planner": [
   {"calls": [{"name": "shell", "args": {"command": "TRIES"}}]},
   {"calls": [{"name": "finish", "args": {"goal": "greet.sh says hello", "steps": ["change greet.sh"], "files": ["greet.sh"], "risks": [], "verify": []}}]}],
  "implementer": [
   {"calls": [{"name": "shell", "args": {"command": "echo made > made.txt"}}]},
   {"calls": [{"name": "update_plan", "args": {"steps": [{"text": "change greet.sh", "status": "doing"}]}}]},
   {"calls": [{"name": "update_plan", "args": {"steps": [{"text": "change greet.sh", "status": "doing"}, {"text": "and everything else", "status": "todo"}]}}]},
   {"calls": [{"name": "shell", "args": {"command": "echo more > more.txt"}}]}]
 }}`))
	if _, stderr, code := l.run("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--policy", "plan"); code != 6 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	s := l.store()
	run := l.only(s)
	work := filepath.Join(l.home, ".local/share/mgx/runs", string(run.ID), "work")
	if names := l.names(work); names != ".git check.sh greet.sh" {
		t.Errorf("before the plan is approved the files are %s", names)
	}
	if text, err := os.ReadFile(filepath.Join(work, "greet.sh")); err != nil || string(text) != "echo bye\n" {
		t.Errorf("greet.sh is %q, %v", text, err)
	}
	if run.Approval == nil || run.Approval.ID != "decision/plan" || run.Approval.Hash != run.PlanHash {
		t.Fatalf("it waits for %+v", run.Approval)
	}
	l.must("approve", string(run.ID))
	if _, stderr, code := l.run("resume", string(run.ID)); code != 6 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	if names := l.names(work); names != ".git check.sh greet.sh made.txt" {
		t.Errorf("with an approved plan, until it was changed, the files are %s", names)
	}
	after := l.only(s)
	if a := after.Approval; a == nil || a.Decided || a.ID != "decision/plan-2" || a.Hash == run.PlanHash || a.Hash != after.PlanHash {
		t.Fatalf("a changed plan waits for %+v", a)
	}
	if _, _, code := l.run("approve", string(run.ID), "--hash", run.PlanHash); code != 6 {
		t.Errorf("the changed plan is approved by the hash of the first: exit %d", code)
	}
	l.must("approve", string(run.ID), "--reject", "not that")
	if _, _, code := l.run("resume", string(run.ID)); code != 6 {
		t.Errorf("a rejected plan: exit %d", code)
	}
	if names := l.names(work); strings.Contains(names, "more.txt") || l.only(s).Status != mgx.RunRefused {
		t.Errorf("after a rejection the files are %s and the run is %s", names, l.only(s).Status)
	}
	l.must("replay", string(run.ID))
}

func (l *lab) names(dir string) string {
	l.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		l.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// TestWhatAPolicyDeniesIsKeptFromPrograms tries to reach denied files by every way
// that has a name other than theirs.
// TestNoLinkLeadsAroundAPolicy has tools for files go to denied paths through links,
// and to what rules name through links by its own name.
func TestNoLinkLeadsAroundAPolicy(t *testing.T) {
	t.Parallel()
	l := newLab(t, `{"models": ["lab"], "roles": {
  "triage": [{"calls": [{"name": "finish", "args": {"kind": "change", "type": "code_generation", "size": "S", "title": "Say hello"}}]}],
  "implementer": [
   {"calls": [{"name": "grep", "args": {"pattern": "sesame|plain", "path": "docs/current"}}, {"name": "list", "args": {"path": "docs/current"}}]},
   {"calls": [{"name": "read", "args": {"path": "a/vault/key"}}, {"name": "grep", "args": {"pattern": "sesame|plain"}}]},
   {"calls": [{"name": "finish", "args": {"status": "impossible", "subject": "", "body": "", "summary": "That is all."}}]}]}}`)
	l.write("deploy/keys", "open sesame\n")
	l.write("deploy/other", "plain\n")
	l.write("a/vault/key", "open sesame\n")
	for name, to := range map[string]string{"docs/current": "../deploy", "way": "a"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(l.repo, "docs"), 0o755), os.Symlink(to, filepath.Join(l.repo, name))); err != nil {
			t.Fatal(err)
		}
	}
	l.git("add", "-A")
	l.git("commit", "-qm", "Link")
	rules := l.file("own.policy", "extend auto\ndeny path deploy/keys,way/vault/*\n")
	if _, stderr, code := l.run("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--policy", rules, "--approve", "auto"); code != 1 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	s := l.store()
	var said []string
	for _, e := range l.events(s, l.only(s))[mgx.ToolReturned] {
		d := decoded[mgx.ToolResultData](t, e)
		if said = append(said, d.Name+" "+d.Status); strings.Contains(d.Output, "sesame\n") || d.Status == "success" && !strings.Contains(d.Output, "other") {
			t.Errorf("%s: %s", d.Name, d.Output)
		}
	}
	slices.Sort(said) // those of one turn are made at once
	if want := "grep success, grep success, list success, read denied"; strings.Join(said, ", ") != want {
		t.Errorf("%q, want %q", said, want)
	}
}

func TestWhatAPolicyDeniesIsKeptFromPrograms(t *testing.T) {
	t.Parallel()
	commands := []string{
		"cat a/secrets/key; cat /workspace/a/secrets/key; ls a/secrets; cp -r a/secrets copy; ls copy",
		"ln -s a/secrets/key way; cat way; ln a/secrets/key hard; cat hard; python3 -c 'print(open(\"a/secrets/key\").read())'",
		"git show HEAD:a/secrets/key; git cat-file -p HEAD:a/secrets/key; git grep -h sesame HEAD; grep -r sesame . .git /borrow /proc/self/cwd",
		"cat by/secrets/key by/link",
		"rm -rf a/secrets; echo x > a/secrets; umount a/secrets; mv a/secrets elsewhere; echo exit 0 > check.sh; mv check.sh old.sh; rm check.sh; ln check.sh two; echo exit 0 > two; cat check.sh",
		"mkdir -p new/secrets && echo planted > new/secrets/key; ls new/secrets",
		"mkdir -p out build; mv a build; mv deploy build; mv deploy out/.git; mv deploy/keys/prod out; rm -rf deploy; rmdir deploy/keys; echo stays > a/made",
		"cat build/a/secrets/key build/deploy/keys/prod/key out/.git/keys/prod/key out/prod/key; find . -name prod; ls; cat a/other",
	}
	var turns []string
	for _, c := range commands {
		args, err := json.Marshal(map[string]string{"command": c})
		if err != nil {
			t.Fatal(err)
		}
		turns = append(turns, `{"calls": [{"name": "shell", "args": `+string(args)+`}]}`)
	}
	l := newLab(t, `{"models": ["lab"], "roles": {
  "triage": [{"calls": [{"name": "finish", "args": {"kind": "change", "type": "code_generation", "size": "S", "title": "Say hello"}}]}],
  "implementer": [
   {"calls": [{"name": "read", "args": {"path": "a/secrets/key"}}]},
   {"calls": [{"name": "read", "args": {"path": "by/secrets/key"}}]},
   {"calls": [{"name": "read", "args": {"path": "link"}}]},
   {"calls": [{"name": "list", "args": {"path": "a"}}]},
   {"calls": [{"name": "glob", "args": {"pattern": "**/key"}}]},
   {"calls": [{"name": "grep", "args": {"pattern": "sesame"}}]},
   {"calls": [{"name": "edit", "args": {"path": "check.sh", "old_string": "test", "new_string": "true"}}, {"name": "write", "args": {"path": "a/secrets/new", "content": "x"}}]},
   `+strings.Join(turns, ",\n")+`,
   {"calls": [{"name": "finish", "args": {"status": "impossible", "subject": "", "body": "", "summary": "That is all."}}]}]}}`)
	l.write("a/secrets/key", "open sesame\n")
	l.write("a/other", "plain\n")
	l.write("deploy/keys/prod/key", "open sesame\n")
	l.write(".gitignore", "build/\n")
	for name, to := range map[string]string{"by": "a", "link": "a/secrets/key"} {
		if err := os.Symlink(to, filepath.Join(l.repo, name)); err != nil {
			t.Fatal(err)
		}
	}
	l.git("add", "-A")
	l.git("commit", "-qm", "Keep a secret")
	rules := filepath.Join(l.home, "own.policy")
	text := "extend auto\ndeny path **/secrets,deploy/keys/prod because \"secrets stay where they are\"\nask effect write path check.sh\n"
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := l.run("run", "say hello", "--model", "openai/lab", "--check", "cat a/secrets/key check.sh", "--policy", rules, "--approve", "auto"); code != 6 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	s := l.store()
	run := l.only(s)
	level := sandbox.LevelOff
	var outputs []string
	for _, e := range l.eventsOf(s, run) {
		if strings.Contains(string(e.Data), "open sesame") {
			t.Errorf("%s says: %s", e.Type, e.Data)
		}
		switch e.Type {
		case mgx.ToolCalled:
			var d mgx.ToolCallData
			if err := e.Decode(&d); err != nil {
				t.Fatal(err)
			}
			level = sandbox.Level(d.SandboxLevel)
		case mgx.ToolReturned:
			var d mgx.ToolResultData
			if err := e.Decode(&d); err != nil {
				t.Fatal(err)
			}
			outputs = append(outputs, d.Name+" "+d.Status+": "+d.Output)
		}
	}
	if !level.AtLeast(sandbox.LevelBasic) {
		for _, o := range outputs {
			if strings.HasPrefix(o, "shell ") && !strings.HasPrefix(o, "shell denied") {
				t.Errorf("at level %s a program ran: %s", level, o)
			}
		}
		t.Skipf("the sandbox reaches level %s here, at which no program runs under such a policy", level)
	}
	if len(outputs) != 8+len(commands) {
		t.Fatalf("%d results: %q", len(outputs), outputs)
	}
	for i, want := range []string{
		"read denied: Refused by the policy of this run: secrets stay where they are", "read denied", "read denied", "list success", "glob success", "grep success",
		"edit denied: Refused: a rule asks about edit on check.sh", "write denied",
		"shell", "shell", "shell", "shell", "shell", "shell", "shell success", "shell",
	} {
		if !strings.HasPrefix(outputs[i], want) {
			t.Errorf("result %d: %s\nwant %s", i, outputs[i], want)
		}
	}
	for i, want := range map[int]string{12: "test \"$(sh greet.sh)\" = hello", 13: "was taken away", 14: "busy", 15: "plain"} {
		if !strings.Contains(outputs[i], want) {
			t.Errorf("result %d: %s\nwant %s", i, outputs[i], want)
		}
	}
	if strings.Contains(outputs[3], "secrets") || strings.Contains(outputs[4], "secrets") || strings.Contains(outputs[5], "secrets") {
		t.Errorf("hidden paths are listed: %q", outputs[3:6])
	}
	work := filepath.Join(l.home, ".local/share/mgx/runs", string(run.ID), "work")
	for _, name := range []string{"a/secrets/key", "deploy/keys/prod/key"} {
		if text, err := os.ReadFile(filepath.Join(work, name)); err != nil || string(text) != "open sesame\n" {
			t.Errorf("%s is not where it was: %q, %v", name, text, err)
		}
	}
	l.must("replay", string(run.ID))
}
