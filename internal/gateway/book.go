package gateway

import (
	"context"
	"log/slog"
	"time"

	"mgx"
	"mgx/internal/llm"
)

// book settles a call and records what came of it, whether it succeeded or not.
func (s *Server) book(c *call, acct Account, t place, res *llm.Result, failed error, started time.Time) error {
	var settled mgx.Settlement
	var events []mgx.Event
	if res != nil {
		for _, e := range res.Errors {
			events = append(events, c.event(t, started, mgx.LLMProviderError, e))
		}
		for _, f := range res.Fallbacks {
			events = append(events, c.event(t, started, mgx.LLMProviderFallback, f))
		}
		if failed == nil {
			settled = res.Settlement
			events = append(events, c.event(t, started, mgx.LLMCallCompleted, c.completed(res)))
		}
	}
	if settled.ID == "" && len(events) == 0 {
		return nil
	}
	err := acct.Close(settled, events)
	if err != nil {
		s.o.Log.Error("a call cannot be recorded", "request_id", c.id, "key", c.key.ID, "error", err)
	}
	return err
}

func (c *call) completed(res *llm.Result) mgx.LLMCallData {
	r := res.Response
	return mgx.LLMCallData{
		Provider: r.Provider, Model: r.Model, AgentRole: Role,
		Usage: r.Usage, CostUSD: res.Cost, PriceKnown: res.PriceKnown, PriceVersion: res.PriceVersion,
		DurationMS: res.Duration.Milliseconds(), FirstTokenMS: max(0, res.FirstToken.Milliseconds()),
		Finish: string(r.Finish), Attempts: res.Attempts, Step: c.dialect.name() + "/req_" + c.id,
		Cached: res.Cached, Routing: llm.Recorded(res.Decision),
	}
}

// event is a fact about the call, on the stream of its key and day.
func (c *call) event(t place, at time.Time, typ mgx.EventType, data any) mgx.Event {
	e := mgx.NewEvent(typ, data)
	e.Workspace = c.key.Workspace
	e.Stream = mgx.StreamID(string(c.key.ID) + "_" + at.UTC().Format("20060102"))
	e.Correlation = "req_" + c.id
	e.Traceparent = t.traceparent()
	return e
}

// log says what became of a call.
func (s *Server) log(c *call, m Model, t place, res *llm.Result, err error, took time.Duration) {
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
	}
	if !s.o.Log.Enabled(context.Background(), level) {
		return
	}
	log := s.o.Log.With("request_id", "req_"+c.id, "workspace_id", c.key.Workspace, "key", c.key.ID, "user_id", c.key.User,
		"model", m.Name, "dialect", c.dialect.name(), "stream", c.stream, "duration", took, "trace_id", t.id())
	if err != nil {
		log.Warn("gateway call failed", "error", err)
		return
	}
	log.Info("gateway call", "route", res.Response.Route, "attempts", res.Attempts, "cost", res.Cost.String(),
		"prompt", res.Response.Usage.Prompt, "completion", res.Response.Usage.Completion)
}
