package web

import (
	"cmp"
	"time"

	"mgx"
	"mgx/internal/app"
)

// executionsPage lists what the engine works through, the newest first.
type executionsPage struct {
	Rows    []executionRow
	Filters []filter
	Narrow  bool
	Newer   string
	Older   string
}

// executionRow is an execution in a list.
type executionRow struct {
	app.ExecutionInfo
	Took time.Duration
}

// State is the status, or that somebody works on it now.
func (e executionRow) State() string {
	if e.AtWork && !e.Status.Ended() {
		return "running"
	}
	return string(e.Status)
}

func (v *visit) executionRow(x app.ExecutionInfo) executionRow {
	end := v.site.o.Now()
	if x.Status.Ended() {
		end = x.UpdatedAt
	}
	return executionRow{x, max(0, end.Sub(x.CreatedAt))}
}

func executions(v *visit) (page, error) {
	q := v.URL.Query()
	ask := app.ExecutionsQuery{Run: mgx.RunID(q.Get("run")), After: q.Get("page")}
	status := q.Get("status")
	if status != "" {
		ask.Statuses = []mgx.ExecutionStatus{mgx.ExecutionStatus(status)}
	}
	found, err := v.site.o.Work.Executions(v.Context(), v.Actor, ask)
	if err != nil {
		return page{}, err
	}
	d := &executionsPage{Filters: statusFilters("/executions", q, status, app.ExecutionStatuses), Narrow: status != "" || ask.Run != ""}
	for _, x := range found.Items {
		d.Rows = append(d.Rows, v.executionRow(x))
	}
	if found.Next != "" {
		d.Older = with1(q, "page", found.Next)
	}
	p := page{Template: "executions", Title: v.site.t("exec.title"), Nav: "executions", Command: "mgx executions", Data: d}
	if ask.After != "" {
		d.Newer = with1(q, "page", "")
	} else {
		p.Live = &live{Channel: "all", Types: "run.created,task.*,workflow.waiting,workflow.resumed", Part: v.URL.RequestURI()}
	}
	return p, nil
}

// executionPage is one execution with its steps over time.
type executionPage struct {
	executionRow
	Steps    []stepRow
	Children []executionRow
	Graph    *graph
	Whole    time.Duration // that the drawing is wide
	Cut      int           // how many steps are shown of more; 0: all
}

// stepRow is a step, and its bar on the time of all, in thousandths.
type stepRow struct {
	app.StepInfo
	X, Width string
	Took     time.Duration
}

// Anchor names it within the page.
func (s stepRow) Anchor() string { return stepAnchor(s.Name) }

// mostSteps is how many steps are drawn; a person reads no more.
const mostSteps = 500

func execution(v *visit) (page, error) {
	x, err := v.site.o.Work.Execution(v.Context(), v.Actor, mgx.ExecutionID(v.PathValue("execution")))
	if err != nil {
		return page{}, err
	}
	d := &executionPage{executionRow: v.executionRow(x.ExecutionInfo)}
	for _, c := range x.Children {
		d.Children = append(d.Children, v.executionRow(c))
	}
	steps := x.Steps
	if len(steps) > mostSteps || x.Truncated {
		steps, d.Cut = steps[:min(len(steps), mostSteps)], min(len(steps), mostSteps)
	}
	d.gantt(steps, v.site.o.Now())
	d.Graph = v.graphOf(x, v.site.o.Now())
	p := page{Template: "execution", Title: x.Workflow, Nav: "executions", Command: "mgx executions show " + string(x.ID), Data: d}
	if x.Run != "" && !x.Status.Ended() {
		p.Live = &live{Channel: "run:" + string(x.Run), Types: "workflow.*", Part: v.URL.Path}
	}
	return p, nil
}

// gantt lays steps out on the time from the first's beginning to the last's end.
func (d *executionPage) gantt(steps []app.StepInfo, now time.Time) {
	if len(steps) == 0 {
		return
	}
	begin, end := func(s app.StepInfo) time.Time {
		if s.StartedAt.IsZero() {
			return s.EndedAt
		}
		return s.StartedAt
	}, func(s app.StepInfo) time.Time {
		if s.EndedAt.IsZero() {
			return now
		}
		return s.EndedAt
	}
	first, last := begin(steps[0]), end(steps[0])
	for _, s := range steps {
		if at := begin(s); at.Before(first) {
			first = at
		}
		if at := end(s); at.After(last) {
			last = at
		}
	}
	d.Whole = max(0, last.Sub(first))
	whole := cmp.Or(float64(d.Whole), 1)
	for _, s := range steps {
		took := max(0, end(s).Sub(begin(s)))
		x := min(float64(begin(s).Sub(first))/whole*1000, 996)
		d.Steps = append(d.Steps, stepRow{StepInfo: s, X: coordinate(x), Width: coordinate(min(max(4, float64(took)/whole*1000), 1000-x)), Took: took})
	}
}
