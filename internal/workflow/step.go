package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"mgx"
)

// StepOption changes how a step is run. None is part of the step's input.
type StepOption func(*stepOptions)

type stepOptions struct {
	retry   RetryPolicy
	timeout time.Duration
	before  func() []mgx.Event
	quiet   bool
}

// Retry tries a failing step again.
func Retry(p RetryPolicy) StepOption { return func(o *stepOptions) { o.retry = p } }

// Timeout ends the context of each attempt after d; the attempt fails with
// mgx.CodeTimedOut unless the step returns something else.
func Timeout(d time.Duration) StepOption { return func(o *stepOptions) { o.timeout = d } }

// Before adds events to the commit of workflow.step.started.
func Before(events func() []mgx.Event) StepOption { return func(o *stepOptions) { o.before = events } }

// Quiet leaves out workflow.step.started, and so one durable commit: for cheap
// steps without an outward effect.
func Quiet() StepOption { return func(o *stepOptions) { o.quiet = true } }

// Step does the work fn and records what it returns under name, or returns what
// was recorded before. Input is what the work depends on; its digest is recorded
// and compared, so it must be JSON and should be small. What is returned has
// been through JSON, and an error is a *mgx.Error without its cause, the first
// time as on every replay. When the execution is being stopped an error is not
// recorded and Step does not return: the function is unwound.
func Step[T any](c *Context, name string, input any, fn func(*StepContext) (T, error), opts ...StepOption) (T, error) {
	r := c.step(name, input, func(s *StepContext) (any, error) { return fn(s) }, opts)
	return result[T](c, r)
}

// Record commits events once. It is a step without work: what the events say is
// its input, without their ids and times, which differ each time.
func Record(c *Context, name string, events ...mgx.Event) error {
	type said struct {
		Type mgx.EventType   `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	input := make([]said, len(events))
	for i, e := range events {
		input[i] = said{e.Type, e.Data}
	}
	defer c.enter()()
	name = c.name(name)
	sum := c.digest(mgx.StepWork, name, input)
	r := c.find(name, mgx.StepWork, sum)
	if r == nil {
		r = c.claim.record(mgx.StepRecord{Name: name, Kind: mgx.StepWork, Input: sum, Attempts: 1, StartedAt: mgx.Now()}, mgx.Change{Events: events})
	}
	_, err := result[struct{}](c, r)
	return err
}

func (c *Context) step(name string, input any, work func(*StepContext) (any, error), opts []StepOption) *mgx.StepRecord {
	defer c.enter()()
	name = c.name(name)
	sum := c.digest(mgx.StepWork, name, input)
	if r := c.find(name, mgx.StepWork, sum); r != nil {
		return r
	}
	c.claim.goLive()
	s := &running{claim: c.claim, name: name, work: work}
	for _, opt := range opts {
		opt(&s.options)
	}
	return s.run(mgx.StepRecord{Name: name, Kind: mgx.StepWork, Input: sum, StartedAt: mgx.Now()})
}

// running is a step that is being worked on: its attempts, and what is to be
// committed with its record.
type running struct {
	claim   *claim
	name    string
	work    func(*StepContext) (any, error)
	options stepOptions

	mu   sync.Mutex
	with mgx.Change // Events and Settle only
}

func (s *running) run(r mgx.StepRecord) *mgx.StepRecord {
	v, attempts, err := s.attempts()
	r.Attempts = attempts
	if err == nil {
		r.Output, err = encode(s.name, v)
	}
	if err != nil {
		s.claim.leaveIfStopped()
		s.claim.log.Debug("step failed", "step", s.name, "error", err)
		r.Failure = mgx.AsError(err)
	}
	s.mu.Lock()
	with := s.with
	s.mu.Unlock()
	return s.claim.record(r, with)
}

func encode(name string, v any) (json.RawMessage, error) {
	data, err := json.Marshal(v)
	switch {
	case err != nil:
		return nil, mgx.Errorf(mgx.KindInternal, "bad_output", "what step %s returned is not JSON: %w", name, err)
	case len(data) > maxOutput:
		return nil, mgx.Errorf(mgx.KindInternal, "output_too_large", "step %s returned %d bytes; at most %d are recorded", name, len(data), maxOutput)
	}
	return data, nil
}

// attempts runs the work until it succeeds, fails for good or is stopped.
func (s *running) attempts() (v any, attempt int, err error) {
	for attempt = 1; ; attempt++ {
		if err = s.begin(attempt); err != nil {
			return nil, attempt, err
		}
		var crashed bool
		if v, crashed, err = s.attempt(attempt); err == nil || crashed || !s.options.retry.again(attempt, err) {
			return v, attempt, err
		}
		s.claim.log.Debug("step will be tried again", "step", s.name, "attempt", attempt, "error", err)
		if !pause(s.claim.ctx, s.options.retry.delay(attempt)) {
			return nil, attempt, err
		}
	}
}

// begin commits what says that an attempt was begun.
func (s *running) begin(attempt int) error {
	var events []mgx.Event
	if !s.options.quiet {
		events = s.claim.started(s.name, mgx.StepWork, attempt)
	}
	if s.options.before != nil && attempt == 1 {
		events = append(events, s.options.before()...)
	}
	if len(events) == 0 {
		return nil
	}
	_, err := s.claim.commit(mgx.Change{Events: events})
	return err
}

func (s *running) attempt(n int) (v any, crashed bool, err error) {
	ctx, cancel := s.claim.ctx, context.CancelFunc(func() {})
	if s.options.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, s.options.timeout)
	}
	defer cancel()
	left, crash := s.claim.caught("step "+s.name, func() { v, err = s.work(&StepContext{Context: ctx, running: s, attempt: n}) })
	switch {
	case left: // the work called the engine, which ended the execution for it
		s.claim.fail(mgx.Errorf(mgx.KindInternal, "nested_call", "step %s called its workflow's engine", s.name))
	case crash != nil:
		return nil, true, crash
	case err != nil && errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil && s.claim.ctx.Err() == nil:
		var own *mgx.Error
		if !errors.As(err, &own) {
			err = mgx.Errorf(mgx.KindStopped, mgx.CodeTimedOut, "step %s did not finish within %s", s.name, s.options.timeout)
		}
	}
	return v, false, err
}

// StepContext is what the work of a step is given. Its context ends when the
// step's time is up or the execution is stopped; work that goes on after that
// holds up everything. Its methods may be called from several goroutines, and
// not after the work has returned.
type StepContext struct {
	context.Context
	running *running
	attempt int
}

// Name is the step's full name, unique in the execution.
func (s *StepContext) Name() string { return s.running.name }

// Attempt counts from 1.
func (s *StepContext) Attempt() int { return s.attempt }

// Scope says which execution the step belongs to.
func (s *StepContext) Scope() mgx.Scope { return s.running.claim.x.Scope }

// Emit has events committed with the step's record, whether it succeeds or
// fails; those of attempts that were repeated too, since they happened.
func (s *StepContext) Emit(events ...mgx.Event) {
	s.running.mu.Lock()
	defer s.running.mu.Unlock()
	s.running.with.Events = append(slices.Clip(s.running.with.Events), events...)
}

// Settle has a settlement committed with the step's record.
func (s *StepContext) Settle(settled mgx.Settlement) {
	s.running.mu.Lock()
	defer s.running.mu.Unlock()
	s.running.with.Settle = append(slices.Clip(s.running.with.Settle), settled)
}

// Announce commits events now, before an effect that they must precede.
func (s *StepContext) Announce(events ...mgx.Event) error {
	return s.now(mgx.Change{Events: events})
}

// Reserve sets money aside now, for the execution's own scope; see
// mgx.Reservation.
func (s *StepContext) Reserve(r mgx.Reservation) error {
	x := s.running.claim.x
	r.Workspace, r.Project, r.Task, r.Run, r.User = x.Workspace, x.Project, x.Task, x.Run, x.User
	return s.now(mgx.Change{Reserve: &r})
}

// SettleNow commits a settlement now, for a step that goes on to spend more.
func (s *StepContext) SettleNow(settled mgx.Settlement) error {
	return s.now(mgx.Change{Settle: []mgx.Settlement{settled}})
}

func (s *StepContext) now(ch mgx.Change) error {
	_, err := s.running.claim.commit(ch)
	return err
}
