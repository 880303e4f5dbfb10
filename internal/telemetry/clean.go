package telemetry

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
)

// cleaner turns attributes into ones that hold nothing but redacted text and
// plain numbers, times and groups.
type cleaner struct {
	redact func(string) string
	json   bool // structs become JSON, not Go syntax
}

func (c cleaner) attrs(in []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(in))
	for i, a := range in {
		out[i] = slog.Attr{Key: c.redact(a.Key), Value: c.value(a.Value)}
	}
	return out
}

func (c cleaner) value(v slog.Value) slog.Value {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(c.redact(v.String()))
	case slog.KindGroup:
		return slog.GroupValue(c.attrs(v.Group())...)
	case slog.KindAny:
		return c.any(v.Any())
	}
	return v
}

// any renders a value of a type that slog does not know, in the form a reader
// expects of it. A panic in its methods, such as on a nil pointer, is the text.
func (c cleaner) any(v any) (out slog.Value) {
	defer func() {
		if p := recover(); p != nil {
			out = slog.StringValue(c.redact(fmt.Sprintf("!PANIC: %v", p)))
		}
	}()
	if v == nil {
		return slog.AnyValue(nil)
	}
	if text, ok := asText(v); ok {
		return slog.StringValue(c.redact(text))
	}
	if b, err := json.Marshal(v); c.json && err == nil {
		if clean := c.redact(string(b)); json.Valid([]byte(clean)) {
			return slog.AnyValue(json.RawMessage(clean))
		}
	}
	return slog.StringValue(c.redact(fmt.Sprintf("%+v", v)))
}

// asText returns the text of a value that says itself how it reads.
func asText(v any) (string, bool) {
	switch v := v.(type) {
	case error:
		return v.Error(), true
	case []byte:
		return string(v), true
	case json.RawMessage:
		return string(v), true
	case fmt.Stringer:
		return v.String(), true
	case encoding.TextMarshaler:
		b, err := v.MarshalText()
		return string(b), err == nil
	}
	return "", false
}
