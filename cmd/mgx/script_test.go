package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mgx/internal/llm/llmtest"
)

// TestScripts tells what the command line does, as stories in testdata/script.
// Each has a home directory of its own and a model server that follows
// script.json of the story, or the lab's.
func TestScripts(t *testing.T) {
	t.Parallel()
	program(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"repo":   makeRepo,
			"sparse": makeSparse,
			"runid":  runID,
		},
	})
}

func setupScript(env *testscript.Env) error {
	script := []byte(labScript)
	if own, err := os.ReadFile(filepath.Join(env.WorkDir, "script.json")); err == nil {
		script = own
	}
	parsed, err := llmtest.ParseScript(script)
	if err != nil {
		return err
	}
	web := httptest.NewServer(&llmtest.Server{Provider: llmtest.NewScripted(parsed), Key: "sk-lab-0123456789", Identify: identify})
	env.Defer(web.Close)
	busy := httptest.NewServer(&llmtest.Server{Provider: llmtest.NewScripted(parsed), Faults: func(int, *http.Request) *llmtest.Fault {
		return &llmtest.Fault{Kind: llmtest.Status, Status: 529, Body: `{"error": {"type": "overloaded_error", "message": "overloaded, as always"}}`}
	}})
	env.Defer(busy.Close)
	policies := fmt.Sprintf(`{
 "providers": {
  "busy": {"dialect": "openai", "base_url": "%s/v1", "local": true},
  "lab": {"dialect": "openai", "base_url": "%s/v1", "key_env": "OPENAI_API_KEY", "local": true}
 },
 "policies": {"auto": {"strategy": "ordered", "candidates": [{"model": "busy/lab"}], "fallback": ["lab/lab"]}}
}`, busy.URL, web.URL)
	if err := os.WriteFile(filepath.Join(env.WorkDir, "models.json"), []byte(policies), 0o644); err != nil {
		return err
	}
	home := filepath.Join(env.WorkDir, "home")
	env.Setenv("PATH", built.dir+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("HOME", home)
	env.Setenv("DATA", filepath.Join(home, ".local", "share", "mgx"))
	env.Setenv("XDG_DATA_HOME", "")
	env.Setenv("MODEL_SERVER", web.URL+"/v1")
	env.Setenv("OPENAI_BASE_URL", web.URL+"/v1")
	env.Setenv("OPENAI_API_KEY", "sk-lab-0123456789")
	env.Setenv("GOCACHE", goEnv("GOCACHE"))
	env.Setenv("GOMODCACHE", goEnv("GOMODCACHE"))
	env.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, "gitconfig"))
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(home, "gitconfig"), []byte("[user]\nname = t\nemail = t@localhost\n[init]\ndefaultBranch = main\n"), 0o644)
}

func goEnv(name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		return ""
	}
	return string(out[:len(out)-1])
}

var runPattern = regexp.MustCompile(`run_[0-9A-Z]{26}`)

// exits CODE PROGRAM ARG…: the program must exit with exactly this code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// repo DIR: makes the lab's repository there.
func makeRepo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: repo DIR")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "greet.sh"), []byte("echo bye\n"), 0o644))
	ts.Check(os.WriteFile(filepath.Join(dir, "check.sh"), []byte("test \"$(sh greet.sh)\" = hello\n"), 0o644))
	for _, git := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-qm", "Say bye"}} {
		ts.Check(ts.Exec("git", append([]string{"-C", dir}, git...)...))
	}
}

// sparse FILE BYTES: makes a file of that size without using disk.
func makeSparse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sparse FILE BYTES")
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(errors.Join(f.Truncate(size), f.Close()))
}

// runid VARIABLE: puts the id of the newest run into a variable.
func runID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: runid VARIABLE")
	}
	ts.Check(ts.Exec("mgx", "runs", "--json", "--limit", "1"))
	id := runPattern.FindString(ts.ReadFile("stdout"))
	if id == "" {
		ts.Fatalf("there is no run")
	}
	ts.Setenv(args[0], id)
}
