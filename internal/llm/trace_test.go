package llm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	kinds "go.opentelemetry.io/otel/metric/embedded"
	mnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tnoop "go.opentelemetry.io/otel/trace/noop"

	"mgx"
)

// listener is an OpenTelemetry back-end that writes down what it is told.
type listener struct {
	mnoop.MeterProvider
	tnoop.TracerProvider
	mu    sync.Mutex
	lines []string
}

func (l *listener) say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

type listeningMeter struct {
	mnoop.Meter
	l *listener
}

type instrument struct {
	l    *listener
	name string
}

func (i instrument) Enabled(context.Context) bool { return true }

func (i instrument) note(n float64, set attribute.Set) {
	var words []string
	for _, kv := range set.ToSlice() {
		words = append(words, string(kv.Key)+"="+kv.Value.String())
	}
	i.l.say("%s %.4g %s", i.name, n, strings.Join(words, " "))
}

type floats struct {
	kinds.Float64Histogram
	instrument
}

func (f floats) Record(_ context.Context, n float64, o ...metric.RecordOption) {
	f.note(n, metric.NewRecordConfig(o).Attributes())
}

type ints struct {
	kinds.Int64Histogram
	instrument
}

func (i ints) Record(_ context.Context, n int64, o ...metric.RecordOption) {
	i.note(float64(n), metric.NewRecordConfig(o).Attributes())
}

type counts struct {
	kinds.Int64Counter
	instrument
}

func (c counts) Add(_ context.Context, n int64, o ...metric.AddOption) {
	c.note(float64(n), metric.NewAddConfig(o).Attributes())
}

func (m listeningMeter) Float64Histogram(name string, _ ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return floats{instrument: instrument{m.l, name}}, nil
}

func (m listeningMeter) Int64Histogram(name string, _ ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	return ints{instrument: instrument{m.l, name}}, nil
}

func (m listeningMeter) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counts{instrument: instrument{m.l, name}}, nil
}

type gauge struct {
	mnoop.Int64Observer
	instrument
}

func (g gauge) Observe(n int64, o ...metric.ObserveOption) {
	g.note(float64(n), metric.NewObserveConfig(o).Attributes())
}

func (m listeningMeter) Int64ObservableGauge(name string, o ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	for _, callback := range metric.NewInt64ObservableGaugeConfig(o...).Callbacks() {
		if err := callback(context.Background(), gauge{instrument: instrument{m.l, name}}); err != nil {
			return nil, err
		}
	}
	return mnoop.Int64ObservableGauge{}, nil
}

func (l *listener) Meter(string, ...metric.MeterOption) metric.Meter { return listeningMeter{l: l} }

func (l *listener) Tracer(string, ...trace.TracerOption) trace.Tracer { return listeningTracer{l: l} }

type listeningTracer struct {
	tnoop.Tracer
	l *listener
}

func (t listeningTracer) Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	c := trace.NewSpanStartConfig(o...)
	s := &listeningSpan{l: t.l, name: name, kind: c.SpanKind(), within: trace.SpanContextFromContext(ctx)}
	return trace.ContextWithSpan(ctx, s), s
}

type listeningSpan struct {
	tnoop.Span
	l     *listener
	name  string
	kind  trace.SpanKind
	words []string

	within trace.SpanContext
}

func (s *listeningSpan) IsRecording() bool { return true }

func (s *listeningSpan) SetAttributes(all ...attribute.KeyValue) {
	for _, kv := range all {
		s.words = append(s.words, string(kv.Key)+"="+kv.Value.String())
	}
}

func (s *listeningSpan) SetStatus(c codes.Code, why string) {
	s.words = append(s.words, c.String()+":"+why)
}

func (s *listeningSpan) End(...trace.SpanEndOption) {
	s.l.say("span %s (%s) %s", s.name, s.kind, strings.Join(s.words, " "))
	s.l.say("trace %s", s.within.TraceID())
}

// TestReports: each attempt has a span and is counted, by the conventions'
// names; nothing that was said is in them.
func TestReports(t *testing.T) {
	t.Parallel()
	l := &listener{}
	r, _ := two(nil, fails(CallError{Fault: FaultQuota, Status: 429, Message: "no money for sk-secret-123456"}))
	r.State = NewState(StateOptions{Tracer: l, Meter: l})
	req := policyRequest()
	req.System, req.Run = "TOPSECRET", mgx.NewRunID()
	if _, err := r.Call(t.Context(), req, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.State.Observe(l); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"trace " + req.Run.TraceID(),
		"mgx.llm.breaker 2 mgx.model=m mgx.provider=first",
		"mgx.llm.breaker 0 mgx.model=m mgx.provider=second",
		"span chat m (client) gen_ai.operation.name=chat gen_ai.provider.name=first gen_ai.request.model=m gen_ai.request.max_tokens=1000 gen_ai.request.stream=true mgx.attempt=1 mgx.agent.role=tester Error:quota_exceeded error.type=quota_exceeded",
		"gen_ai.response.model=m gen_ai.response.finish_reasons=[\"stop\"] gen_ai.usage.input_tokens=10 gen_ai.usage.output_tokens=5",
		"error.type=quota_exceeded gen_ai.operation.name=chat gen_ai.provider.name=first gen_ai.request.model=m",
		"gen_ai.client.token.usage 10 gen_ai.operation.name=chat gen_ai.provider.name=second gen_ai.request.model=m gen_ai.token.type=input",
		"gen_ai.client.token.usage 5 gen_ai.operation.name=chat gen_ai.provider.name=second gen_ai.request.model=m gen_ai.token.type=output",
		"gen_ai.client.operation.time_to_first_chunk",
		"mgx.llm.decisions 1 mgx.model=second/m mgx.policy=p mgx.strategy=ordered",
		"mgx.llm.fallbacks 1 mgx.from=first/m mgx.reason=rate_limit mgx.to=second/m",
	} {
		if !slices.ContainsFunc(l.lines, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("nothing says %q in\n%s", want, strings.Join(l.lines, "\n"))
		}
	}
	for _, line := range l.lines {
		for _, said := range []string{"TOPSECRET", "from second", "sk-secret", "no money"} {
			if strings.Contains(line, said) {
				t.Errorf("%q is in %s", said, line)
			}
		}
	}
	if n := strings.Count(strings.Join(l.lines, "\n"), "gen_ai.client.operation.duration"); n != 2 {
		t.Errorf("%d durations of 2 attempts", n)
	}
}

// TestWaitIsReported: how long a call waited for a limit and for a breaker is counted,
// and that one did not wait is not.
func TestWaitIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		second := &fake{acts: []act{fails(CallError{Fault: FaultOverloaded, Status: 503})}}
		r, _ := two(second, answers("ok", mgx.Usage{Prompt: 10, Completion: 5}))
		r.Of = map[string]ProviderOptions{"first": {Limits: Limits{Requests: 1}}}
		r.Patience.Alone = 2 * time.Minute
		r.State = NewState(StateOptions{Tracer: l, Meter: l})
		waits := func(model string, fails bool) (said []string) {
			t.Helper()
			l.lines = nil
			req := testRequest()
			req.Model, req.Conversation = model, ""
			if _, err := r.Call(t.Context(), req, nil, nil); (err != nil) != fails {
				t.Fatal(err)
			}
			for _, line := range l.lines {
				if strings.HasPrefix(line, "mgx.llm.wait ") {
					said = append(said, strings.TrimSpace(line))
				}
			}
			return said
		}
		if said := waits("first/m", false); said != nil {
			t.Errorf("nothing was waited for, and %q is said", said)
		}
		if said := waits("first/m", false); !slices.Equal(said, []string{"mgx.llm.wait 60"}) {
			t.Errorf("for a limit of one call a minute: %q", said)
		}
		r.Retries = 0
		for range 8 {
			waits("second/m", true) // until its breaker is open
		}
		second.acts, second.attempts = []act{answers("back", mgx.Usage{Prompt: 1, Completion: 1})}, 0
		if said := waits("second/m", false); !slices.Equal(said, []string{"mgx.llm.wait 10"}) {
			t.Errorf("for a breaker: %q", said)
		}
	})
}

// BenchmarkReports is what reporting costs when nothing listens: a call of a
// provider in memory.
func BenchmarkReports(b *testing.B) {
	r := testRouter(stateless{})
	req := testRequest()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Call(b.Context(), req, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReportsAlone is the reporting of one attempt by itself.
func BenchmarkReportsAlone(b *testing.B) {
	r := testRouter(stateless{})
	target, _ := r.direct("", "fake/m")
	y := &try{call: &call{router: r, result: &Result{Decision: &Decision{}}}, target: target, req: testRequest()}
	s := &seen{started: time.Now(), response: &Response{Usage: mgx.Usage{Prompt: 1}, UsageOK: true}}
	b.ReportAllocs()
	for b.Loop() {
		ctx, span := r.State.reports.begin(b.Context(), y)
		r.State.reports.end(ctx, span, y, s, "")
		r.State.reports.decided(ctx, y.result, 0)
	}
}

// While nothing listens to spans, an attempt's place in the trace of its run is
// not looked for.
func TestNoPlaceInATraceThatNobodyRecords(t *testing.T) {
	y := &try{call: &call{result: &Result{}}, target: &target{model: "m"}, req: &Request{Run: mgx.NewRunID()}}
	if l := (&listener{}); globally().heard() || !newInstruments(l, l).heard() {
		t.Fatal("who listens is not known")
	}
	ctx, _ := globally().begin(t.Context(), y)
	if trace.SpanContextFromContext(ctx).IsValid() {
		t.Error("the parent was found out for nobody")
	}
}
