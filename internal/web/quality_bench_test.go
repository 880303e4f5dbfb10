package web_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"mgx"
	"mgx/internal/team"
)

// reader asks for pages as a browser does that stays connected.
func (s *stage) reader() func(path string) int {
	client := &http.Client{Transport: &http.Transport{}}
	s.t.Cleanup(client.CloseIdleConnections)
	return func(path string) int {
		r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
		must(s.t, err)
		r.AddCookie(&http.Cookie{Name: "mgx_session", Value: s.cookie})
		got, err := client.Do(r)
		must(s.t, err)
		defer got.Body.Close()
		n, err := io.Copy(io.Discard, got.Body)
		must(s.t, err)
		if got.StatusCode != http.StatusOK {
			s.t.Fatalf("%s: %s", path, got.Status)
		}
		return int(n)
	}
}

// pageTimes measures what the server takes to answer, over loopback, and how much.
func (s *stage) pageTimes(b *testing.B, paths map[string]string) {
	get := s.reader()
	for name, path := range paths {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n = get(path)
			}
			b.ReportMetric(float64(n)/1024, "KB/page")
		})
	}
}

// manyRuns plays so many runs, most of them ended.
func (s *stage) manyRuns(n int) {
	s.t.Helper()
	words := strings.Fields("limiter healthz endpoint parser cache migration test flaky timeout retry login page export budget")
	for i := 0; i < n; {
		var c mgx.Change
		for range 100 {
			i++
			scope := mgx.Scope{Workspace: mgx.DefaultWorkspace, Project: mgx.ProjectOf("/home/ada/src/greeter"), Task: mgx.NewTaskID(), Run: mgx.NewRunID(), User: mgx.LocalUser, Execution: mgx.NewExecutionID()}
			title := fmt.Sprintf("Mend the %s of the %s, number %d", words[i%len(words)], words[(i*7+3)%len(words)], i)
			c.Create = append(c.Create, mgx.Execution{Scope: scope, Workflow: team.WorkflowName, Input: []byte("{}"), Status: mgx.ExecWaiting, CreatedAt: mgx.Now()})
			c.Events = append(c.Events,
				scope.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: scope.Task, Title: title, Description: title}, Settings: settings, Workflow: team.WorkflowName, Repo: mgx.RepoInfo{Path: "/home/ada/src/greeter", Head: strings.Repeat("a", 40), Branch: "main"}}),
				scope.Event(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1}))
			if i%50 != 0 {
				c.Events = append(c.Events, scope.Event(mgx.TaskCompleted, mgx.TaskCompletedData{DurationMS: 90_000}))
			}
		}
		_, err := s.store.Commit(s.t.Context(), c)
		must(s.t, err)
	}
}

// BenchmarkRunsPage has 10,000 runs listed by pages.
func BenchmarkRunsPage(b *testing.B) {
	s := newStage(b)
	s.manyRuns(10_000)
	body := s.ask("GET", "/tasks", nil).body
	_, rest, _ := strings.Cut(body, `href="?page=`)
	token, _, _ := strings.Cut(rest, `"`)
	s.pageTimes(b, map[string]string{"newest": "/tasks", "next": "/tasks?page=" + token, "running": "/tasks?status=running", "failed-none": "/tasks?status=failed", "words": "/tasks?q=" + url.QueryEscape("number 5000"), "words-none": "/tasks?q=nowhere", "home": "/home"})
}

// BenchmarkLongRunPages has the page of a run with 50,000 events.
func BenchmarkLongRunPages(b *testing.B) {
	s := newStage(b)
	r := s.longRun(50_000)
	s.pageTimes(b, map[string]string{
		"newest": r.path(), "middle": r.path() + "?before=25000", "live": r.path() + "?part=1&after=50000", "part": r.path() + "?part=1&after=30000", "replay": r.path() + "?at=25000",
		"events": r.path() + "/events", "checks": r.path() + "/checks", "routing": r.path() + "/routing", "security": r.path() + "/security",
	})
}

// BenchmarkInteractive is how long pages take in Chromium, from the click until their
// scripts have run, and until something is seen.
func BenchmarkInteractive(b *testing.B) {
	s := newStage(b)
	s.manyRuns(1000)
	r := s.working()
	long := s.longRun(50_000)
	for name, path := range map[string]string{"home": "/home", "tasks": "/tasks", "newtask": "/tasks/new", "run": r.path(), "run-long": long.path(), "diff": r.path() + "/diff", "usage": "/usage"} {
		b.Run(name, func(b *testing.B) {
			t := s.tab()
			var ready, seen []float64
			for b.Loop() {
				t.open(path).until(`performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd > 0 && performance.getEntriesByName("first-contentful-paint").length > 0`)
				ready = append(ready, eval[float64](t, `performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd`))
				seen = append(seen, eval[float64](t, `performance.getEntriesByName("first-contentful-paint")[0].startTime`))
			}
			b.ReportMetric(0, "ns/op") // which has the waiting of the test in it
			b.ReportMetric(median(ready), "ms-interactive")
			b.ReportMetric(median(seen), "ms-painted")
		})
	}
}

// BenchmarkLongRunScroll goes back through a run of 50,000 events in Chromium: the
// time for one part to be fetched and taken in, and the longest frame meanwhile.
func BenchmarkLongRunScroll(b *testing.B) {
	s := newStage(b)
	r := s.longRun(50_000)
	t := s.tab().open(r.path()).live()
	var took, frames []float64
	for b.Loop() {
		got, err := chromedp.Run(t.ctx, chromedp.Evaluate[[]float64](`new Promise((done) => {
			const first = () => document.querySelector("mgx-timeline .item[data-seq]").id;
			const was = first(), begun = performance.now();
			let last = begun, longest = 0;
			const step = (now) => {
				longest = Math.max(longest, now - last);
				last = now;
				if (first() !== was) done([now - begun, longest]);
				else requestAnimationFrame(step);
			};
			scrollTo(0, 0);
			requestAnimationFrame(step);
		})`, chromedp.EvalAwaitPromise))
		must(b, err)
		took, frames = append(took, got[0]), append(frames, got[1])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(took), "ms/part")
	b.ReportMetric(median(frames), "ms-longest-frame")
	b.ReportMetric(eval[float64](t, `document.querySelectorAll("*").length`), "nodes")
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
