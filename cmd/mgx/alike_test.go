package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/api"
)

// age is how long ago something was, with what makes its column wide.
var age = regexp.MustCompile(`([0-9]+ (s|min|h) ago|just now) *`)

// What is read at a server is what is read here: the same lines, and the same bytes but
// for how long ago something was.
// Who may not read it there is told so.
func TestWhatIsReadAtAServerIsWhatIsReadHere(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--approve", "auto")
	run := string(l.only(l.store()).ID)
	if _, stderr, code := l.run("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--approve", "ask"); code != 6 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	var first mgx.RunInfo
	if err := json.Unmarshal([]byte(l.must("runs", "--status", "done", "--json")), &first); err != nil {
		t.Fatal(err)
	}
	_, calls := l.newKey() // it may only call models
	s := l.serve("127.0.0.1:0", "--workers", "0")
	defer s.end()
	l.must("retain", "set", "agent=20", "--server", s.url)
	for _, words := range []string{
		"artifacts " + run[len(run)-8:], "artifacts " + run + " --json", "artifacts get " + run + " changes.patch", "artifacts get " + run + " checks.json",
		"agents", "agents show reviewer", "agents --json",
		"events schemas", "events schemas task.created", "events schemas task.created --json", "events schemas agent.message --version 1.0.0 --json",
		"retain show", "retain show --json", "runs estimate", "runs estimate --json", "tasks --json",
		"tasks show " + string(first.Task.ID), "tasks show " + string(first.Task.ID)[20:] + " --json", "runs --json", "runs --limit 1 --json", "runs --status waiting,running", "approvals", "approvals --json",
		"runs --project " + string(first.Project) + " --task " + string(first.Task.ID) + " --user " + string(first.User) + " --text HELL --json",
		"executions", "executions --limit 1 --json", "executions --status waiting", "executions --json --run " + run, "executions show " + string(first.Execution), "executions show " + string(first.Execution)[20:] + " --json",
	} {
		args := strings.Fields(words)
		here := l.must(args...)
		there := append(args, "--server", s.url)
		if got := l.must(there...); age.ReplaceAllString(got, "…") != age.ReplaceAllString(here, "…") || here == "" && words != "runs estimate" {
			t.Errorf("mgx %s: here\n%s\nthere\n%s", words, here, got)
		}
		if _, stderr, code := l.run(append(there, "--token", calls)...); code != 6 {
			t.Errorf("mgx %s, by who may not: exit %d\n%s", words, code, stderr)
		}
	}
	for words, says := range map[string]string{
		"agents show poet":                           `no role "poet"`,
		"artifacts get " + run + " ../../../health":  "nothing at this path",
		"artifacts get " + run + " ..":               "no artifact has the name",
		"events schemas task.made":                   "no events of type",
		"events schemas task.created --version 9":    "has no version",
		"retain set billing=3":                       "2557 to 3650 days",
		"retain set nothing=default":                 "no category",
		"runs estimate --project none --model a/b":   "no project",
		"runs --project none":                        "no project",
		"usage --project none":                       "no project",
		"usage --task none":                          "--task takes the id of a task",
		"budget set --limit 5 --project none":        "no project",
		"budget set --limit 5 --user nobody":         "no member nobody",
		"templates save x --task y --project none":   "no project",
		"runs --status late":                         "not \"late\"",
		"executions --run none":                      "no run",
		"executions show none":                       "no execution none; see: mgx executions",
		"executions show " + run:                     "no execution",
		"tasks show " + run:                          "no task",
		"artifacts get " + run + " plan.json --json": "--json goes with --output",
	} {
		if _, stderr, code := l.run(append(strings.Fields(words), "--server", s.url)...); code != 2 || !strings.Contains(stderr, says) {
			t.Errorf("mgx %s: exit %d\n%s", words, code, stderr)
		}
	}
}

// What a person calls a project or a member is found at a server, too: a budget for a name
// that nothing has would limit nothing.
func TestNamesAtAServer(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must("project", "add", ".", "--name", "shop")
	s := l.serve("127.0.0.1:0", "--workers", "0")
	defer s.end()
	id := string(mgx.ProjectOf(l.repo))
	for _, words := range []string{"budget set --limit 5 --project shop", "budget set --limit 5 --project " + id, "templates save x --task y --project shop --json"} {
		if out := l.must(append(strings.Fields(words), "--server", s.url)...); !strings.Contains(out, id) {
			t.Errorf("mgx %s: %s", words, out)
		}
	}
	if out := l.must("budget", "set", "--limit", "5", "--user", "local", "--server", s.url); !strings.Contains(out, "user user_local") {
		t.Error(out)
	}
	if out, stderr, code := l.run("run", " ", "--project", "shop", "--server", s.url); code != 2 || !strings.Contains(stderr, "the task is empty") {
		t.Errorf("exit %d\n%s%s", code, out, stderr)
	}
	if _, stderr, code := l.run("secrets", "set", "x", "--server", s.url); code != 2 || !strings.Contains(stderr, "a secret's value has 1 to") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	if _, stderr, code := l.run("runs", "--server", s.url); code != 0 || !strings.Contains(stderr, `No runs yet. Have something done with: mgx run "TASK" --server http://`) {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}

// A server names no file, and makes no line of a table.
func TestArtifactsOfAHostileServer(t *testing.T) {
	t.Parallel()
	const run = "run_01JDT0000000000000000000R1"
	content := "\x1b]0;owned\x07\r\n\x00bytes\xff"
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-API-Version", api.Version)
		switch {
		case strings.HasSuffix(r.URL.Path, "/artifacts"):
			io.WriteString(w, `{"artifacts":[{"name":"a\nb\u001b[2J","kind":"answer\r","media_type":"x\ty","size":3,"kept":true}]}`)
		case strings.Contains(r.URL.Path, "/artifacts/"):
			w.Header().Set("Content-Disposition", `attachment; filename="../../elsewhere"`)
			io.WriteString(w, content)
		default:
			fmt.Fprintf(w, `{"id":%q}`, run)
		}
	}))
	defer web.Close()
	dir := t.TempDir()
	do := func(args ...string) string {
		t.Helper()
		var out strings.Builder
		c := &cli{in: strings.NewReader(""), out: &out, err: io.Discard, getenv: func(name string) string { return map[string]string{"HOME": dir}[name] }}
		root := c.command()
		root.SetArgs(append(args, "--server", web.URL, "--token", "mgx_x", "--data", filepath.Join(dir, "data")))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return out.String()
	}
	if table := do("artifacts", run); table != "answer  a b  3 bytes  x y\n" {
		t.Errorf("%q", table)
	}
	if got := do("artifacts", "get", run, "a"); got != content {
		t.Errorf("to a program went %q", got)
	}
	file := filepath.Join(dir, "out", "a")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	do("artifacts", "get", run, "a", "--output", file)
	text, err := os.ReadFile(file)
	if entries, _ := os.ReadDir(filepath.Dir(file)); err != nil || string(text) != content || len(entries) != 1 {
		t.Errorf("%v, %q, %v", err, text, entries)
	}
}
