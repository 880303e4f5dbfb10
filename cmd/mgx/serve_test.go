package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mgx"
	"mgx/client"
	"mgx/internal/store"
)

// served is a running `mgx serve` in a process of its own.
type served struct {
	l      *lab
	cmd    *exec.Cmd
	errs   said
	url    string
	listen string
	data   string // directory
	setup  string // of a first start: what lets the owner set a password
}

// said is what a process has written so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// serve starts a server of the lab's data directory and waits until it answers.
func (l *lab) serve(listen string, args ...string) *served {
	l.t.Helper()
	s := &served{l: l, data: l.data(), cmd: l.mgx(append([]string{"serve", "--json", "--listen", listen}, args...)...)}
	s.cmd.Stderr = &s.errs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { s.kill() })
	var first struct {
		URL   string
		Setup string `json:"setup_token"`
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &first) != nil {
		s.kill()
		l.t.Fatalf("the server did not start: %v %s %s", err, line, s.errs.String())
	}
	s.setup = first.Setup
	s.url, s.listen = first.URL, strings.TrimPrefix(first.URL, "http://")
	return s
}

func (s *served) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// end asks it to stop and waits until it has.
func (s *served) end() {
	s.l.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.l.t.Errorf("the server did not end well: %v\n%s", err, s.errs.String())
	}
}

func (l *lab) data() string { return filepath.Join(l.home, ".local/share/mgx") }

func (s *served) client() *client.Client {
	s.l.t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "token"))
	if err != nil {
		s.l.t.Fatal(err)
	}
	c, err := client.New(s.url, strings.TrimSpace(string(token)))
	if err != nil {
		s.l.t.Fatal(err)
	}
	return c
}

// A run whose process was killed is finished by a server, and one that another
// process works on is left to it.
func TestServeWorksOnRuns(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.killAt(func(n int, _ mgx.Event) bool { return n == 20 }, labRun...)
	server := l.serve("127.0.0.1:0")
	db := l.store()
	interrupted := l.only(db)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	end := func(run mgx.Run) mgx.EventType {
		for e, err := range server.client().Stream(ctx, client.StreamOptions{Channels: []string{"run:" + string(run.ID)}, After: new(int64)}) {
			if err != nil {
				t.Fatalf("%v\n%s", err, server.errs.String())
			}
			switch e.Type {
			case mgx.TaskCompleted, mgx.TaskFailed, mgx.TaskCancelled:
				return e.Type
			}
		}
		return ""
	}
	if got := end(interrupted); got != mgx.TaskCompleted {
		t.Errorf("the interrupted run ended with %s", got)
	}
	// Beside the server, mgx run works as ever.
	for range 3 {
		l.must("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh")
	}
	runs, err := db.Runs(ctx, store.RunQuery{Workspace: mgx.DefaultWorkspace, Limit: 10})
	if err != nil || len(runs) != 4 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for _, run := range runs {
		x, err := db.Execution(ctx, run.Execution)
		if err != nil || run.Status != mgx.RunDone || run.ID != interrupted.ID && x.Term != 1 {
			t.Errorf("%s is %s after %d claims, %v", run.ID, run.Status, x.Term, err)
		}
	}
	server.end()
}

// A plan that waits for a person is gone on with by the server once there is a
// decision, while somebody follows.
func TestServeGoesOnAfterApproval(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	_, _, code := l.run("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--plan", "--approve", "ask")
	if code != 6 {
		t.Fatalf("exit %d", code)
	}
	server := l.serve("127.0.0.1:0")
	run := l.only(l.store())
	follow := l.mgx("events", "--follow", "--server", server.url, "--run", string(run.ID), "--json")
	var errs bytes.Buffer
	follow.Stderr = &errs
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	l.must("approve", string(run.ID))
	want := int64(1)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 2<<20)
	for lines.Scan() {
		var e mgx.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Sequence != want {
			t.Fatalf("got %d, want %d", e.Sequence, want)
		}
		want++
		if e.Type == mgx.TaskCompleted {
			follow.Process.Signal(os.Interrupt)
		}
	}
	if err := follow.Wait(); err != nil {
		t.Errorf("%v\n%s", err, errs.String())
	}
	server.end()
}

// A run that cannot be worked on here is left alone rather than failed.
func TestServeLeavesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.killAt(func(n int, _ mgx.Event) bool { return n == 20 }, labRun...)
	env := l.env
	l.env = env[:2] // no provider
	server := l.serve("127.0.0.1:0")
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(server.errs.String(), "left alone") && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	server.end()
	if got := l.only(l.store()).Status; got.Ended() {
		t.Errorf("the run is %s", got)
	}
	l.env = env
	l.resumeKilled()
	l.verify(1)
}

// Live output of a run in the server reaches those who ask for it.
func TestServeShowsLive(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.killAt(func(n int, _ mgx.Event) bool { return n == 5 }, labRun...)
	server := l.serve("127.0.0.1:0")
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	run := l.only(l.store())
	var shown int
	live := func(l client.Live) {
		if shown++; l.Task != run.Task.ID || l.Run != run.ID {
			t.Errorf("a piece of %s of %s is shown", l.Run, l.Task)
		}
	}
	for e, err := range server.client().Stream(ctx, client.StreamOptions{Channels: []string{"task:" + string(run.Task.ID)}, Live: live, After: new(int64)}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == mgx.TaskCompleted {
			break
		}
	}
	if shown == 0 {
		t.Error("nothing was shown")
	}
	server.end()
}

func TestServeFiles(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	server := l.serve("127.0.0.1:0", "--workers", "0")
	info, err := os.Stat(filepath.Join(l.data(), "token"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("token: %v %v", info, err)
	}
	resp, err := http.Get(server.url + "/health/ready")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("ready: %v %v", resp, err)
	}
	resp.Body.Close()
	server.end()
	// Several servers that begin at once agree on the secret that one of them makes.
	dir := t.TempDir()
	got := make([]secret, 8)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			s, err := openSecret(dir, "token")
			if err != nil {
				t.Error(err)
			}
			got[i] = s
		})
	}
	all.Wait()
	made := 0
	for _, s := range got {
		if s.made {
			made++
		}
		if s.value != got[0].value || len(s.value) < 26 {
			t.Errorf("%q and %q", s.value, got[0].value)
		}
	}
	if made != 1 {
		t.Errorf("%d made it", made)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".token-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for text, code := range map[string]string{"": "bad_secret", "short": "bad_secret", strings.Repeat("é", 30): "bad_secret"} {
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openSecret(dir, "token"); !mgx.IsCode(err, code) {
			t.Errorf("%q: %v", text, err)
		}
	}
	os.Chmod(filepath.Join(dir, "token"), 0o644)
	if _, err := openSecret(dir, "token"); !mgx.IsCode(err, "secret_readable") {
		t.Errorf("a readable token: %v", err)
	}
}
