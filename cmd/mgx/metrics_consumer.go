package main

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"mgx"
	"mgx/internal/event"
)

// consumers are the readers of the log that this process works for, as far as
// others leave them to it.
func (n *node) consumers() []event.Consumer {
	return []event.Consumer{n.meters.consumer()}
}

// consume works for them until ctx ends.
func (n *node) consume(ctx context.Context, contracts *event.Registry, alive func(string) bool) {
	event.Consume(ctx, event.ConsumeOptions{Store: n.store, Contracts: contracts, Log: n.log, Owner: n.owner.id, Alive: alive}, n.consumers()...)
}

// consumer counts what happens in runs, whoever works on them. Of all processes
// one counts each event, so that sums over processes are right; like all counters
// these begin at zero with their process.
func (m *meters) consumer() event.Consumer {
	return event.Consumer{
		Name: "metrics", FromHead: true,
		Types: []string{string(mgx.TaskCompleted), string(mgx.TaskFailed), string(mgx.TaskCancelled), string(mgx.ToolReturned), string(mgx.LLMCallCompleted)},
		Handle: func(_ context.Context, e mgx.Event) (mgx.Change, error) {
			if err := m.countEvent(e); err != nil {
				return mgx.Change{}, event.GiveUp(err)
			}
			return mgx.Change{}, nil
		},
	}
}

func (m *meters) countEvent(e mgx.Event) error {
	switch e.Type {
	case mgx.TaskCompleted:
		var d mgx.TaskCompletedData
		if err := e.Decode(&d); err != nil {
			return err
		}
		m.count("mgx.run.ended", 1, attribute.String("outcome", "completed"))
		m.record("mgx.run.duration", float64(d.DurationMS)/1000)
	case mgx.TaskFailed:
		var d mgx.TaskErrorData
		if err := e.Decode(&d); err != nil {
			return err
		}
		m.count("mgx.run.ended", 1, attribute.String("outcome", d.ErrorType))
	case mgx.TaskCancelled:
		m.count("mgx.run.ended", 1, attribute.String("outcome", "cancelled"))
	case mgx.ToolReturned:
		var d mgx.ToolResultData
		if err := e.Decode(&d); err != nil {
			return err
		}
		m.count("mgx.run.tools", 1, attribute.String("tool", label(d.Name)), attribute.String("status", d.Status))
	case mgx.LLMCallCompleted:
		var d mgx.LLMCallData
		if err := e.Decode(&d); err != nil {
			return err
		}
		m.count("mgx.run.cost", d.CostUSD.Dollars(), attribute.String("provider", label(d.Provider)), attribute.String("model", label(d.Model)))
	}
	return nil
}

// label is a value that models or people have chosen, bounded. How many there are
// in a metric is bounded by its provider.
func label(s string) string {
	if len(s) > 100 {
		s = s[:100]
	}
	return strings.ToValidUTF8(s, "_")
}
