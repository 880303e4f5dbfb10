package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// varying is what differs between two runs that do the same.
var varying = regexp.MustCompile(`run_[0-9A-Z]{26}|run-[0-9]+|[0-9a-f]{10}|[0-9.]+ (ms|s|min)( [0-9]+ s)?`)

// onlyThere and onlyHere are what only one of them says.
var (
	onlyThere = regexp.MustCompile(` --server \S+`)
	onlyHere  = regexp.MustCompile(`\n *mgx replay .*`)
)

// told is what a run tells, without what varies, line by line; calls that are made
// at once end in any order.
func told(said string) []string {
	lines := strings.Split(varying.ReplaceAllString(onlyHere.ReplaceAllString(onlyThere.ReplaceAllString(said, ""), ""), "…"), "\n")
	slices.Sort(lines)
	return lines
}

// A run at a server looks as one on this machine does, and ends as it.
func TestRunThere(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must("project", "add", ".", "--name", "shop")
	server := l.serve("127.0.0.1:0")
	task := []string{"run", "say hello", "--model", "openai/lab", "--check", "sh check.sh"}
	there := append(slices.Clone(task), "--server", server.url)
	before := l.fingerprint()
	_, here, code := l.run(task...)
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, here)
	}
	_, said, code := l.run(there...)
	if a, b := told(here), told(said); code != 0 || !slices.Equal(a, b) {
		t.Errorf("exit %d; on this machine:\n%s\nat the server:\n%s", code, here, said)
	}
	// With --json each event of the run comes once, in order.
	out, errs, code := l.run(append(there, "--json")...)
	want := int64(1)
	for line := range strings.Lines(out) {
		var e mgx.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Sequence != want {
			t.Fatalf("event %d is %s, %v", want, line, err)
		}
		want++
	}
	if code != 0 || want < 40 {
		t.Errorf("exit %d after %d events\n%s", code, want-1, errs)
	}
	// What waits for a person is left to one, and gone on with after the decision.
	_, errs, code = l.run(append(there, "--plan", "--approve", "ask")...)
	run := runPattern.FindString(errs)
	if code != 6 || !strings.Contains(errs, "mgx approve "+run+" --server "+server.url) {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	for _, step := range []struct {
		code int
		said string
		args []string
	}{
		{6, "is not what was decided on", []string{"approve", run, "--hash", "sha256:0"}},
		{0, "The server goes on", []string{"approve", run}},
		{0, "Done: delivered on mgx/say-hello/run-4", []string{"resume", run}},
		{2, "has ended already", []string{"resume", run}},
		{6, "is a fork of", []string{"fork", run, "--at", "30"}},
		{2, "--model is about this machine", []string{"fork", run, "--at", "30", "--model", "x"}},
		{2, "a task is on --project or in --repo", []string{"run", "x", "--repo", ".", "--project", "shop"}},
		{2, "--include-dirty is about this machine", []string{"run", "x", "--include-dirty"}},
		{2, "there is no project store", []string{"run", "x", "--project", "store"}},
		{2, "goes on with every run by itself", []string{"resume"}},
	} {
		if _, errs, code := l.run(append(step.args, "--server", server.url)...); code != step.code || !strings.Contains(errs, step.said) {
			t.Errorf("mgx %q: exit %d, want %d and %q\n%s", step.args, code, step.code, step.said, errs)
		}
	}
	if l.fingerprint() != before {
		t.Error("the checkout was touched")
	}
	server.end()
}

// An interrupt leaves a run to the server, and says how to come back to it.
func TestDetach(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must("project", "add", ".")
	server := l.serve("127.0.0.1:0", "--workers", "0") // so the run waits for a worker
	cmd := l.mgx("run", "say hello", "--model", "openai/lab", "--json", "--server", server.url)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	run := l.only(l.store())
	back := "mgx resume " + string(run.ID) + " --server " + server.url
	if code := cmd.ProcessState.ExitCode(); code != 7 || !strings.Contains(errs.String(), back) || run.Status != mgx.RunQueued {
		t.Errorf("exit %d, %s\n%s", code, run.Status, errs.String())
	}
	if _, errs, code := l.run("cancel", string(run.ID), "--server", server.url); code != 0 || !strings.Contains(errs, "asked to stop") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	server.end()
	server = l.serve("127.0.0.1:0") // with workers
	if _, errs, code := l.run("resume", string(run.ID), "--server", server.url); code != 7 && code != 2 || code == 2 && !strings.Contains(errs, "ended already: cancelled") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if run, err := l.store().Runs(t.Context(), store.RunQuery{Workspace: mgx.DefaultWorkspace, Limit: 1}); err != nil || run[0].Status != mgx.RunCancelled {
		t.Errorf("%+v %v", run, err)
	}
	server.end()
}
