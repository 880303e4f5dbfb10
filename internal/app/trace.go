package app

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"mgx"
)

// linkRun ties the span of a request to the trace of the run that it began. A run
// outlives the request, so its trace is its own; whoever looks at the request finds
// the model calls by this.
func linkRun(ctx context.Context, id mgx.RunID) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	run := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": id.Traceparent()})
	about := attribute.String("mgx.run.id", string(id))
	span.SetAttributes(about)
	span.AddLink(trace.Link{SpanContext: trace.SpanContextFromContext(run), Attributes: []attribute.KeyValue{about}})
}
