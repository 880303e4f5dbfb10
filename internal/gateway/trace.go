package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"mgx"
)

// place is where a call stands in a distributed trace
// (https://www.w3.org/TR/trace-context/): a span of its own, within that of the
// caller if it names one, around those of the attempts. It does not go on to
// providers.
type place struct {
	span trace.Span
	at   trace.SpanContext
}

// begin opens the span of a call. Also when nothing listens to spans, it has
// ids, for the call's event and log lines.
func (s *Server) begin(ctx context.Context, r *http.Request) (context.Context, place) {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	caller := trace.SpanContextFromContext(ctx)
	ctx, span := s.o.Tracer.Tracer("mgx/internal/gateway").Start(ctx, r.Method+" "+r.URL.Path, trace.WithSpanKind(trace.SpanKindServer))
	p := place{span, span.SpanContext()}
	if !p.at.IsValid() || p.at.SpanID() == caller.SpanID() {
		p.at = unheard(caller)
	}
	return ctx, p
}

// unheard is a place for a span that nobody records.
func unheard(caller trace.SpanContext) trace.SpanContext {
	c := trace.SpanContextConfig{TraceID: caller.TraceID(), TraceFlags: caller.TraceFlags()}
	if !caller.IsValid() {
		binary.BigEndian.PutUint64(c.TraceID[:8], rand.Uint64())
		binary.BigEndian.PutUint64(c.TraceID[8:], rand.Uint64()|1)
		c.TraceFlags = trace.FlagsSampled
	}
	binary.BigEndian.PutUint64(c.SpanID[:], rand.Uint64()|1)
	return trace.NewSpanContext(c)
}

// leave ends the span. The error itself may quote what the caller sent; its code
// does not.
func (p place) leave(c *call, err error) {
	if p.span.IsRecording() {
		p.span.SetAttributes(attribute.String("mgx.request", "req_"+c.id), attribute.String("mgx.key", string(c.key.ID)))
		if e, ok := errors.AsType[*mgx.Error](err); ok {
			p.span.SetStatus(codes.Error, e.Code)
		} else if err != nil {
			p.span.SetStatus(codes.Error, "failed")
		}
	}
	p.span.End()
}

func (p place) traceparent() string {
	return "00-" + p.at.TraceID().String() + "-" + p.at.SpanID().String() + "-" + p.at.TraceFlags().String()
}

func (p place) id() string { return p.at.TraceID().String() }
