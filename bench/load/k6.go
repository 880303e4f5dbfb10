package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed k6.js
var k6Script []byte

// k6Crossed is how k6 exits when a threshold was crossed, and all else went well.
const k6Crossed = 99

// k6 has k6, if this machine has it, make the same load on the server, and prints what
// it sees beside what our own client saw. What it is late for is no failure here: it
// takes more of the machine than the server does.
func (s *server) k6(ctx context.Context, length time.Duration) error {
	binary, err := exec.LookPath("k6")
	if err != nil {
		fmt.Println("k6 is not on the PATH, so only our own client has measured; with k6 there (https://grafana.com/docs/k6), it makes the same load by bench/load/k6.js")
		fmt.Println()
		return nil
	}
	before, began := s.cpu(), time.Now()
	seen, err := s.runK6(ctx, binary, length)
	if err != nil {
		return fmt.Errorf("k6: %w", err)
	}
	version, _ := exec.CommandContext(ctx, binary, "version").Output()
	took := time.Since(began)
	fmt.Printf("the same by %s, from when each request was sent; the server took %.0f%% of a core and has %d MB\n\n", strings.TrimSpace(string(version)), 100*(s.cpu()-before).Seconds()/took.Seconds(), s.memory()>>20)
	return seen.print()
}

// runK6 runs the script with a file of what it needs to know, and reads what comes of it.
func (s *server) runK6(ctx context.Context, binary string, length time.Duration) (seen k6Summary, err error) {
	given, err := json.Marshal(map[string]any{"url": s.url, "keys": s.keys, "runs": s.runs, "project": s.project, "length": max(1, length.Seconds())})
	if err != nil {
		return seen, err
	}
	at := func(name string) string { return filepath.Join(s.home, name) }
	for name, text := range map[string][]byte{"k6.js": k6Script, "k6.json": given} {
		if err := os.WriteFile(at(name), text, 0o600); err != nil {
			return seen, err
		}
	}
	cmd := exec.CommandContext(ctx, binary, "run", "--quiet", "--no-usage-report", "--address", "", "--summary-export", at("k6-seen.json"), "-e", "MGX_LOAD="+at("k6.json"), at("k6.js"))
	cmd.Env = append(os.Environ(), "HOME="+s.home)
	if said, err := cmd.CombinedOutput(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != k6Crossed {
			return seen, fmt.Errorf("%w: %s", err, said)
		}
	}
	text, err := os.ReadFile(at("k6-seen.json"))
	if err != nil {
		return seen, err
	}
	return seen, json.Unmarshal(text, &seen)
}

// k6Summary is what k6 says it measured, by name and tags.
type k6Summary struct {
	Metrics map[string]struct {
		P50   float64 `json:"med"`
		P95   float64 `json:"p(95)"`
		P99   float64 `json:"p(99)"`
		Count float64 `json:"count"`
		Fails float64 `json:"passes"` // of a metric that counts failures, those that did fail

		Thresholds map[string]bool `json:"thresholds"` // true: crossed
	} `json:"metrics"`
}

// print prints a row for each phase, with a mark at what people wait too long.
func (k k6Summary) print() error {
	fmt.Printf(row, "", "", "", "", "read", "", "", "create", "", "", "", "", "", "")
	fmt.Printf(row, "phase", "users", "requests", "per s", "p50", "p95", "p99", "p50", "p95", "p99", "failed", "late", "", "")
	failed := 0
	for _, p := range phases(0) {
		name := strings.ReplaceAll(p.name, " ", "_")
		count := func(metric string) string {
			return strconv.Itoa(int(k.Metrics[fmt.Sprintf("%s{scenario:%s}", metric, name)].Count))
		}
		fails := int(k.Metrics[fmt.Sprintf("http_req_failed{scenario:%s}", name)].Fails)
		cells := slices.Concat([]any{p.name, p.users(), count("http_reqs"), ""}, k.times(name, "read"), k.times(name, "create"), []any{strconv.Itoa(fails), count("dropped_iterations"), "", ""})
		fmt.Printf(row, cells...)
		failed += fails
	}
	fmt.Print("\n! more than people shall wait: " + goalsText() + "\n\n")
	if failed > 0 {
		return fmt.Errorf("k6 saw %d requests fail", failed)
	}
	return nil
}

// times are the cells of what requests of a kind took in a phase.
func (k k6Summary) times(phase, kind string) (cells []any) {
	m := k.Metrics[fmt.Sprintf("http_req_duration{scenario:%s,kind:%s}", phase, kind)]
	for i, ms := range []float64{m.P50, m.P95, m.P99} {
		cell := fmt.Sprintf("%.1f ms", ms)
		for bound, crossed := range m.Thresholds {
			if crossed && strings.HasPrefix(bound, []string{"med", "p(95)", "p(99)"}[i]) {
				cell = "!" + cell
			}
		}
		cells = append(cells, cell)
	}
	return cells
}
