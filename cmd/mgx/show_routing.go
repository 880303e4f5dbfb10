package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"mgx"
	"mgx/internal/ui"
)

// routed is one line of `mgx show --routing`: a call that was answered, an
// attempt that failed, or a change of model.
type routed struct {
	Sequence int64                     `json:"sequence"`
	Step     string                    `json:"step,omitempty"`
	Role     string                    `json:"role,omitempty"`
	Kind     string                    `json:"kind"` // call, error, fallback
	Model    string                    `json:"model"`
	Call     *mgx.LLMCallData          `json:"call,omitempty"`
	Error    *mgx.ProviderErrorData    `json:"error,omitempty"`
	Fallback *mgx.ProviderFallbackData `json:"fallback,omitempty"`
}

// showRouting says of every model call of a run where it went, and why.
func (c *cli) showRouting(ctx context.Context, r runs, run mgx.Run) error {
	var all []routed
	for e, err := range r.Events(ctx, run) {
		if err != nil {
			return err
		}
		if r, ok := routedOf(e); ok {
			all = append(all, r)
		}
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		c.tell("%s made no model call yet.\n", run.ID)
		return nil
	}
	return c.routingTable(all)
}

func routedOf(e mgx.Event) (routed, bool) {
	r := routed{Sequence: e.Sequence, Role: string(e.Agent)}
	switch e.Type {
	case mgx.LLMCallCompleted:
		r.Kind, r.Call = "call", &mgx.LLMCallData{}
		if e.Decode(r.Call) != nil {
			return r, false
		}
		r.Step, r.Role, r.Model = r.Call.Step, r.Call.AgentRole, r.Call.Provider+"/"+r.Call.Model
		if r.Call.Routing != nil {
			r.Model = r.Call.Routing.Chosen
		}
	case mgx.LLMProviderError:
		r.Kind, r.Error = "error", &mgx.ProviderErrorData{}
		if e.Decode(r.Error) != nil {
			return r, false
		}
		r.Model = r.Error.Provider + "/" + r.Error.Model
	case mgx.LLMProviderFallback:
		r.Kind, r.Fallback = "fallback", &mgx.ProviderFallbackData{}
		if e.Decode(r.Fallback) != nil {
			return r, false
		}
		r.Step, r.Role, r.Model = r.Fallback.Step, r.Fallback.AgentRole, r.Fallback.To
	default:
		return r, false
	}
	return r, true
}

func (c *cli) routingTable(all []routed) error {
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "#\tWHO\tWHAT\tMODEL\tWHY")
	for _, r := range all {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", r.Sequence, ui.Text(r.Role), r.what(), ui.Text(r.Model), ui.Text(r.why()))
		if r.Call == nil || r.Call.Routing == nil {
			continue
		}
		for _, p := range r.Call.Routing.Passed {
			fmt.Fprintf(w, "\t\t  not\t%s\t%s\n", ui.Text(p.Model), ui.Text(p.Why))
		}
	}
	return w.Flush()
}

func (r routed) what() string {
	switch {
	case r.Kind == "error":
		return "failed"
	case r.Kind == "call" && r.Call.Cached:
		return "kept answer"
	case r.Kind == "call":
		return "answered"
	}
	return r.Kind
}

func (r routed) why() string {
	switch {
	case r.Error != nil:
		next := "gave up"
		if r.Error.Retrying {
			next = "tried again"
		} else if r.Error.Fallback != "" {
			next = "went to " + r.Error.Fallback
		}
		return fmt.Sprintf("%s: %s; %s", r.Error.ErrorType, r.Error.Message, next)
	case r.Fallback != nil:
		return fmt.Sprintf("%s of %s: %s", r.Fallback.Reason, r.Fallback.From, r.Fallback.Message)
	case r.Call.Routing == nil:
		return "it was asked for"
	}
	d := r.Call.Routing
	text := fmt.Sprintf("%s by %s: %s", d.Policy, d.Strategy, d.Why)
	if d.Override != "" {
		text = fmt.Sprintf("%s (%s) by %s: %s", d.Policy, d.Override, d.Strategy, d.Why)
	}
	return text
}
