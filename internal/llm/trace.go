package llm

import (
	"cmp"
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"mgx"
)

// scope names this package to OpenTelemetry.
const scope = "mgx/internal/llm"

// instruments are what a Router reports with: a span for each attempt and
// metrics, by the names of the semantic conventions for GenAI where these have
// one. Prompts, answers and keys are in none of them.
type instruments struct {
	heard     func() bool // something listens to spans
	tracer    trace.Tracer
	duration  metric.Float64Histogram // of attempts
	first     metric.Float64Histogram // until the first content
	tokens    metric.Int64Histogram
	decisions metric.Int64Counter
	fallbacks metric.Int64Counter
	lookups   metric.Int64Counter // of kept answers
	waits     metric.Float64Histogram
}

// globally are the instruments of the process's own providers; nothing listens
// to them until some are set.
var globally = sync.OnceValue(func() *instruments {
	in := newInstruments(otel.GetTracerProvider(), otel.GetMeterProvider())
	in.heard = func() bool { return otel.GetTracerProvider() != nobody }
	return in
})

// nobody takes the spans of a process until somebody listens.
var nobody = otel.GetTracerProvider()

func newInstruments(tp trace.TracerProvider, mp metric.MeterProvider) *instruments {
	m := mp.Meter(scope)
	seconds := metric.WithExplicitBucketBoundaries(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
	many := metric.WithExplicitBucketBoundaries(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304)
	in := &instruments{tracer: tp.Tracer(scope), heard: func() bool { return true }}
	// Errors would be about names and units, which are constant.
	in.duration, _ = m.Float64Histogram("gen_ai.client.operation.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time that an attempt at a model call took."))
	in.first, _ = m.Float64Histogram("gen_ai.client.operation.time_to_first_chunk", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time from an attempt's start to its first content."))
	in.tokens, _ = m.Int64Histogram("gen_ai.client.token.usage", metric.WithUnit("{token}"), many,
		metric.WithDescription("Tokens of an answer, in and out."))
	in.decisions, _ = m.Int64Counter("mgx.llm.decisions", metric.WithDescription("Calls by the model that they went to first."))
	in.fallbacks, _ = m.Int64Counter("mgx.llm.fallbacks", metric.WithDescription("Changes from one model to another within a call."))
	in.lookups, _ = m.Int64Counter("mgx.llm.cache.lookups", metric.WithDescription("Looks for kept answers."))
	in.waits, _ = m.Float64Histogram("mgx.llm.wait", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time that a call waited for breakers and limits."))
	return in
}

// genaiNames are providers whose name in the conventions is another than ours.
var genaiNames = map[string]string{"gemini": "gcp.gemini", "azure": "azure.ai.openai", "mistral": "mistral_ai"}

func (t *target) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("gen_ai.operation.name", "chat"),
		attribute.String("gen_ai.provider.name", cmp.Or(genaiNames[t.provider.Name()], t.provider.Name())),
		attribute.String("gen_ai.request.model", t.model),
	}
}

// begin opens the span of an attempt: within the span that ctx has, else within
// the trace of the run that the call is for.
func (in *instruments) begin(ctx context.Context, y *try) (context.Context, trace.Span) {
	if in.heard() && !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": y.req.Run.Traceparent()})
	}
	ctx, span := in.tracer.Start(ctx, "chat "+y.target.model, trace.WithSpanKind(trace.SpanKindClient))
	if span.IsRecording() {
		span.SetAttributes(y.target.attributes()...)
		span.SetAttributes(
			attribute.Int("gen_ai.request.max_tokens", y.req.MaxTokens),
			attribute.Bool("gen_ai.request.stream", true),
			attribute.Int("mgx.attempt", y.result.Attempts),
			attribute.String("mgx.agent.role", y.req.AgentRole))
		if y.req.Temperature != nil {
			span.SetAttributes(attribute.Float64("gen_ai.request.temperature", *y.req.Temperature))
		}
	}
	return ctx, span
}

// end closes the span of an attempt and counts it. kind is the fault, or
// "cancelled"; empty: it succeeded.
func (in *instruments) end(ctx context.Context, span trace.Span, y *try, s *seen, kind string) {
	if span.IsRecording() {
		if kind != "" {
			span.SetStatus(codes.Error, kind)
			span.SetAttributes(attribute.String("error.type", kind))
		}
		if r := s.response; r != nil {
			span.SetAttributes(
				attribute.String("gen_ai.response.model", r.Model),
				attribute.StringSlice("gen_ai.response.finish_reasons", []string{string(r.Finish)}),
				attribute.Int64("gen_ai.usage.input_tokens", r.Usage.Prompt),
				attribute.Int64("gen_ai.usage.output_tokens", r.Usage.Completion),
				attribute.Int64("gen_ai.usage.cache_read.input_tokens", r.Usage.Cached),
				attribute.Int64("mgx.cost_nanodollars", int64(y.result.Cost)))
		}
	}
	span.End()
	if !in.duration.Enabled(ctx) {
		return
	}
	in.measure(ctx, y, s, kind)
}

func (in *instruments) measure(ctx context.Context, y *try, s *seen, kind string) {
	attributes := y.target.attributes()
	same := metric.WithAttributeSet(attribute.NewSet(attributes...))
	if kind != "" {
		with := metric.WithAttributeSet(attribute.NewSet(append(attributes, attribute.String("error.type", kind))...))
		in.duration.Record(ctx, y.router.Now().Sub(s.started).Seconds(), with)
		return
	}
	in.duration.Record(ctx, y.router.Now().Sub(s.started).Seconds(), same)
	in.first.Record(ctx, s.first.Sub(s.started).Seconds(), same)
	if r := s.response; r.UsageOK {
		in.count(ctx, attributes, "input", r.Usage.Prompt)
		in.count(ctx, attributes, "output", r.Usage.Completion)
	}
}

func (in *instruments) count(ctx context.Context, attributes []attribute.KeyValue, kind string, n int64) {
	with := append(attributes[:len(attributes):len(attributes)], attribute.String("gen_ai.token.type", kind))
	in.tokens.Record(ctx, n, metric.WithAttributeSet(attribute.NewSet(with...)))
}

// decided counts where a call went, and how it came to go elsewhere.
func (in *instruments) decided(ctx context.Context, r *Result, waited time.Duration) {
	if !in.decisions.Enabled(ctx) || r.Decision == nil {
		return
	}
	d := r.Decision
	in.decisions.Add(ctx, 1, metric.WithAttributes(
		attribute.String("mgx.policy", cmp.Or(d.Policy, "none")), attribute.String("mgx.strategy", d.Strategy),
		attribute.String("mgx.model", d.Chosen)))
	for _, f := range r.Fallbacks {
		in.fallbacks.Add(ctx, 1, metric.WithAttributes(
			attribute.String("mgx.from", f.From), attribute.String("mgx.to", f.To), attribute.String("mgx.reason", f.Reason)))
	}
	if waited >= time.Millisecond { // less is no waiting, but asking whether to
		in.waits.Record(ctx, waited.Seconds())
	}
}

func (in *instruments) looked(ctx context.Context, hit bool) {
	if in.lookups.Enabled(ctx) {
		in.lookups.Add(ctx, 1, metric.WithAttributes(attribute.Bool("mgx.hit", hit)))
	}
}

// Observe reports the breakers of a State as a gauge, mgx.llm.breaker: 0 closed,
// 1 half-open, 2 open. Call it once for a process's State, which it keeps alive.
func (s *State) Observe(mp metric.MeterProvider) error {
	m := mp.Meter(scope)
	_, err := m.Int64ObservableGauge("mgx.llm.breaker",
		metric.WithDescription("State of the breaker of a model: 0 closed, 1 half-open, 2 open."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			for _, h := range s.Health() {
				o.Observe(map[BreakerState]int64{BreakerHalfOpen: 1, BreakerOpen: 2}[h.Breaker],
					metric.WithAttributes(attribute.String("mgx.provider", h.Provider), attribute.String("mgx.model", h.Model)))
			}
			return nil
		}))
	if err != nil {
		return mgx.Errorf(mgx.KindInternal, "bad_metric", "the gauge of breakers cannot be made: %w", err)
	}
	return nil
}
