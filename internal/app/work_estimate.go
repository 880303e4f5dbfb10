package app

import (
	"context"
	"slices"
	"time"

	"mgx"
	"mgx/internal/access"
)

// Estimate is what a task may take, by what similar runs of the workspace took. It
// says nothing when there were too few.
type Estimate struct {
	Model    string            `json:"model,omitempty"` // that was asked about
	Basis    string            `json:"basis,omitempty"` // which runs it is made of: project_and_model, project, model, workspace; empty: there were too few
	Runs     int               `json:"runs"`            // how many those are
	Done     int               `json:"done"`            // of which reached their goal
	Oldest   time.Time         `json:"oldest,omitzero"`
	Duration *Range[int64]     `json:"duration_ms,omitempty"` // from the first work to the end, with what was waited for
	Tokens   *Range[int64]     `json:"tokens,omitempty"`
	Cost     *Range[mgx.Money] `json:"cost_usd,omitempty"`
	Unpriced bool              `json:"cost_unknown,omitempty"` // a model had no price: some cost more
}

// Range is where what was measured lies: the median, and the values between which
// nine of ten are.
type Range[T ~int64] struct {
	Median T `json:"median"`
	Low    T `json:"p5"`
	High   T `json:"p95"`
}

const (
	fewest  = 3   // runs that say something
	similar = 200 // runs that are looked at
)

// Estimate says what a task on a project, with a model, may take: both may be left
// out.
func (w *Work) Estimate(ctx context.Context, actor access.Actor, project mgx.ProjectID, model string) (Estimate, error) {
	if err := w.may(ctx, actor, "read", "runs"); err != nil {
		return Estimate{}, err
	}
	if err := checkWords("", string(project)); err != nil {
		return Estimate{}, err
	}
	f := mgx.RunFilter{Workspace: actor.Workspace, Project: project, Statuses: []mgx.RunStatus{mgx.RunDone, mgx.RunFailed}}
	near, err := w.o.Store.RunInfos(ctx, f, "", similar)
	if err != nil {
		return Estimate{}, err
	}
	all := near
	if project != "" {
		f.Project = ""
		if all, err = w.o.Store.RunInfos(ctx, f, "", similar); err != nil {
			return Estimate{}, err
		}
	}
	for _, c := range []struct {
		basis string
		runs  []mgx.RunInfo
		asked bool
	}{
		{"project_and_model", ofModel(near, model), project != "" && model != ""},
		{"project", near, project != ""},
		{"model", ofModel(all, model), model != ""},
		{"workspace", all, project == "" && model == ""},
	} {
		if c.asked && len(c.runs) >= fewest {
			return estimate(c.basis, model, c.runs), nil
		}
	}
	return Estimate{Model: model}, nil
}

func ofModel(runs []mgx.RunInfo, model string) (some []mgx.RunInfo) {
	for _, r := range runs {
		if r.Settings.Model == model {
			some = append(some, r)
		}
	}
	return some
}

func estimate(basis, model string, runs []mgx.RunInfo) Estimate {
	e := Estimate{Model: model, Basis: basis, Runs: len(runs), Oldest: runs[len(runs)-1].CreatedAt}
	var times, tokens []int64
	var costs []mgx.Money
	for _, r := range runs {
		if r.Status == mgx.RunDone {
			e.Done++
		}
		if !r.StartedAt.IsZero() {
			times = append(times, r.EndedAt.Sub(r.StartedAt).Milliseconds())
		}
		tokens, costs = append(tokens, r.Usage.Total()), append(costs, r.Cost)
		e.Unpriced = e.Unpriced || r.CostUnknown
	}
	e.Duration, e.Tokens, e.Cost = rangeOf(times), rangeOf(tokens), rangeOf(costs)
	return e
}

func rangeOf[T ~int64](values []T) *Range[T] {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	at := func(percent int) T { return values[(len(values)-1)*percent/100] }
	return &Range[T]{Median: at(50), Low: at(5), High: at(95)}
}
