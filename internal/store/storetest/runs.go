package storetest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/store"
)

// Whatever happened to some runs, in whatever order and grouping, each row is
// the fold of its stream.
func runIsFold(t *testing.T, open Opener) {
	s, other := open(t), open(t)
	rapid.Check(t, func(r *rapid.T) {
		scopes := make([]mgx.Scope, rapid.IntRange(1, 3).Draw(r, "runs"))
		for i := range scopes {
			scopes[i] = begin(t, s)
		}
		for range rapid.IntRange(1, 12).Draw(r, "changes") {
			var c mgx.Change
			for range rapid.IntRange(1, 4).Draw(r, "events") {
				sc := rapid.SampledFrom(scopes).Draw(r, "run")
				c.Events = append(c.Events, anything(r, sc))
			}
			if rapid.IntRange(0, 9).Draw(r, "fails") == 0 {
				c.Consume = []mgx.SignalID{"sig_unknown"}
			}
			by := rapid.SampledFrom([]Store{s, other}).Draw(r, "by")
			if _, err := by.Commit(context.Background(), c); err != nil && !mgx.IsCode(err, mgx.CodeConflict) {
				r.Fatal(err)
			}
		}
		for _, sc := range scopes {
			rowIsFold(r, s, sc)
		}
	})
	verify(t, s)
}

func rowIsFold(r *rapid.T, s Store, sc mgx.Scope) {
	row, err := s.Run(context.Background(), ws, sc.Run)
	if err != nil {
		r.Fatal(err)
	}
	list, err := s.Events(context.Background(), store.EventQuery{Stream: mgx.StreamID(sc.Run)})
	if err != nil {
		r.Fatal(err)
	}
	var fold mgx.Run
	for _, e := range list {
		if fold, err = fold.Apply(e); err != nil {
			r.Fatal(err)
		}
	}
	a, _ := json.Marshal(row)
	b, _ := json.Marshal(fold)
	if string(a) != string(b) {
		r.Fatalf("row:  %s\nfold: %s", a, b)
	}
}

// anything draws an event that a run may record.
func anything(r *rapid.T, sc mgx.Scope) mgx.Event {
	text := rapid.StringN(0, 12, 60).Draw(r, "text")
	n := rapid.Int64Range(0, 1e6).Draw(r, "n")
	usage := mgx.Usage{Prompt: n, Completion: n / 2, Cached: n / 3}
	payloads := map[mgx.EventType]any{
		mgx.TaskCreated:           mgx.TaskCreatedData{Task: mgx.TaskInfo{ID: sc.Task, Title: text}, Source: "cli"},
		mgx.TaskStarted:           mgx.TaskStartedData{Attempt: int(n)},
		mgx.TaskCompleted:         mgx.TaskCompletedData{Result: mgx.TaskResult{Kind: "answered", Answer: text}},
		mgx.TaskFailed:            mgx.TaskErrorData{Kind: rapid.SampledFrom([]mgx.Kind{mgx.KindGoal, mgx.KindRefused, mgx.KindStopped}).Draw(r, "kind"), Message: text},
		mgx.TaskCancelled:         mgx.TaskCancelledData{Reason: text},
		mgx.RunPhaseChanged:       mgx.PhaseData{Phase: text},
		mgx.RunPlanUpdated:        mgx.PlanUpdatedData{Plan: mgx.Plan{Goal: text, Files: []string{text}}, Hash: text},
		mgx.RunCheckpointed:       mgx.CheckpointData{Tree: text},
		mgx.RunChecksCompleted:    mgx.ChecksData{Round: "1", Passed: n%2 == 0, Checks: []mgx.CheckResult{{Name: text, ExitCode: int(n)}}},
		mgx.RunReviewCompleted:    mgx.ReviewData{Round: int(n), Verdict: "revise", Findings: []mgx.Finding{{Title: text}}},
		mgx.RunAnswered:           mgx.AnsweredData{Answer: text},
		mgx.RunDelivered:          mgx.DeliveredData{Branch: text, Commits: int(n)},
		mgx.RunNoted:              mgx.NotedData{Level: "info", Text: text},
		mgx.ToolCalled:            mgx.ToolCallData{CallID: text},
		mgx.ToolReturned:          mgx.ToolResultData{Status: rapid.SampledFrom([]string{"success", "denied"}).Draw(r, "status"), Tree: text},
		mgx.LLMCallCompleted:      mgx.LLMCallData{Usage: usage, CostUSD: mgx.Money(n), PriceKnown: n%3 > 0},
		mgx.WorkflowStepCompleted: mgx.StepCompletedData{Step: text},
		mgx.WorkflowWaiting:       mgx.WaitingData{For: text},
		mgx.WorkflowResumed:       mgx.ResumedData{Reason: "signal"},
		mgx.ApprovalRequested:     mgx.ApprovalRequestedData{ApprovalID: text, Hash: text},
		mgx.ApprovalDecided:       mgx.ApprovalDecidedData{ApprovalID: text, Approved: n%2 == 0},
	}
	types := make([]mgx.EventType, 0, len(payloads))
	for typ := range payloads {
		types = append(types, typ)
	}
	typ := rapid.SampledFrom(sorted(types)).Draw(r, "type")
	return sc.Event(typ, payloads[typ])
}

func runBeginsWithCreation(t *testing.T, open Opener) {
	s := open(t)
	sc := scope()
	refused(t, s, "run_not_created", mgx.Change{Events: []mgx.Event{note(sc, "too early")}})
	elsewhere := note(sc, "x")
	elsewhere.Stream = mgx.StreamID(sc.Task)
	commit(t, s, mgx.Change{Events: []mgx.Event{elsewhere}})
	if _, err := s.Run(t.Context(), ws, sc.Run); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("got %v", err)
	}
}

func named(id mgx.RunID) mgx.Change {
	sc := scope()
	sc.Run = id
	return created(sc)
}

func findRun(t *testing.T, open Opener) {
	s := open(t)
	for _, id := range []mgx.RunID{"run_01AAB", "run_01AAC", "run_01XYB", "run_01", "run_9_%"} {
		commit(t, s, named(id))
	}
	for part, want := range map[string]string{
		"run_01AAB": "run_01AAB",
		"01aab":     "run_01AAB",
		"AAC":       "run_01AAC",
		"01X":       "run_01XYB",
		"run_01x":   "run_01XYB",
		" xyb\n":    "run_01XYB",
		"01":        "run_01", // exact wins over prefix
		"9_%":       "run_9_%",
		"AB":        "run_01AAB",
		"B":         "ambiguous_run",
		"01A":       "ambiguous_run",
		"%":         "run_9_%",
		"_":         mgx.CodeNotFound,
		"*":         mgx.CodeNotFound,
		"ZZZ":       mgx.CodeNotFound,
		"":          mgx.CodeNotFound,
		"run_":      mgx.CodeNotFound,
	} {
		r, err := s.FindRun(t.Context(), ws, part)
		if strings.HasPrefix(want, "run_") {
			if err != nil || string(r.ID) != want {
				t.Errorf("%q: got %s %v, want %s", part, r.ID, err, want)
			}
		} else if !mgx.IsCode(err, want) {
			t.Errorf("%q: got %s %v, want code %s", part, r.ID, err, want)
		}
	}
}

func runsByPage(t *testing.T, open Opener) {
	s := open(t)
	for _, id := range []mgx.RunID{"run_3", "run_1", "run_5", "run_2", "run_4"} {
		commit(t, s, named(id))
	}
	sc := mgx.Scope{Workspace: ws, Run: "run_4"}
	commit(t, s, mgx.Change{Events: []mgx.Event{sc.Event(mgx.TaskStarted, mgx.TaskStartedData{})}})
	for name, c := range map[string]struct {
		q    store.RunQuery
		want string
	}{
		"all":     {store.RunQuery{}, "run_5 run_4 run_3 run_2 run_1"},
		"page":    {store.RunQuery{Limit: 2}, "run_5 run_4"},
		"next":    {store.RunQuery{Limit: 2, Before: "run_4"}, "run_3 run_2"},
		"queued":  {store.RunQuery{Statuses: []mgx.RunStatus{mgx.RunQueued}, Limit: 2}, "run_5 run_3"},
		"running": {store.RunQuery{Statuses: []mgx.RunStatus{mgx.RunDone, mgx.RunRunning}}, "run_4"},
	} {
		c.q.Workspace = ws
		runs, err := s.Runs(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range runs {
			ids = append(ids, string(r.ID))
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
