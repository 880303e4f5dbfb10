package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

const manyRuns = 10_000 // of which any page is to take 50 ms at most

// fillRuns fills a database with many ended runs of one workspace, each with a plan and
// the output of checks, as real ones have, and a few at work.
func fillRuns(t testing.TB, s *store.Store, n int) {
	t.Helper()
	plan := mgx.Plan{Goal: strings.Repeat("g", 300)}
	for i := range 8 {
		plan.Steps = append(plan.Steps, mgx.PlanStep{Text: fmt.Sprint("step ", i, strings.Repeat("s", 80)), Status: "done"})
	}
	checks := mgx.ChecksData{Round: "1", Passed: true, Checks: []mgx.CheckResult{{Name: "test", Command: "go test ./...", Status: "passed", Output: strings.Repeat("ok ", 500)}}}
	var c mgx.Change
	for i := range n {
		sc := mgx.Scope{
			Workspace: mgx.DefaultWorkspace, Project: mgx.ProjectID(fmt.Sprint("proj_", i%20)), User: mgx.UserID(fmt.Sprint("user_", i%50)),
			Task: mgx.NewTaskID(), Run: mgx.NewRunID(), Execution: mgx.NewExecutionID(),
		}
		task := mgx.TaskInfo{ID: sc.Task, Title: fmt.Sprint("task number ", i), Description: strings.Repeat("words of a task ", 40)}
		told := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: task})
		told.Workspace, told.Task, told.Stream = sc.Workspace, sc.Task, mgx.StreamID(sc.Task)
		c.Create = append(c.Create, mgx.Execution{Scope: sc, Workflow: "team", Status: mgx.ExecDone})
		c.Events = append(c.Events, told, sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: task, Workflow: "team"}), sc.Event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan, Hash: "h"}), sc.Event(mgx.RunChecksCompleted, checks))
		if i%100 > 0 {
			c.Events = append(c.Events, sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{}))
		}
		if len(c.Create) == 200 || i == n-1 {
			commit(t, s, c)
			c = mgx.Change{}
		}
	}
}

// listings are what people look at of many runs.
var listings = map[string]mgx.RunFilter{
	"newest":  {},
	"waiting": {Statuses: []mgx.RunStatus{mgx.RunQueued, mgx.RunRunning, mgx.RunWaiting}},
	"done":    {Statuses: []mgx.RunStatus{mgx.RunDone}},
	"project": {Project: "proj_7"},
	"user":    {User: "user_7"},
	"words":   {Text: "number 777"},
}

// BenchmarkListRuns reads pages of 50 of 10,000 runs, the first one and one from the
// middle, on both databases.
func BenchmarkListRuns(b *testing.B) {
	for _, db := range []struct {
		name string
		open func(testing.TB) *store.Store
	}{
		{"sqlite", func(t testing.TB) *store.Store { return open(t, place(t), store.Options{}) }},
		{"postgres", func(t testing.TB) *store.Store { return open(t, pgtest.NewDatabase(t), store.Options{Keep: keep}) }},
	} {
		b.Run(db.name, func(b *testing.B) {
			s := db.open(b)
			fillRuns(b, s, manyRuns)
			all, err := s.RunInfos(b.Context(), mgx.RunFilter{Workspace: mgx.DefaultWorkspace}, "", manyRuns)
			if err != nil || len(all) != manyRuns {
				b.Fatal(len(all), err)
			}
			for name, f := range listings {
				f.Workspace = mgx.DefaultWorkspace
				for where, after := range map[string]mgx.RunID{"first": "", "middle": all[manyRuns/2].ID} {
					b.Run(name+"/"+where, func(b *testing.B) {
						var slowest time.Duration
						for b.Loop() {
							start := time.Now()
							if _, err := s.RunInfos(b.Context(), f, after, 50); err != nil {
								b.Fatal(err)
							}
							slowest = max(slowest, time.Since(start))
						}
						b.ReportMetric(float64(slowest.Microseconds())/1000, "max-ms")
					})
				}
			}
		})
	}
}
