package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
	"mgx/internal/store"
)

// lab is a home directory, a repository and a model server, in which mgx runs as
// a process of its own.
type lab struct {
	t      testing.TB
	home   string
	repo   string
	server *llmtest.Server
	env    []string

	// streaming, if set, hears of each piece of an answer that has been sent.
	streaming atomic.Pointer[func(request, piece int)]
}

// tap is a ResponseWriter that tells of each piece sent.
type tap struct {
	http.ResponseWriter
	sent func(piece int)
	n    int
}

func (t *tap) Flush() {
	t.ResponseWriter.(http.Flusher).Flush()
	t.n++
	t.sent(t.n)
}

func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := l.server.Requests() + 1
	l.server.ServeHTTP(&tap{ResponseWriter: w, sent: func(piece int) {
		if f := l.streaming.Load(); f != nil {
			(*f)(request, piece)
		}
	}}, r)
}

// labScript is a small job: a size S change with an edit by the edit tool and
// one by a shell command, checked and reviewed.
const labScript = `{
 "models": ["lab"],
 "roles": {
  "triage": [{"calls": [{"name": "finish", "args": {"kind": "change", "type": "code_generation", "size": "S", "title": "Say hello"}}]}],
  "planner": [{"calls": [{"name": "read", "args": {"path": "greet.sh"}}]},
   {"calls": [{"name": "finish", "args": {"goal": "greet.sh says hello", "steps": ["change greet.sh"], "files": ["greet.sh"], "risks": [], "verify": ["sh check.sh"]}}]}],
  "implementer": [
   {"text": "Reading.", "calls": [{"name": "read", "args": {"path": "greet.sh"}}, {"name": "list", "args": {"path": "."}}]},
   {"text": "A first try.", "calls": [{"name": "edit", "args": {"path": "greet.sh", "old_string": "echo bye", "new_string": "echo hallo"}}]},
   {"text": "And a file.", "calls": [{"name": "shell", "args": {"command": "echo made >> made.txt; sh check.sh"}}]},
   {"text": "Repairing it.", "calls": [{"name": "edit", "args": {"path": "greet.sh", "old_string": "echo hallo", "new_string": "echo hello"}}, {"name": "shell", "args": {"command": "sh check.sh"}}]},
   {"calls": [{"name": "update_plan", "args": {"steps": [{"text": "change greet.sh", "status": "done"}]}},
    {"name": "finish", "args": {"status": "done", "subject": "Say hello", "body": "Because.", "summary": "It says hello."}}]}],
  "reviewer": [
   {"calls": [{"name": "shell", "args": {"command": "cat greet.sh made.txt"}}]},
   {"calls": [{"name": "finish", "args": {"verdict": "approve", "summary": "Fine.", "findings": []}}]}],
  "test": [{"calls": [{"name": "answer", "args": {"number": 42}}]}],
  "answerer": [{"calls": [{"name": "finish", "args": {"answer": "It says bye, see greet.sh:1"}}]}]
 }}`

// identify finds out over the wire which role a request is of: by its
// instructions.
func identify(req *llm.Request) {
	for role, words := range map[string]string{
		"triage": "You sort incoming", "planner": "You plan a change", "implementer": "careful senior engineer",
		"reviewer": "You review a change", "answerer": "You answer a question",
		"test": "calling the tool answer, once",
	} {
		if strings.Contains(req.System, words) {
			req.AgentRole = role
		}
	}
}

func newLab(t testing.TB, script string) *lab {
	t.Helper()
	return newFaultyLab(t, script, nil)
}

// newFaultyLab has the model server do wrong what faults says.
func newFaultyLab(t testing.TB, script string, faults func(n int, r *http.Request) *llmtest.Fault) *lab {
	t.Helper()
	parsed, err := llmtest.ParseScript([]byte(script))
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, home: t.TempDir(), repo: filepath.Join(t.TempDir(), "repo")}
	l.server = &llmtest.Server{Provider: llmtest.NewScripted(parsed), Key: "sk-lab-0123456789", Identify: identify, Faults: faults}
	web := httptest.NewServer(l)
	t.Cleanup(web.Close)
	l.env = []string{
		"HOME=" + l.home, "PATH=" + os.Getenv("PATH"), "OPENAI_BASE_URL=" + web.URL + "/v1", "OPENAI_API_KEY=sk-lab-0123456789",
	}
	l.write("greet.sh", "echo bye\n")
	l.write("check.sh", "test \"$(sh greet.sh)\" = hello\n")
	l.git("init", "-q", "-b", "main")
	l.git("add", "-A")
	l.git("commit", "-qm", "Say bye")
	return l
}

func (l *lab) write(name, text string) {
	l.t.Helper()
	path := filepath.Join(l.repo, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) git(args ...string) string {
	l.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", l.repo, "-c", "user.name=t", "-c", "user.email=t@localhost"}, args...)...)
	cmd.Env = append(l.env, "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// base is the address of the model server.
func (l *lab) base() string {
	for _, e := range l.env {
		if v, ok := strings.CutPrefix(e, "OPENAI_BASE_URL="); ok {
			return v
		}
	}
	return ""
}

// mgx prepares a process.
func (l *lab) mgx(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(l.t.Context(), program(l.t), args...)
	cmd.Env, cmd.Dir = l.env, l.repo
	return cmd
}

// run runs a process to its end.
func (l *lab) run(args ...string) (stdout, stderr string, code int) {
	l.t.Helper()
	var out, errs bytes.Buffer
	cmd := l.mgx(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errs.String(), exit.ExitCode()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return out.String(), errs.String(), 0
}

// must is run for commands that have to succeed.
func (l *lab) must(args ...string) string {
	l.t.Helper()
	out, errs, code := l.run(args...)
	if code != 0 {
		l.t.Fatalf("mgx %q: exit %d\n%s%s", args, code, out, errs)
	}
	return out
}

// killAt starts a command with --json and kills it when the condition holds for
// an event. It reports whether it was killed.
func (l *lab) killAt(when func(n int, e mgx.Event) bool, args ...string) (seen int, killed bool) {
	l.t.Helper()
	seen, killed, code, stderr := l.follow(when, args...)
	if code != 0 && !killed {
		l.t.Fatalf("mgx %q: exit %d\n%s", args, code, stderr)
	}
	return seen, killed
}

// follow is killAt for commands that may fail.
func (l *lab) follow(when func(n int, e mgx.Event) bool, args ...string) (seen int, killed bool, code int, stderr string) {
	l.t.Helper()
	cmd := l.mgx(append(args, "--json")...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 2<<20)
	for lines.Scan() {
		var e mgx.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			l.t.Fatalf("not an envelope: %s", lines.Text())
		}
		if seen++; !killed && when(seen, e) {
			killed = true
			cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		l.t.Fatal(err)
	}
	return seen, killed, cmd.ProcessState.ExitCode(), errs.String()
}

func (l *lab) store() *store.Store {
	l.t.Helper()
	s, err := store.Open(l.t.Context(), filepath.Join(l.home, ".local/share/mgx/mgx.db"), store.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { s.Close() })
	return s
}

// only returns the one run there is.
func (l *lab) only(s *store.Store) mgx.Run {
	l.t.Helper()
	runs, err := s.Runs(l.t.Context(), store.RunQuery{Workspace: mgx.DefaultWorkspace, Limit: 10})
	if err != nil || len(runs) != 1 {
		l.t.Fatalf("%d runs, %v", len(runs), err)
	}
	return runs[0]
}

// fingerprint digests everything of the user's repository that must not change:
// the files, HEAD, the index, stashes, and every ref that is not ours.
func (l *lab) fingerprint() string {
	l.t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(l.repo, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(l.repo, path)
		ours := strings.HasPrefix(rel, ".git/objects") || strings.HasPrefix(rel, ".git/refs/heads/mgx") || strings.HasPrefix(rel, ".git/logs/refs/heads/mgx")
		if d.IsDir() || ours {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			to, err := os.Readlink(path)
			fmt.Fprintf(h, "%s -> %s\n", rel, to)
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %s %d\n%s\n", rel, info.Mode(), info.ModTime().UnixNano(), data)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// verify holds a finished job against what must always be so.
func (l *lab) verify(crashes int) {
	l.t.Helper()
	s := l.store()
	run := l.only(s)
	if run.Status != mgx.RunDone {
		l.t.Fatalf("the run is %s: %+v", run.Status, run.Failure)
	}
	if err := s.Verify(l.t.Context()); err != nil {
		l.t.Errorf("the store: %v", err)
	}
	l.verifySteps(s, run)
	if got, most := l.server.Requests(), run.Calls+crashes; got > most {
		l.t.Errorf("%d requests reached the provider for %d recorded turns and %d crashes", got, run.Calls, crashes)
	}
	if got := l.git("show", run.Branch+":greet.sh"); got != "echo hello" {
		l.t.Errorf("greet.sh on %s: %q", run.Branch, got)
	}
	if got := l.git("show", run.Branch+":made.txt"); got != "made" {
		l.t.Errorf("the shell command's file was written by %d lines, want 1", strings.Count(got, "made"))
	}
	if got := l.git("for-each-ref", "--format=%(refname)", "refs/heads/mgx"); got != "refs/heads/"+run.Branch {
		l.t.Errorf("branches %q, want only %s", got, run.Branch)
	}
	l.must("replay", string(run.ID))
}

// verifySteps checks that no step began again after it was recorded.
func (l *lab) verifySteps(s *store.Store, run mgx.Run) {
	l.t.Helper()
	events, err := s.Events(context.Background(), store.EventQuery{Workspace: run.Workspace, Run: run.ID, Limit: 10_000})
	if err != nil {
		l.t.Fatal(err)
	}
	recorded := map[string]bool{}
	for _, e := range events {
		switch e.Type {
		case mgx.WorkflowStepStarted:
			var d mgx.StepStartedData
			if e.Decode(&d); recorded[d.Step] {
				l.t.Errorf("step %s began again after it was recorded", d.Step)
			}
		case mgx.WorkflowStepCompleted:
			var d mgx.StepCompletedData
			if e.Decode(&d); recorded[d.Step] {
				l.t.Errorf("step %s was recorded twice", d.Step)
			}
			recorded[d.Step] = true
		}
	}
}
