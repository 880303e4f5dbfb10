package telemetry

import (
	"context"
	"io"
	"log/slog"
	"slices"
)

// Options say how a logger writes. The zero value writes text from level Info,
// unredacted.
type Options struct {
	Format string       // "json", or text
	Level  slog.Leveler // lines below are dropped; nil is Info
	Redact func(string) string
	// Message is Redact for messages, which are words of the program; nil: Redact.
	Message func(string) string
	Report  *Reporter // of lines of level error, as they are written; nil: nobody is told
}

// NewLogger returns a logger that writes to w.
func NewLogger(w io.Writer, o Options) *slog.Logger {
	h := &handler{clean: cleaner{redact: o.Redact}, report: o.Report}
	if h.clean.redact == nil {
		h.clean.redact = func(s string) string { return s }
	}
	if h.message = o.Message; h.message == nil {
		h.message = h.clean.redact
	}
	base := &slog.HandlerOptions{Level: o.Level}
	if o.Format == "json" {
		h.next, h.clean.json = slog.NewJSONHandler(w, base), true
	} else {
		h.next = slog.NewTextHandler(w, base)
	}
	return slog.New(h)
}

// handler builds each record anew, redacted and with the context's ids, for a
// handler that only formats. It keeps attributes and groups itself, instead of
// handing them on, so that the ids stay outside the groups.
type handler struct {
	next    slog.Handler
	clean   cleaner
	message func(string) string
	report  *Reporter
	scope   []scope // outermost first
}

// scope is what one call of WithGroup (name) or WithAttrs (attrs) added.
type scope struct {
	name  string
	attrs []slog.Attr
}

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return h.with(scope{attrs: slices.Clone(attrs)})
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(scope{name: name})
}

func (h *handler) with(s scope) *handler {
	child := *h
	child.scope = append(slices.Clip(h.scope), s)
	return &child
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, h.message(r.Message), r.PC)
	out.AddAttrs(h.clean.attrs(FromContext(ctx).attrs())...)
	out.AddAttrs(h.clean.attrs(h.nest(r))...)
	if h.report != nil && r.Level >= slog.LevelError {
		h.report.report(out.Clone())
	}
	return h.next.Handle(ctx, out)
}

// nest puts the record's attributes into the open groups.
func (h *handler) nest(r slog.Record) []slog.Attr {
	var attrs []slog.Attr
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs, a); return true })
	for _, s := range slices.Backward(h.scope) {
		if s.name == "" {
			attrs = slices.Concat(s.attrs, attrs)
		} else {
			attrs = []slog.Attr{{Key: s.name, Value: slog.GroupValue(attrs...)}}
		}
	}
	return attrs
}
