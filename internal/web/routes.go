package web

import (
	"net/http"
)

// view makes a page of a request, or returns the error that becomes one.
type view func(*visit) (page, error)

// act does what a form asks for and returns the address to go to then.
type act func(*visit) (string, error)

// mux is the whole console.
func (s *site) mux() *mux {
	m := newMux()
	page := func(pattern string, v view) { m.Handle("GET "+pattern, s.show(v)) }

	m.Handle("GET /static/", s.static)
	if s.o.People != nil {
		s.signIns(m)
	}
	if s.o.Work != nil {
		page("/home", home)
		page("/tasks", tasks)
		page("/tasks/new", newTask)
		m.Handle("POST /tasks/new", s.show(startTask))
		tab := func(name string, fill func(*visit, *runPage) error) {
			path := "/runs/{run}"
			if name != "timeline" {
				path += "/" + name
			}
			page(path, runView(name, fill))
		}
		tab("timeline", fillTimeline)
		tab("plan", fillPlan)
		tab("diff", fillDiff)
		tab("checks", fillChecks)
		tab("review", fillReview)
		tab("artifacts", fillArtifacts)
		tab("routing", fillRouting)
		tab("security", fillSecurity)
		tab("events", fillEvents)
		m.HandleFunc("GET /runs/{run}/artifacts/{name}", s.artifact)
		m.Handle("POST /runs/{run}/decide", s.do(decideRun))
		m.Handle("POST /runs/{run}/comments", s.do(commentRun))
		m.Handle("POST /runs/{run}/comments/{comment}/close", s.do(closeComment))
		m.Handle("POST /runs/{run}/files", s.do(approveFile))
		m.Handle("POST /runs/{run}/changes", s.do(requestChanges))
		page("/approvals", approvals)
		page("/agents", agents)
		page("/agents/{role}", agent)
		page("/executions", executions)
		page("/executions/{execution}", execution)
		m.Handle("POST /approvals/approve", s.do(approveMarked))
		m.Handle("POST /tasks/cancel", s.do(cancelMarked))
		m.Handle("POST /runs/{run}/cancel", s.do(cancelRun))
		m.Handle("POST /runs/{run}/fork", s.do(forkRun))
		m.Handle("POST /runs/{run}/say", s.do(steerRun))
		m.Handle("POST /runs/{run}/pause", s.do(pauseRun))
		m.Handle("POST /runs/{run}/continue", s.do(continueRun))
	}
	if s.o.Events != nil {
		page("/events", events)
		page("/events/{event}", eventOf)
	}
	if s.o.Templates != nil {
		s.templatePages(m, page)
	}
	if s.o.Queues != nil {
		s.queuePages(m, page)
	}
	if s.o.Budgets != nil {
		page("/usage", usage)
		m.HandleFunc("GET /usage/export", s.usageExport)
	}
	if s.o.Audit != nil {
		page("/audit", auditLog)
		m.HandleFunc("GET /audit/export", s.auditExport)
	}
	if s.o.Settings != nil {
		s.settings(m)
	}
	if s.o.Sample {
		page("/storybook", storybook)
	}
	page("/", nowhere)
	s.rail = rail(m)
	return m
}

// entry is a place in the rail.
type entry struct {
	Kind string // what its readers must be allowed to read; empty: nothing
	Key  string // of its name in the catalogue, below "nav."
	Path string
	Icon string
	Go   string // the key that goes there after g
	Here bool
	N    int // how many wait there; 0: not shown
}

// places are the entries of the rail, in their order.
func places() []entry {
	return []entry{
		{Kind: "runs", Key: "home", Path: "/home", Icon: "home", Go: "h"},
		{Kind: "runs", Key: "tasks", Path: "/tasks", Icon: "tasks", Go: "t"},
		{Kind: "runs", Key: "approvals", Path: "/approvals", Icon: "waiting", Go: "a"},
		{Kind: "workflows", Key: "executions", Path: "/executions", Icon: "graph", Go: "x"},
		{Kind: "agents", Key: "agents", Path: "/agents", Icon: "agents", Go: "n"},
		{Kind: "events", Key: "events", Path: "/events", Icon: "events", Go: "e"},
		{Kind: "budgets", Key: "usage", Path: "/usage", Icon: "usage", Go: "u"},
		{Key: "queues", Path: "/queues", Icon: "queues", Go: "q"},
		{Kind: "audit", Key: "audit", Path: "/audit", Icon: "audit", Go: "l"},
		{Key: "settings", Path: "/settings", Icon: "settings", Go: "s"},
	}
}

// rail are the places that have a page.
func rail(m *mux) []entry {
	var all []entry
	for _, e := range places() {
		r, err := http.NewRequest(http.MethodGet, e.Path, nil)
		if err != nil {
			panic(err)
		}
		if _, pattern := m.Handler(r); pattern != "GET /" && pattern != "" {
			all = append(all, e)
		}
	}
	return all
}
