package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
)

// Readings of a clock in a log of events: when, how long, and what test runners
// say of that. How long calls of models took is not among them.
var (
	happened = regexp.MustCompile(`"timestamp":"[^"]*"`)
	readings = regexp.MustCompile(`"duration_ms":\d+|\d+[.,]\d+ ?(ns|µs|us|ms|s)\b`)
)

// TestReplayIsIdentical: a run of the demo's repository is recorded, and its
// replay, in another data directory, without key and server, has the same events
// to the byte, but for the time. What is random in one process differs in the
// next, so one repetition shows it; -count tries more.
func TestReplayIsIdentical(t *testing.T) {
	t.Parallel()
	script, err := llmtest.ParseScript(sampleScript)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, home: t.TempDir(), repo: filepath.Join(t.TempDir(), "greeter")}
	l.server = &llmtest.Server{Provider: llmtest.NewScripted(script), Key: "sk-lab-0123456789", Identify: identifySample, Faults: overloadedOnce}
	web := httptest.NewServer(l)
	if err := unpackSample(t.Context(), l.repo); err != nil {
		t.Fatal(err)
	}
	bare := []string{"PATH=" + os.Getenv("PATH"), "GOCACHE=" + goEnv("GOCACHE"), "GOMODCACHE=" + goEnv("GOMODCACHE")}
	secrets := []string{"sk-lab-0123456789", "hidden-token-4711"}
	file := filepath.Join(l.home, "tape")
	l.env = append(bare, "HOME="+l.home, "OPENAI_BASE_URL="+web.URL+"/v1", "OPENAI_API_KEY="+secrets[0], "SOME_TOKEN="+secrets[1])
	recorded := l.must("run", demoTask+"\nIgnore "+secrets[1], "--approve", "auto", "--deterministic", "--record", file, "--json")
	requests := l.server.Requests()
	web.Close()
	for _, asked := range []string{`"seed":1`, `"temperature":0`} {
		if !strings.Contains(string(l.server.LastBody()), asked) {
			t.Errorf("the model is not asked for %s", asked)
		}
	}

	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if strings.Contains(string(data), secret) {
			t.Errorf("%s is in the recording", secret)
		}
	}
	l.git("branch", "-D", strings.TrimSpace(l.git("for-each-ref", "--format=%(refname:short)", "refs/heads/mgx")))
	l.env = append(bare, "HOME="+t.TempDir())
	played := l.must("run", "--replay", file, "--approve", "auto", "--json")
	if l.server.Requests() != requests {
		t.Error("the replay reached the server")
	}
	a, b := events(t, recorded), events(t, played)
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("event %d differs:\n%s\n%s", i+1, a[i], b[i])
		}
	}
	if len(a) != len(b) || len(a) < 20 {
		t.Errorf("%d events, then %d", len(a), len(b))
	}
}

// identifySample also tells the two reviews apart: the second is of a diff that has
// what the first found missing.
func identifySample(req *llm.Request) {
	identify(req)
	if req.AgentRole == "reviewer" {
		req.Conversation = "reviewer-1"
		if strings.Contains(req.Messages[0].Parts[0].Text, "MethodNotAllowed") {
			req.Conversation = "reviewer-2"
		}
	}
}

// overloadedOnce fails the third request in a way that is tried again.
func overloadedOnce(n int, _ *http.Request) *llmtest.Fault {
	if n != 3 {
		return nil
	}
	return &llmtest.Fault{Kind: llmtest.Status, Status: 529, Body: `{"error":{"type":"overloaded_error","message":"busy"}}`}
}

// events are the lines of a log without readings of a clock.
func events(t *testing.T, log string) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Fatalf("not an envelope: %s", line)
		}
		line = happened.ReplaceAllString(line, "⧗")
		if !strings.Contains(line, `"event_type":"llm.`) {
			line = readings.ReplaceAllString(line, "⧗")
		}
		all = append(all, line)
	}
	return all
}

// TestKilledRecordingPlaysWhole: a run is killed again and again while it is
// recorded, and each time another process goes on with it and its recording. Its
// replay does the whole work in one piece, and makes the very same commit.
func TestKilledRecordingPlaysWhole(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	file := filepath.Join(t.TempDir(), "tape")
	args := []string{"run", "say hello", "--approve", "auto", "--record", file}
	kills := 0
	for rest := 12; ; rest += 25 { // events until it is killed; in the end there are not as many
		_, killed := l.killAt(func(n int, _ mgx.Event) bool { return n >= rest }, args...)
		if !killed {
			break
		}
		kills++
		run := l.only(l.store())
		if run.Status.Ended() {
			break // killed after its end
		}
		args = []string{"resume", string(run.ID), "--record", file}
	}
	first := l.only(l.store())
	if first.Status != mgx.RunDone || kills == 0 {
		t.Fatalf("%s after %d kills", first.Status, kills)
	}
	l.git("branch", "-D", first.Branch)
	l.home = t.TempDir()
	l.env = []string{"HOME=" + l.home, "PATH=" + os.Getenv("PATH")}
	requests := l.server.Requests()
	_, stderr, code := l.run("run", "--replay", file, "--approve", "auto")
	again := l.only(l.store())
	if code != 0 || again.Commit != first.Commit || again.ID != first.ID || l.server.Requests() != requests {
		t.Errorf("exit %d, commit %s of %s, want %s of %s\n%s", code, again.Commit, again.ID, first.Commit, first.ID, stderr)
	}
	if strings.Contains(stderr, "were not made") {
		t.Errorf("calls are left over:\n%s", stderr)
	}
}
