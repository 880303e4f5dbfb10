package main

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/llm"
)

// Bounds of what a server waits for from providers when somebody asks about models.
const (
	listWait = 10 * time.Second
	tryWait  = 18 * time.Second
)

// modelHost are the models of this machine to the use cases.
type modelHost struct{ n *node }

// Models lists those of a workspace, with how they did for it.
func (h modelHost) Models(ctx context.Context, ws mgx.WorkspaceID) (app.ModelList, error) {
	m, err := h.n.models.of(ws)
	if err != nil {
		return app.ModelList{}, err
	}
	health, err := h.n.recall(ctx, ws)
	if err != nil {
		return app.ModelList{}, err
	}
	ctx, stop := context.WithTimeout(ctx, listWait)
	defer stop()
	return m.list(ctx, health)
}

// TryModel makes a call that the workspace and the user pay for, as for one of a run.
func (h modelHost) TryModel(ctx context.Context, ws mgx.WorkspaceID, user mgx.UserID, model string) (app.ModelTrial, error) {
	m, err := h.n.models.of(ws)
	if err != nil {
		return app.ModelTrial{}, err
	}
	ctx, stop := context.WithTimeoutCause(ctx, tryWait, mgx.Errorf(mgx.KindProvider, "provider_timeout", "the model did not answer within %s", tryWait))
	defer stop()
	pays := &callAccount{books: &books{store: h.n.store, owner: h.n.owner.id}, ctx: mgx.InWorkspace(context.WithoutCancel(ctx), ws), key: mgx.APIKey{Workspace: ws, User: user}, note: "test of a model", ids: map[string]string{}}
	t, err := m.try(ctx, model, pays)
	if err != nil && ctx.Err() != nil && context.Cause(ctx) != ctx.Err() {
		err = context.Cause(ctx)
	}
	return t, err
}

// list asks every provider that was found what it serves.
func (m *models) list(ctx context.Context, health map[string]llm.Health) (app.ModelList, error) {
	list := app.ModelList{Models: []app.ModelInfo{}, Failed: []app.ProviderFailure{}}
	if m.trouble != nil {
		return list, m.trouble
	}
	if len(m.found) == 0 {
		return list, m.noneFound()
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	prices := m.pricesOf(m.found)
	for _, f := range m.found {
		served, err := f.Models(ctx)
		if err != nil {
			list.Failed = append(list.Failed, app.ProviderFailure{Provider: f.Name(), Message: mgx.AsError(err).Message})
			continue
		}
		for _, info := range served {
			list.Models = append(list.Models, m.info(f, info, prices, health[f.Name()+"/"+info.ID]))
		}
	}
	list.Policies = m.routing()
	return list, nil
}

// info is what is known of a model that a provider serves.
func (m *models) info(f found, info llm.ModelInfo, prices *llm.Prices, h llm.Health) app.ModelInfo {
	name := f.Name() + "/" + info.ID
	price, known := prices.Lookup(f.Name(), info.ID)
	facts := m.facts(f.Name(), info.ID)
	out := app.ModelInfo{
		Model: name, Window: cmp.Or(info.ContextWindow, facts.Context), Capabilities: append([]string{}, facts.Capabilities...), Quality: facts.Quality,
		Local: f.Local, From: f.From, PriceKnown: known,
	}
	if known {
		out.Input, out.Output = &price.Input, &price.Output
	}
	if h.Calls > 0 {
		out.Health = &app.ModelHealth{
			Breaker: string(h.Breaker), Calls: h.Calls, Failures: h.Failures, FirstToken: h.FirstToken.Milliseconds(), Rate: h.Rate,
			LastError: h.LastError, LastFault: string(h.LastFault), LastErrorAt: h.LastErrorAt,
		}
	}
	return out
}

// routing are the policies that a model may be chosen by.
func (m *models) routing() []app.RoutingPolicy {
	policies := maps.Clone(m.file.For(m.workspace).Policies)
	if policies == nil {
		policies = map[string]llm.Policy{}
	}
	addAuto(policies, m.auto)
	all := []app.RoutingPolicy{}
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		p := policies[name]
		r := app.RoutingPolicy{Name: name, Strategy: string(cmp.Or(p.Strategy, llm.Balanced)), Candidates: []string{}, Fallback: append([]string{}, p.Fallback...), Overrides: len(p.Overrides)}
		for _, cand := range p.Candidates {
			r.Candidates = append(r.Candidates, cand.Model)
		}
		all = append(all, r)
	}
	return all
}

// try makes one small real call to a model, or to one that a policy chooses.
func (m *models) try(ctx context.Context, name string, pays *callAccount) (app.ModelTrial, error) {
	asked, err := m.choose(ctx, name)
	if err != nil {
		return app.ModelTrial{}, err
	}
	if err := m.use(mgx.RunSettings{Model: asked}); err != nil {
		return app.ModelTrial{}, err
	}
	o := m.router.Options
	o.Retries = -1
	var account llm.Account
	if pays != nil {
		account = pays
	}
	chunks := 0
	res, err := llm.NewRouter(o).Call(ctx, testCall(m.workspace, asked), account, func(ch llm.Chunk) {
		if ch.Text != "" || ch.Thinking != "" || ch.ToolName != "" {
			chunks++
		}
	})
	if err == nil && pays != nil && res.Settlement.ID != "" {
		err = pays.SettleNow(res.Settlement)
	}
	if err != nil {
		return app.ModelTrial{}, err
	}
	t := app.ModelTrial{
		Asked: asked, Model: res.Response.Route, Streaming: chunks > 0, Usage: res.Response.UsageOK, Tokens: res.Response.Usage,
		CostUSD: res.Cost, PriceKnown: res.PriceKnown, FirstToken: res.FirstToken, Duration: res.Duration, Finish: string(res.Response.Finish), Why: res.Decision.Why,
	}
	for _, p := range res.Response.Message.Parts {
		t.Tools = t.Tools || p.Call != nil && p.Call.Name == "answer" && json.Valid([]byte(p.Call.Args))
	}
	return t, nil
}

func testCall(ws mgx.WorkspaceID, model string) *llm.Request {
	return &llm.Request{
		Model: model, MaxTokens: 1024, AgentRole: "test", Conversation: "test", Workspace: ws,
		System:   "You answer questions by calling the tool answer, once.",
		Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "What is seven times six? Call the tool answer with the number."}}}},
		Tools: []llm.ToolSpec{{
			Name: "answer", Description: "Gives the answer.",
			Schema: json.RawMessage(`{"type":"object","required":["number"],"properties":{"number":{"type":"integer"}},"additionalProperties":false}`),
		}},
	}
}
