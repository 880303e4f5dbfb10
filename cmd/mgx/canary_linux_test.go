package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mgx"
)

// The canary is made of two, so that this file does not hold it.
var canaryKey = "sk-sealed-" + "canary-0123456789"

// TestCanaryAppearsNowhere keeps a key of a provider as a secret, has a server use it
// by reference in a whole run, and looks for it wherever it must not be: in the
// environment and memory of the programs that the agent runs, while they run, and
// afterwards in all files, the log, traces, answers, the backup and the export. On
// the way it sees that the trace of the request leads to the model calls.
func TestCanaryAppearsNowhere(t *testing.T) {
	t.Parallel()
	var spans said
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(&spans, r.Body) }))
	defer collector.Close()
	l := newLab(t, strings.Replace(labScript, `echo made >> made.txt; sh check.sh`,
		`env; cat /proc/self/environ /proc/1/environ; touch waiting; until test -e go; do sleep 0.05; done; rm -f waiting go; echo made >> made.txt; sh check.sh`, 1))
	l.server.Key = canaryKey
	base := ""
	l.env = slices.DeleteFunc(l.env, func(e string) bool {
		if v, ok := strings.CutPrefix(e, "OPENAI_BASE_URL="); ok {
			base = v
		}
		return strings.HasPrefix(e, "OPENAI_")
	})
	models := filepath.Join(l.home, "models.json")
	text := `{"providers": {"sealed": {"dialect": "openai", "base_url": "` + base + `", "key_secret": "provider"}}}`
	if err := os.WriteFile(models, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l.env = append(l.env, "MGX_MODELS_FILE="+models, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)
	s := l.serve("127.0.0.1:0", "--workers", "1", "--log-level", "debug")
	token, err := os.ReadFile(filepath.Join(l.data(), "token"))
	if err != nil {
		t.Fatal(err)
	}
	var answers strings.Builder
	ask := func(method, path string, body any, into any) {
		t.Helper()
		text, _ := json.Marshal(body)
		r, _ := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(text))
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, _ := io.ReadAll(resp.Body)
		fmt.Fprintf(&answers, "%v %s\n", resp.Header, got)
		if resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %s\n%s", method, path, resp.StatusCode, got, s.errs.String())
		}
		if into != nil {
			if err := json.Unmarshal(got, into); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask("PUT", "/api/v1/secrets/provider", map[string]string{"value": canaryKey}, nil)
	var run mgx.RunInfo
	ask("POST", "/api/v1/tasks", map[string]any{"task": "say hello", "repo": l.repo, "model": "sealed/lab", "approve": "auto", "checks": []string{"sh check.sh"}}, &run)

	work := filepath.Join(l.data(), "runs", string(run.ID), "work")
	ended := func() bool {
		ask("GET", "/api/v1/runs/"+string(run.ID), nil, &run)
		return run.Status.Ended()
	}
	for !exists(filepath.Join(work, "waiting")) {
		if ended() {
			t.Fatalf("the run ended: %+v\n%s", run.Run, s.errs.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
	children := descendants(t, s.cmd.Process.Pid)
	searched := 0
	for _, pid := range children {
		if searchProcess(t, pid) {
			searched++
		}
	}
	if searched == 0 {
		t.Errorf("of %d children of the server none could be searched", len(children))
	}
	if err := os.WriteFile(filepath.Join(work, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for !ended() {
		time.Sleep(50 * time.Millisecond)
	}
	if run.Status != mgx.RunDone {
		t.Fatalf("the run is %+v\n%s", run.Run, s.errs.String())
	}
	for _, path := range []string{"/api/v1/events", "/api/v1/secrets", "/api/v1/audit", "/health/status", "/metrics", "/api/v1/workspaces/ws_default/export"} {
		if path == "/metrics" || strings.HasSuffix(path, "/export") {
			ask("GET", path, nil, nil)
			continue
		}
		ask("GET", path, nil, &map[string]any{})
	}
	s.end()
	backup := filepath.Join(t.TempDir(), "backup")
	l.must("backup", backup, "--all-files")
	export := filepath.Join(t.TempDir(), "export.jsonl")
	l.must("export", export)

	sinks := map[string]string{"the log": s.errs.String(), "the traces": spans.String(), "the answers": answers.String(), "the backup": unpacked(t, backup), "the export": file(t, export)}
	maps.Copy(sinks, everything(t, l.data()))
	for name, text := range sinks {
		for spelling, word := range spellings(canaryKey) {
			if i := strings.Index(text, word); i >= 0 {
				t.Errorf("%s has the secret (%s): %q", name, spelling, text[max(0, i-60):min(len(text), i+60)])
			}
		}
	}
	if used := l.must("audit", "--action", "secret.use"); !strings.Contains(used, "provider") {
		t.Errorf("nobody used it: %s", used)
	}
	linked(t, spans.String(), run.ID)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// descendants are the processes below one.
func descendants(t *testing.T, of int) (all []int) {
	t.Helper()
	parents := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		parent, _ := strconv.Atoi(fields[1])
		parents[parent] = append(parents[parent], pid)
	}
	for next := parents[of]; len(next) > 0; {
		all = append(all, next...)
		var below []int
		for _, pid := range next {
			below = append(below, parents[pid]...)
		}
		next = below
	}
	return all
}

// searchProcess looks through the command line, the environment and the memory of a
// process that may end meanwhile, and reports whether it saw all three.
func searchProcess(t *testing.T, pid int) (searched bool) {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	name, _ := os.ReadFile(filepath.Join(dir, "comm"))
	whole := true
	for _, part := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join(dir, part))
		if bytes.Contains(text, []byte(canaryKey)) {
			t.Errorf("the %s of %s has it", part, bytes.TrimSpace(name))
		}
		whole = whole && err == nil && len(text) > 0
	}
	maps, err := os.ReadFile(filepath.Join(dir, "maps"))
	mem, err2 := os.Open(filepath.Join(dir, "mem"))
	if err := errors.Join(err, err2); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Logf("the memory of %s cannot be read here: %v", bytes.TrimSpace(name), err)
		}
		return false
	}
	defer mem.Close()
	read := 0
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || rights[0] != 'r' || rights[1] != 'w' || to-from > 256<<20 {
			continue // what nobody can write has no secrets, and what is that large is only reserved
		}
		b := make([]byte, to-from)
		n, _ := mem.ReadAt(b, from)
		read += n
		if bytes.Contains(b[:n], []byte(canaryKey)) {
			t.Errorf("the memory of %s has it, at %s", bytes.TrimSpace(name), line)
		}
	}
	return whole && read > 0
}

// everything is all files below a directory.
func everything(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all[path] = file(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func unpacked(t *testing.T, path string) string {
	t.Helper()
	zr, err := gzip.NewReader(strings.NewReader(file(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// linked fails unless the span of the request that began a run links to the run's
// trace, and model calls are in that.
func linked(t *testing.T, spans string, run mgx.RunID) {
	t.Helper()
	trace := strings.Split(run.Traceparent(), "-")[1]
	d := json.NewDecoder(strings.NewReader(spans))
	var calls, links int
	for {
		var batch struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []struct {
						Name, TraceID string
						Links         []struct{ TraceID string }
					}
				}
			}
		}
		if err := d.Decode(&batch); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, r := range batch.ResourceSpans {
			for _, scope := range r.ScopeSpans {
				for _, span := range scope.Spans {
					if strings.HasPrefix(span.Name, "chat ") && span.TraceID == trace {
						calls++
					}
					if span.Name == "POST /api/v1/tasks" && len(span.Links) == 1 && span.Links[0].TraceID == trace && span.TraceID != trace {
						links++
					}
				}
			}
		}
	}
	if calls < 3 || links != 1 {
		t.Errorf("%d model calls in the trace of the run and %d links to it:\n%.3000s", calls, links, spans)
	}
}
