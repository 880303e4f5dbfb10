package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"mgx"
	"mgx/internal/llm"
)

// Routed are the models that the Router of a workspace reaches.
type Routed struct {
	// Router returns the router of a workspace. Required.
	Router func(context.Context, mgx.WorkspaceID) (*llm.Router, error)
	Log    *slog.Logger
	Now    func() time.Time // time.Now

	mu    sync.Mutex
	lists map[mgx.WorkspaceID]*served
}

// How long what providers serve is remembered, and how long they are waited for.
const (
	listFresh = time.Minute
	listWait  = 10 * time.Second
	maxLists  = 1000 // workspaces
)

// served is what the providers of a workspace serve.
type served struct {
	mu     sync.Mutex // held while they are asked
	models []Model
	at     time.Time
}

// Call makes a call.
func (m *Routed) Call(ctx context.Context, ws mgx.WorkspaceID, req *llm.Request, acct llm.Account, watch func(llm.Chunk)) (*llm.Result, error) {
	r, err := m.Router(ctx, ws)
	if err != nil {
		return nil, err
	}
	return r.Call(ctx, req, acct, watch)
}

// Count counts or guesses the tokens of a prompt.
func (m *Routed) Count(ctx context.Context, ws mgx.WorkspaceID, req *llm.Request) (tokens int64, counted bool, err error) {
	r, err := m.Router(ctx, ws)
	if err != nil {
		return 0, false, err
	}
	return r.Count(ctx, req)
}

// Resolve finds what a name stands for.
func (m *Routed) Resolve(ctx context.Context, ws mgx.WorkspaceID, name string, may func(full string) bool) (Model, error) {
	r, err := m.Router(ctx, ws)
	if err != nil {
		return Model{}, err
	}
	if p, ok := r.Policies[name]; ok {
		return policy(r, name, p), nil
	}
	if f, ok := r.Known(name); ok {
		return Model{Name: name, Window: f.Context, MaxOutput: f.MaxOutput, Passes: r.Passed(name)}, nil
	}
	if len(r.Providers) == 1 && name != "" {
		return model(r, r.Providers[0].Name()+"/"+name), nil
	}
	return m.bare(ctx, r, ws, name, may)
}

// bare finds the only provider that serves a model of a name that may be used;
// of the others nothing is said.
func (m *Routed) bare(ctx context.Context, r *llm.Router, ws mgx.WorkspaceID, name string, may func(full string) bool) (Model, error) {
	all, err := m.List(ctx, ws)
	if err != nil {
		return Model{}, err
	}
	var full []string
	for _, s := range all {
		if _, own, _ := strings.Cut(s.Name, "/"); !s.Policy && own == name && may(s.Name) {
			full = append(full, s.Name)
		}
	}
	switch len(full) {
	case 1:
		return model(r, full[0]), nil
	case 0:
		return Model{}, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound,
			"there is no model or policy %q; name one as provider/model, as GET /v1/models lists them", llm.Clean(name))
	}
	return Model{}, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "several providers have a model %q; name one of %s", llm.Clean(name), strings.Join(full, ", "))
}

func model(r *llm.Router, name string) Model {
	f, _ := r.Known(name)
	return Model{Name: name, Window: f.Context, MaxOutput: f.MaxOutput, Passes: r.Passed(name)}
}

// policy describes a policy by what every one of its models can do.
func policy(r *llm.Router, name string, p llm.Policy) Model {
	m := Model{Name: name, Policy: true}
	for _, candidate := range p.Models() {
		f, _ := r.Known(candidate)
		m.Window = max(m.Window, f.Context)
		if f.MaxOutput > 0 && (m.MaxOutput == 0 || f.MaxOutput < m.MaxOutput) {
			m.MaxOutput = f.MaxOutput
		}
	}
	return m
}

// List lists policies, and the models that providers say they serve. A provider
// that does not answer is left out.
func (m *Routed) List(ctx context.Context, ws mgx.WorkspaceID) ([]Model, error) {
	r, err := m.Router(ctx, ws)
	if err != nil {
		return nil, err
	}
	s := m.served(ws)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	if now.Sub(s.at) >= listFresh {
		s.models, s.at = m.ask(ctx, r), now
		if ctx.Err() != nil {
			s.at = time.Time{} // the caller left; others ask again
		}
	}
	var all []Model
	for name, p := range r.Policies {
		all = append(all, policy(r, name, p))
	}
	slices.SortFunc(all, func(a, b Model) int { return strings.Compare(a.Name, b.Name) })
	return append(all, s.models...), nil
}

func (m *Routed) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

func (m *Routed) served(ws mgx.WorkspaceID) *served {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lists == nil || len(m.lists) >= maxLists {
		m.lists = map[mgx.WorkspaceID]*served{}
	}
	if m.lists[ws] == nil {
		m.lists[ws] = &served{}
	}
	return m.lists[ws]
}

// ask asks all providers at once what they serve.
func (m *Routed) ask(ctx context.Context, r *llm.Router) []Model {
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	lists := make([][]Model, len(r.Providers))
	var all sync.WaitGroup
	for i, p := range r.Providers {
		all.Go(func() {
			infos, err := p.Models(ctx)
			if err != nil && m.Log != nil {
				m.Log.Warn("a provider does not say what it serves", "provider", p.Name(), "error", err)
			}
			for _, info := range infos {
				one := model(r, fmt.Sprintf("%s/%s", p.Name(), info.ID))
				if one.Window == 0 {
					one.Window = info.ContextWindow
				}
				lists[i] = append(lists[i], one)
			}
			slices.SortFunc(lists[i], func(a, b Model) int { return strings.Compare(a.Name, b.Name) })
		})
	}
	all.Wait()
	return slices.Concat(lists...)
}
