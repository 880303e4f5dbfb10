package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/client"
)

// metricsPage is docs/reference/metrics.md as it follows from measures.
func metricsPage() string {
	var b strings.Builder
	b.WriteString(`# Metrics

Generated from cmd/mgx/metrics.go by ` + "`MGX_WRITE=1 go test -run TestMetricsPage ./cmd/mgx`" + `; do not edit.

` + "`mgx serve`" + ` serves these at ` + "`/metrics`" + ` in the format of Prometheus, with ` + "`go_…`, `process_…` and `target_info`" + ` beside them. It needs the
server's token, which Prometheus sends so:

` + "```yaml" + `
scrape_configs:
  - job_name: mgx
    authorization:
      credentials_file: /home/me/.local/share/mgx/token   # or type: Bearer and credentials
    static_configs:
      - targets: ["127.0.0.1:7780"]
` + "```" + `

Counters begin at zero with their process. A metric has at most 1,000 series; what is more is counted under
` + "`otel_metric_overflow=\"true\"`" + `. Traces are sent by OTLP over HTTP when ` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + ` is set, by every command that opens the data.
What the model router measures (` + "`gen_ai_…`, `mgx_llm_…`" + `) is in [routing.md](../routing.md).

| name | kind | labels | |
|---|---|---|---|
`)
	for _, m := range measures {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.exported(), m.kind, m.labels, m.help)
	}
	return b.String()
}

func TestMetricsPage(t *testing.T) {
	t.Parallel()
	const path = "../../docs/reference/metrics.md"
	if os.Getenv("MGX_WRITE") != "" {
		if err := os.WriteFile(path, []byte(metricsPage()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if page, err := os.ReadFile(path); err != nil || string(page) != metricsPage() {
		t.Errorf("%s is not as the code has it; run: MGX_WRITE=1 go test -run TestMetricsPage ./cmd/mgx (%v)", path, err)
	}
}

// scraped is what a server answers at /metrics: kinds and label names by metric.
func scraped(t *testing.T, s *served) (kinds map[string]string, labels map[string][]string, text string) {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "token"))
	if err != nil {
		t.Fatal(err)
	}
	get := func(token string) (int, string) {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", s.url+"/metrics", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if code, _ := get("another-token-of-at-least-26-characters"); code != http.StatusUnauthorized {
		t.Errorf("with another token %d", code)
	}
	code, text := get(strings.TrimSpace(string(token)))
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	kinds, labels = map[string]string{}, map[string][]string{}
	sample := regexp.MustCompile(`^(\w+?)(_bucket|_sum|_count)?(?:\{(.*)\})? [-+0-9.eNaInf]+$`)
	label := regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 4 && f[1] == "TYPE" {
			kinds[f[2]] = f[3]
			continue
		}
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		m := sample.FindStringSubmatch(lines.Text())
		if m == nil {
			t.Errorf("no sample: %s", lines.Text())
			continue
		}
		name := m[1]
		if kinds[name] != "histogram" {
			name += m[2]
		}
		for _, l := range label.FindAllStringSubmatch(m[3], -1) {
			if l[1] != "le" && !slices.Contains(labels[name], l[1]) {
				labels[name] = append(labels[name], l[1])
			}
		}
	}
	return kinds, labels, text
}

// The metrics of a server that has worked are those of the page, with those
// labels; the counts are right.
func TestMetricsOfServer(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	// The consumer begins at the end of the log: it must be there before the run.
	first := l.serve("127.0.0.1:0", "--workers", "0")
	db := l.store()
	until(ctx, t, func() bool { _, err := db.Consumer(ctx, "metrics"); return err == nil })
	first.end()
	l.must("webhooks", "add", "https://example.com/hook", "--type", "none")
	l.killAt(func(n int, _ mgx.Event) bool { return n == 20 }, labRun...)
	run := l.only(db)
	server := l.serve("127.0.0.1:0") // which goes on with it
	for e, err := range server.client().Stream(ctx, client.StreamOptions{Channels: []string{"run:" + string(run.ID)}, After: new(int64)}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == mgx.TaskCompleted {
			break
		}
	}
	until(ctx, t, func() bool {
		_, _, text := scraped(t, server)
		return strings.Contains(text, `mgx_run_ended_total{outcome="completed"} 1`)
	})
	kinds, labels, text := scraped(t, server)
	known := map[string]measure{}
	for _, m := range measures {
		known[m.exported()] = m
	}
	for name, kind := range kinds {
		m, ok := known[name]
		if !strings.HasPrefix(name, "mgx_") || strings.HasPrefix(name, "mgx_llm_") { // of the router; docs/routing.md
			continue
		}
		got := slices.Sorted(slices.Values(labels[name]))
		want := slices.Sorted(slices.Values(strings.FieldsFunc(m.labels, func(r rune) bool { return r == ',' })))
		if !ok || kind != m.kind || !slices.Equal(got, want) {
			t.Errorf("%s is a %s with the labels %v, want %q with %v", name, kind, got, m.kind, want)
		}
	}
	elsewhere := map[string]bool{"mgx.event.rejected": true, "mgx.event.old_version.reads": true}
	for name, m := range known {
		if kinds[name] == "" && !elsewhere[m.name] && !strings.HasSuffix(m.help, "PostgreSQL only.") {
			t.Errorf("%s is not there", name)
		}
	}
	for _, line := range []string{
		"mgx_webhook_endpoints 1", "mgx_hub_subscribers 0", `mgx_consumer_dead_letters{consumer="metrics"} 0`, "go_goroutine_count ", "process_unix_file_descriptor_count ", `service_name="mgx"`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("there is no %s", line)
		}
	}
	server.end()
}

// until waits for what must come.
func until(ctx context.Context, t *testing.T, what func() bool) {
	t.Helper()
	for !what() {
		select {
		case <-ctx.Done():
			t.Fatal("it does not come: ", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
