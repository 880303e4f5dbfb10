package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"mgx"
)

// Commit applies a change in one transaction, or nothing of it. It returns what
// was stored: events with their numbers, those already stored included, and
// steps with their order. An error is the first part's, in the order of the
// fields, that failed.
func (s *Store) Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error) {
	c, err := s.normal(c.In(ctx))
	if err != nil {
		return mgx.Committed{}, err
	}
	var out mgx.Committed
	if s.opts.ReadOnly {
		return mgx.Committed{}, readOnly(s.name)
	}
	if err = s.beginsIn(ctx, c.Create); err != nil {
		return mgx.Committed{}, err
	}
	err = s.do(ctx, &c, func(t *tx) error {
		t.normalEvent = s.normalEvent
		out, err = t.apply(c)
		if t.events = out.Events; len(t.events) == 0 {
			t.events = t.money.raised
		}
		return err
	})
	if refused, ok := errors.AsType[*refusal](err); ok {
		s.alert(ctx, refused.budget)
	}
	if err != nil {
		return mgx.Committed{}, s.trouble.note(s.explain(err))
	}
	return out, nil
}

func (t *tx) apply(c mgx.Change) (out mgx.Committed, err error) {
	if err = t.holds(c.Lease); err != nil {
		return out, err
	}
	if c.Advance != nil {
		if err = t.advanceConsumer(*c.Advance); err != nil {
			return out, err
		}
	}
	if err = each(c.Expect, t.expect); err != nil {
		return out, err
	}
	if err = each(c.Create, t.create); err != nil {
		return out, err
	}
	if out.Events, err = collect(c.Events, t.append); err != nil {
		return out, err
	}
	if c.Reserve != nil {
		if err = t.reserve(*c.Reserve, c.Lease); err != nil {
			return out, err
		}
	}
	if err = each(c.Settle, t.settle); err != nil {
		return out, err
	}
	if out.Steps, err = collect(c.Steps, t.record); err != nil {
		return out, err
	}
	if err = each(c.Signals, t.signal); err != nil {
		return out, err
	}
	if err = each(c.Consume, t.consume); err != nil {
		return out, err
	}
	if c.Update != nil {
		if err = t.update(*c.Update); err != nil {
			return out, err
		}
	}
	if c.Cancel != nil {
		err = t.cancel(*c.Cancel)
	}
	return out, err
}

func each[T any](list []T, f func(T) error) error {
	for _, v := range list {
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

func collect[T any](list []T, f func(T) (T, error)) ([]T, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := make([]T, len(list))
	for i, v := range list {
		var err error
		if out[i], err = f(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// normal returns a copy of the change that is ready to be stored: redacted,
// checked, with times in UTC microseconds. The caller's values stay as they are.
func (s *Store) normal(c mgx.Change) (_ mgx.Change, err error) {
	if c.Events, err = collect(c.Events, s.normalEvent); err != nil {
		return c, err
	}
	if c.Create, err = collect(c.Create, s.normalExecution); err != nil {
		return c, err
	}
	hides := s.redactor(c.Workspace)
	if c.Steps, err = collect(c.Steps, hides.step); err != nil {
		return c, err
	}
	if c.Signals, err = collect(c.Signals, hides.signal); err != nil {
		return c, err
	}
	if c.Update != nil {
		u := *c.Update
		if u.Result, err = hides.redact(u.Result); err != nil {
			return c, err
		}
		if u.Failure, err = hides.redactFailure(u.Failure); err != nil {
			return c, err
		}
		c.Update = &u
	}
	c.Advance = s.normalAdvance(c.Advance)
	if c.Cancel != nil {
		why := *c.Cancel
		why.Why = hides.redactText(why.Why)
		c.Cancel = &why
	}
	return c, nil
}

func (s *Store) normalEvent(e mgx.Event) (_ mgx.Event, err error) {
	if e.ID == "" || e.Type == "" || e.Stream == "" || e.Workspace == "" {
		return e, mgx.Errorf(mgx.KindInternal, "bad_event", "an event needs an id, a type, a stream and a workspace; got %q %q %q %q", e.ID, e.Type, e.Stream, e.Workspace)
	}
	if !mgx.IsText(string(e.ID), string(e.Workspace), string(e.Stream), string(e.Type), e.Version, string(e.Project), string(e.Task), string(e.Run), string(e.Agent),
		string(e.Execution), e.Correlation, string(e.Causation), e.Traceparent) {
		return e, mgx.Errorf(mgx.KindUsage, CodeBadText, "event %q (%q) holds what is no text: UTF-8 without a zero byte", e.ID, e.Type)
	}
	e.Time = utc(e.Time)
	if e.Data, err = s.redactor(e.Workspace).redact(e.Data); err != nil {
		return e, err
	}
	if len(e.Data) == 0 {
		return e, mgx.Errorf(mgx.KindInternal, "bad_event", "event %s (%s) has no data", e.ID, e.Type)
	}
	if e, err = sealAudit(e); err != nil {
		return e, err
	}
	if s.opts.Check != nil {
		err = s.opts.Check(&e)
	}
	return e, err
}

func (s *Store) normalExecution(e mgx.Execution) (_ mgx.Execution, err error) {
	if e.Execution == "" || e.Workspace == "" || e.Workflow == "" {
		return e, mgx.Errorf(mgx.KindInternal, "bad_execution", "an execution needs an id, a workspace and a workflow; got %q %q %q", e.Execution, e.Workspace, e.Workflow)
	}
	e.CreatedAt = utc(e.CreatedAt)
	e.UpdatedAt = e.CreatedAt
	if e.Status == "" {
		e.Status = mgx.ExecReady
	}
	e.WakeAt = due(e.Status, e.WakeAt, e.CreatedAt)
	e.Awaits = slices.Clone(e.Awaits)
	hides := s.redactor(e.Workspace)
	if e.Input, err = hides.redact(e.Input); err != nil {
		return e, err
	}
	if e.Result, err = hides.redact(e.Result); err != nil {
		return e, err
	}
	e.Failure, err = hides.redactFailure(e.Failure)
	return e, err
}

func (h redactor) step(r mgx.StepRecord) (_ mgx.StepRecord, err error) {
	r.RecordedAt = utc(r.RecordedAt)
	if !r.StartedAt.IsZero() {
		r.StartedAt = utc(r.StartedAt)
	}
	if r.Output, err = h.redact(r.Output); err != nil {
		return r, err
	}
	r.Failure, err = h.redactFailure(r.Failure)
	return r, err
}

func (h redactor) signal(g mgx.Signal) (_ mgx.Signal, err error) {
	if g.ID == "" || g.Name == "" {
		return g, mgx.Errorf(mgx.KindInternal, "bad_signal", "a signal needs an id and a name; got %q %q", g.ID, g.Name)
	}
	g.SentAt = utc(g.SentAt)
	g.Payload, err = h.redact(g.Payload)
	return g, err
}

// utc is a time as rows keep it; the zero time becomes now.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return mgx.Now()
	}
	return t.UTC().Truncate(time.Microsecond)
}
