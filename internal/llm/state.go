package llm

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"mgx"
)

// StateOptions configure a State. Zero fields take the stated defaults.
type StateOptions struct {
	Breaker   BreakerOptions
	Workspace map[mgx.WorkspaceID]Limits // of all calls of a workspace; "" is every other's
	Cache     Cache                      // nil: no answer is kept
	Shared    SharedLimits               // nil: the limits are those of this process alone
	Now       func() time.Time           // default time.Now
	// Tracer and Meter take spans and metrics; default: those of the process.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

// State is what Routers of one process share and learn: which models work and
// how fast, what is left of limits, which model a conversation is on. It is safe
// for use by many goroutines, and bounded: what is not used is forgotten.
type State struct {
	o        StateOptions
	memory   *promptMemory
	stickies *stickies
	reports  *instruments

	mu         sync.Mutex
	keys       map[string]*limiter // of providers' keys, by ProviderOptions.ID
	models     map[string]*modelState
	breakers   map[breakerKey]*breaker
	workspaces map[mgx.WorkspaceID]*limiter
}

// maxStates bounds what is kept of models and of workspaces.
const maxStates = 4096

// NewState returns a State that knows nothing yet.
func NewState(o StateOptions) *State {
	if o.Now == nil {
		o.Now = time.Now
	}
	reports := globally()
	if o.Tracer != nil && o.Meter != nil {
		reports = newInstruments(o.Tracer, o.Meter)
	}
	return &State{
		o: o, memory: newPromptMemory(), stickies: newStickies(), reports: reports,
		keys: map[string]*limiter{}, models: map[string]*modelState{}, breakers: map[breakerKey]*breaker{}, workspaces: map[mgx.WorkspaceID]*limiter{},
	}
}

// breakerKey says whose a breaker is: a workspace's, of one model behind a key, or
// without a model of the key, which refused keys, empty accounts and failing
// connections open.
type breakerKey struct {
	workspace mgx.WorkspaceID
	id, model string
}

// modelState is what is known of one model behind a key.
type modelState struct {
	provider, model string
	id              string   // of the key
	learned         *limiter // what the provider says is left

	mu sync.Mutex
	Measured
}

// Measured is how a model did, as far as this process knows. The averages are
// exponentially weighted, with a weight of 0.2 for the latest call.
type Measured struct {
	FirstToken  time.Duration // 0: not measured
	Rate        float64       // completion tokens a second; 0: not measured
	Calls       int64
	Failures    int64
	LastError   string
	LastFault   Fault
	LastErrorAt time.Time
	LastOK      time.Time
}

// key is the limiter of all calls with a provider's key.
func (s *State) key(id string, l Limits) *limiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[id]
	if k == nil {
		k = newLimiter(l, s.o.Now).among(s.o.Shared, "key/"+id, l)
		s.keys[id] = k
	}
	return k
}

func (s *State) model(id, provider, model string) *modelState {
	name := id + "/" + model
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.models[name]
	if m == nil {
		forgetOne(s.models)
		m = &modelState{provider: provider, model: model, id: id, learned: newLimiter(Limits{}, s.o.Now)}
		s.models[name] = m
	}
	return m
}

func (s *State) breaker(k breakerKey) *breaker {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.breakers[k]
	if b == nil {
		forgetOne(s.breakers)
		b = newBreaker(s.o.Breaker)
		s.breakers[k] = b
	}
	return b
}

// workspace is the limiter of all calls of a workspace.
func (s *State) workspace(id mgx.WorkspaceID) *limiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.workspaces[id]
	if l == nil {
		limits, own := s.o.Workspace[id]
		if !own {
			limits = s.o.Workspace[""]
		}
		forgetOne(s.workspaces)
		l = newLimiter(limits, s.o.Now).among(s.o.Shared, "workspace/"+string(id), limits)
		s.workspaces[id] = l
	}
	return l
}

// forgetOne makes room in a map that is full.
func forgetOne[K comparable, V any](m map[K]V) {
	if len(m) < maxStates {
		return
	}
	for k := range m {
		delete(m, k)
		return
	}
}

// weight of the latest call in an average.
const weight = 0.2

func average(old, latest float64) float64 {
	if old == 0 {
		return latest
	}
	return old + weight*(latest-old)
}

// succeeded learns from an answer: how long its first token took, and the rate
// of the rest where there was enough to measure.
func (m *modelState) succeeded(now time.Time, first, rest time.Duration, completion int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Calls++
	m.LastOK = now
	if first > 0 {
		m.FirstToken = time.Duration(average(float64(m.FirstToken), float64(first)))
	}
	if completion >= 16 && rest >= 10*time.Millisecond {
		m.Rate = average(m.Rate, float64(completion)/rest.Seconds())
	}
}

func (m *modelState) failed(now time.Time, fault Fault, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Calls++
	m.Failures++
	m.LastError, m.LastFault, m.LastErrorAt = message, fault, now
}

func (m *modelState) measured() Measured {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Measured
}

// Health is the state of one model.
type Health struct {
	Provider string
	Model    string
	Breaker  BreakerState // of the model or its provider's key, the worst that any workspace has
	Until    time.Time    // an open breaker lets a probe through then
	Why      string       // it is not closed
	Measured
}

// Health lists every model that was called, by name.
func (s *State) Health() []Health {
	s.mu.Lock()
	now := s.o.Now()
	worst := map[breakerKey]Health{} // of any workspace
	for k, b := range s.breakers {
		h := Health{}
		h.Breaker, h.Until, _, h.Why = b.look(now)
		k.workspace = ""
		if old, ok := worst[k]; !ok || worse(h, old) {
			worst[k] = h
		}
	}
	var all []Health
	for _, m := range s.models {
		h := Health{Breaker: BreakerClosed}
		for _, k := range []breakerKey{{id: m.id, model: m.model}, {id: m.id}} {
			if b, ok := worst[k]; ok && worse(b, h) {
				h = b
			}
		}
		h.Provider, h.Model, h.Measured = m.provider, m.model, m.measured()
		all = append(all, h)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b Health) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Model, b.Model))
	})
	return all
}

// worse reports whether a breaker lets less through than another, or for longer.
func worse(a, b Health) bool {
	order := []BreakerState{BreakerClosed, BreakerHalfOpen, BreakerOpen}
	by := cmp.Compare(slices.Index(order, a.Breaker), slices.Index(order, b.Breaker))
	return by > 0 || by == 0 && a.Until.After(b.Until)
}

// Recall tells a State of a call that another process made: of its record in
// the event log.
func (s *State) Recall(at time.Time, provider, model string, first, rest time.Duration, completion int64) {
	s.model(provider, provider, model).succeeded(at, first, rest, completion)
}

// RecallFailure is Recall for an attempt that failed.
func (s *State) RecallFailure(at time.Time, provider, model string, fault Fault, message string) {
	s.model(provider, provider, model).failed(at, fault, message)
}

// stickies remembers which model a conversation works on, so that it stays
// there: the provider has its prompt in the cache.
type stickies struct {
	mu   sync.Mutex
	now  map[string]string // by conversation: provider/model
	last map[string]string // those before the latest clearing
}

func newStickies() *stickies {
	return &stickies{now: map[string]string{}, last: map[string]string{}}
}

func (s *stickies) get(conversation string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.now[conversation]; ok {
		return m
	}
	return s.last[conversation]
}

// set remembers at most 2 maxStates conversations: the older half goes.
func (s *stickies) set(conversation, model string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.now) >= maxStates {
		s.last, s.now = s.now, map[string]string{}
	}
	s.now[conversation] = model
}
