package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"

	"mgx/internal/api"
	"mgx/internal/telemetry"
)

// logRequest writes the line of a request: what it was by the pattern of its route,
// never by its path or query, in which callers write what they like. Requests that
// come all the time are written at level debug. docs/reference/logs.md has the names.
func (n *node) logRequest(ctx context.Context, r api.Request) {
	level := slog.LevelInfo
	switch {
	case r.Status >= http.StatusInternalServerError && !strings.HasPrefix(r.Route, "/health/"): // that says of itself why
		level = slog.LevelWarn
	case strings.HasPrefix(r.Route, "/health/"), r.Route == "/metrics":
		level = slog.LevelDebug
	}
	if !n.log.Enabled(ctx, level) {
		return
	}
	line := []slog.Attr{
		slog.String("request_id", r.ID),
		slog.String("method", r.Method),
		slog.String("route", cmp.Or(r.Route, "none")),
		slog.Int("status", r.Status),
		slog.Int64("bytes", r.Bytes),
		slog.Float64("duration_ms", float64(r.Took.Microseconds())/1000),
	}
	if id := r.Actor.ID(); id != "" {
		line = append(line, slog.String("actor_id", id))
	}
	if r.Problem != "" {
		line = append(line, slog.String("code", r.Problem))
	}
	ctx = telemetry.With(context.WithoutCancel(ctx), telemetry.IDs{Trace: r.Trace, Workspace: string(r.Actor.Workspace)})
	n.log.LogAttrs(ctx, level, "request", line...)
}
