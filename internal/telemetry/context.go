package telemetry

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
)

// IDs say what a line of log is about. Empty ones are not known and not written.
type IDs struct {
	Workspace, Task, Run, Step, Agent string
	Trace                             string // 32 hex digits, see [NewTrace]
}

type idsKey struct{}

// With returns a context whose log lines carry ids; those that are empty keep
// the value that ctx has.
func With(ctx context.Context, ids IDs) context.Context {
	old := FromContext(ctx)
	return context.WithValue(ctx, idsKey{}, IDs{
		Workspace: cmp.Or(ids.Workspace, old.Workspace),
		Task:      cmp.Or(ids.Task, old.Task),
		Run:       cmp.Or(ids.Run, old.Run),
		Step:      cmp.Or(ids.Step, old.Step),
		Agent:     cmp.Or(ids.Agent, old.Agent),
		Trace:     cmp.Or(ids.Trace, old.Trace),
	})
}

// FromContext returns the ids that ctx carries.
func FromContext(ctx context.Context) IDs {
	ids, _ := ctx.Value(idsKey{}).(IDs)
	return ids
}

// attrs names the known ids as events do.
func (ids IDs) attrs() []slog.Attr {
	all := []slog.Attr{
		slog.String("workspace_id", ids.Workspace),
		slog.String("task_id", ids.Task),
		slog.String("run_id", ids.Run),
		slog.String("step", ids.Step),
		slog.String("agent_id", ids.Agent),
		slog.String("trace_id", ids.Trace),
	}
	known := all[:0]
	for _, a := range all {
		if a.Value.String() != "" {
			known = append(known, a)
		}
	}
	return known
}

// NewTrace starts a trace: its id, and the traceparent that carries it across
// process boundaries (https://www.w3.org/TR/trace-context/, version 00, sampled).
func NewTrace() (traceID, traceparent string) {
	var id [24]byte
	rand.Read(id[:]) // never fails, and is not all zero in this universe
	traceID = hex.EncodeToString(id[:16])
	return traceID, "00-" + traceID + "-" + hex.EncodeToString(id[16:]) + "-01"
}
