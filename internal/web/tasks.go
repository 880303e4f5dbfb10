package web

import (
	"net/url"
	"slices"

	"mgx"
	"mgx/internal/app"
)

// tasksPage lists runs, newest first. It is the example of a page with a list.
type tasksPage struct {
	Runs    []mgx.RunInfo
	Filters []filter
	Words   string // searched for
	Status  string
	Newer   string
	Older   string
	Marks   map[mgx.RunID]bool // that the reader may cancel
	Create  bool               // whether the reader may ask for something
}

// filter is a choice of what a list shows.
type filter struct {
	Name, Path string
	Here       bool
}

func tasks(v *visit) (page, error) {
	q := v.URL.Query()
	d := &tasksPage{Status: q.Get("status"), Words: q.Get("q"), Create: v.may("create", "tasks")}
	ask := app.RunsQuery{Text: d.Words, After: q.Get("page")}
	if d.Status != "" {
		ask.Statuses = []mgx.RunStatus{mgx.RunStatus(d.Status)}
	}
	found, err := v.site.o.Work.Runs(v.Context(), v.Actor, ask)
	if err != nil {
		return page{}, err
	}
	d.Runs, d.Filters = found.Items, statusFilters("/tasks", q, d.Status, app.RunStatuses)
	d.Marks = v.markable(d.Runs)
	if found.Next != "" {
		d.Older = with1(q, "page", found.Next)
	}
	if q.Get("page") != "" {
		d.Newer = with1(q, "page", "")
	}
	p := page{Template: "tasks", Title: v.site.t("tasks.title"), Nav: "tasks", Command: "mgx tasks\nmgx runs\nmgx cancel RUN", Data: d, Notice: v.doneNotice()}
	if q.Get("page") == "" {
		p.Live = &live{Channel: "all", Types: "run.created,task.*,workflow.waiting,workflow.resumed,run.phase.changed", Part: v.URL.RequestURI()}
	}
	return p, nil
}

// statusFilters are links to a list with one status, and with all.
func statusFilters[S ~string](path string, q url.Values, now string, all []S) []filter {
	names := []string{""}
	for _, s := range all {
		names = append(names, string(s))
	}
	if !slices.Contains(names, now) {
		now = ""
	}
	var out []filter
	for _, name := range names {
		rest := url.Values{}
		if words := q.Get("q"); words != "" {
			rest.Set("q", words)
		}
		out = append(out, filter{Name: name, Path: path + with1(rest, "status", name), Here: name == now})
	}
	return out
}

// with1 is a query with one parameter set, or without it when the value is empty.
func with1(q url.Values, name, value string) string {
	next := url.Values{}
	for k, all := range q {
		if k != name && k != "part" && k != "after" {
			next[k] = all
		}
	}
	if value != "" {
		next.Set(name, value)
	}
	return "?" + next.Encode()
}
