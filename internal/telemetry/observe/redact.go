package observe

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// redacting takes secrets out of spans before they leave.
type redacting struct {
	trace.SpanExporter
	redact func(string) string
}

func (r *redacting) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	clean := make([]trace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		clean[i] = cleanSpan{s, r}
	}
	return r.SpanExporter.ExportSpans(ctx, clean)
}

// cleanSpan is a span whose words are redacted.
type cleanSpan struct {
	trace.ReadOnlySpan
	r *redacting
}

func (s cleanSpan) Resource() *resource.Resource { return s.r.resource(s.ReadOnlySpan.Resource()) }

func (s cleanSpan) Name() string { return s.r.redact(s.ReadOnlySpan.Name()) }

func (s cleanSpan) Attributes() []attribute.KeyValue {
	return s.r.attributes(s.ReadOnlySpan.Attributes())
}

func (s cleanSpan) Status() trace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = s.r.redact(status.Description)
	return status
}

func (s cleanSpan) Events() []trace.Event {
	events := append([]trace.Event{}, s.ReadOnlySpan.Events()...)
	for i := range events {
		events[i].Name = s.r.redact(events[i].Name)
		events[i].Attributes = s.r.attributes(events[i].Attributes)
	}
	return events
}

func (s cleanSpan) Links() []trace.Link {
	links := append([]trace.Link{}, s.ReadOnlySpan.Links()...)
	for i := range links {
		links[i].Attributes = s.r.attributes(links[i].Attributes)
	}
	return links
}

// resource is what the process says of itself, which whoever starts it can add to.
func (r *redacting) resource(about *resource.Resource) *resource.Resource {
	return resource.NewWithAttributes(about.SchemaURL(), r.attributes(about.Attributes())...)
}

func (r *redacting) attributes(list []attribute.KeyValue) []attribute.KeyValue {
	clean := make([]attribute.KeyValue, len(list))
	for i, a := range list {
		clean[i] = attribute.KeyValue{Key: attribute.Key(r.redact(string(a.Key))), Value: r.value(a.Value)}
	}
	return clean
}

// value redacts words. A kind of value that holds others, or one that is not
// known here, becomes a redacted text.
func (r *redacting) value(v attribute.Value) attribute.Value {
	switch v.Type() {
	case attribute.BOOL, attribute.INT64, attribute.FLOAT64, attribute.BOOLSLICE, attribute.INT64SLICE, attribute.FLOAT64SLICE:
		return v
	case attribute.STRINGSLICE:
		words := append([]string{}, v.AsStringSlice()...)
		for i := range words {
			words[i] = r.redact(words[i])
		}
		return attribute.StringSliceValue(words)
	case attribute.STRING:
		return attribute.StringValue(r.redact(v.AsString()))
	}
	return attribute.StringValue(r.redact(v.String()))
}
