package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"mgx"
	"mgx/internal/access"
)

// Request is a request as those see it who keep a log of requests or count them.
// What is about the answer is there once it has been sent.
type Request struct {
	ID      string // req_…; the header X-Request-Id and problems have it too
	Trace   string // that it belongs to: the caller's, or one of its own
	Span    string // of the request in it
	Method  string
	Route   string       // pattern of the route, without the method; empty: there is none
	Actor   access.Actor // zero: nobody
	Began   time.Time
	Took    time.Duration
	Status  int // 0: nobody waited for the answer
	Bytes   int64
	Problem string // code; empty: none
}

type requestKey struct{}

// RequestFrom is the request that a context is of; nil: of none.
func RequestFrom(ctx context.Context) *Request {
	q, _ := ctx.Value(requestKey{}).(*Request)
	return q
}

// observed gives a request its id and its place in a trace, and tells of it when
// it is over.
func (s *Server) observed(next http.Handler) http.Handler {
	var w3c propagation.TraceContext
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := &Request{ID: mgx.NewID[string]("req"), Method: method(r.Method), Began: time.Now()}
		ctx := w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		if !trace.SpanContextFromContext(ctx).IsValid() {
			ctx = trace.ContextWithRemoteSpanContext(ctx, newTrace())
		}
		ctx, span := otel.Tracer("mgx/internal/api").Start(ctx, q.Method, trace.WithSpanKind(trace.SpanKindServer))
		q.Trace, q.Span = span.SpanContext().TraceID().String(), span.SpanContext().SpanID().String()
		w3c.Inject(ctx, propagation.HeaderCarrier(w.Header()))
		w.Header().Set("X-Request-Id", q.ID)
		out := &answer{ResponseWriter: w}
		defer func() {
			q.Status, q.Bytes, q.Took = out.status, out.bytes, time.Since(q.Began)
			describeSpan(span, q)
			span.End()
			if s.o.Seen != nil {
				s.o.Seen(ctx, *q)
			}
		}()
		next.ServeHTTP(out, r.WithContext(context.WithValue(ctx, requestKey{}, q)))
	})
}

// describeSpan names a span and its attributes as the semantic conventions for
// HTTP do. What is in a path or a query is in neither.
func describeSpan(span trace.Span, q *Request) {
	if !span.IsRecording() {
		return
	}
	span.SetName(q.Method + " " + q.Route)
	span.SetAttributes(
		attribute.String("http.request.method", q.Method),
		attribute.String("http.route", q.Route),
		attribute.Int("http.response.status_code", q.Status),
		attribute.String("mgx.request.id", q.ID),
	)
	if q.Problem != "" {
		span.SetAttributes(attribute.String("error.type", q.Problem))
	}
	if q.Status >= http.StatusInternalServerError {
		span.SetStatus(otelcodes.Error, q.Problem)
	}
}

// newTrace is the beginning of a trace that nobody has begun.
func newTrace() trace.SpanContext {
	var c trace.SpanContextConfig
	rand.Read(c.TraceID[:])
	rand.Read(c.SpanID[:])
	c.TraceFlags = trace.FlagsSampled // or nobody who listens would get its spans
	return trace.NewSpanContext(c)
}

// method is that of a request, if it is one that the API has: others are the
// caller's text.
func method(name string) string {
	switch name {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return name
	}
	return "_OTHER"
}
