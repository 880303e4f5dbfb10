package team

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/agent"
	"mgx/internal/guard/policy"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// Outside are the servers of tools that a run was given. It connects them when
// they are first needed.
type Outside interface {
	// Offer says what there is, and what there is but not for this run.
	Offer(ctx context.Context) (tool.Offer, error)
	// Call calls a tool as it was offered. One that is another by now is refused,
	// and alarm hears of it. The error is for what is not the model's business.
	Call(ctx context.Context, ws *tool.Workspace, f tool.Foreign, args json.RawMessage, alarm func(mgx.SuspicionData)) (tool.Result, error)
	Close() error
}

// Beyond reports whether a tool of a server acts beyond the sandbox or sends there what
// it is given. A program in the sandbox whose tool only reads does neither.
func Beyond(s mgx.RunSettings, name string, effect policy.Effect) bool {
	if !strings.HasPrefix(name, "mcp__") {
		return false
	}
	inside := false
	for _, m := range s.MCP {
		if !strings.HasPrefix(name, "mcp__"+m.Name+"__") {
			continue
		}
		if inside = m.URL == ""; !inside {
			break
		}
	}
	return effect != policy.Read || !inside
}

// ignoredConfig is where a repository would name servers. It has no say in that.
const ignoredConfig = ".mcp.json"

// outside asks the run's servers what they offer. It is recorded with what else
// the run knows beforehand, so later turns and replays see the same tools and need
// no server for that.
func (r *run) outside(s *workflow.StepContext) ([]tool.Foreign, error) {
	if exists(r.site.Files.Root, ignoredConfig) {
		s.Emit(s.Scope().Event(mgx.RunNoted, mgx.NotedData{
			Level: "info",
			Text:  "The repository has a .mcp.json. It is ignored: which servers an agent may call is for you to say, with --mcp.",
		}))
	}
	if r.site.Outside == nil {
		return nil, nil
	}
	if r.rules.Hides() && slices.ContainsFunc(r.in.Settings.MCP, func(m mgx.MCPServer) bool { return m.URL == "" }) {
		s.Emit(s.Scope().Event(mgx.RunNoted, mgx.NotedData{
			Level: "info",
			Text:  "The policy of this run hides paths from programs, so MCP servers that are programs find an empty workspace.",
		}))
	}
	offer, err := r.site.Outside.Offer(s)
	if err != nil {
		return nil, err
	}
	const told = 50
	for _, no := range offer.Refused[:min(told, len(offer.Refused))] {
		s.Emit(s.Scope().Event(mgx.RunNoted, mgx.NotedData{Level: "warning", Text: bounded(no.Why, 4000)}))
		if no.Changed {
			alarm(s)(mgx.SuspicionData{Severity: "high", Actor: string(s.Scope().Run), What: "tampering", Detail: bounded(no.Why, 1000), Blocked: true})
		}
	}
	for _, f := range offer.Tools {
		r.suspect(s, f.Description, "The description of the tool "+f.Name, f.Name)
	}
	return offer.Tools, nil
}

// alarm records suspicions with the step.
func alarm(s *workflow.StepContext) func(mgx.SuspicionData) {
	return func(d mgx.SuspicionData) { s.Emit(s.Scope().Event(mgx.SuspiciousActivity, d)) }
}

// foreign is a tool outside in the hands of an agent of this run.
type foreign struct {
	tool.Foreign
	run   *run
	again bool // the call was begun by a process that died
}

const interrupted = "This call was interrupted after it may have been sent, when MGX was stopped. Whether it took effect is not known, so it was not sent again. Find out, and call again if it did not."

func (f foreign) Call(ctx context.Context, ws *tool.Workspace, args json.RawMessage) (tool.Result, error) {
	s, ok := ctx.(*workflow.StepContext)
	switch {
	case f.again:
		return tool.Result{Status: tool.Failure, Text: interrupted}, nil
	case !ok, f.run.site.Outside == nil:
		return tool.Result{Status: tool.Failure, Text: "The servers of this run cannot be reached from here. Nothing was called."}, nil
	}
	return f.run.site.Outside.Call(s, ws, f.Foreign, args, alarm(s))
}

// foreign sorts the tools outside into those an agent gets and those it is
// refused. One that may change nothing gets those that only look, here or
// elsewhere, by the operator's word.
func (r *run) foreign(readOnly bool) (tools []tool.Tool, forbidden []string) {
	for _, f := range r.prep.Foreign {
		if readOnly && f.Effect != tool.Read && f.Effect != tool.Network {
			forbidden = append(forbidden, f.Name)
			continue
		}
		tools = append(tools, foreign{Foreign: f, run: r})
	}
	return tools, forbidden
}

// once records that a call is about to leave, before it does. When the record is
// found to be of another process, that process died during the call: what the
// call did is not known, and it is not made again.
func (h host) once(step string, call agent.Call) (agent.Call, error) {
	f, ok := call.Tool.(foreign)
	if !ok || f.Effect == tool.Read || call.Denied != "" {
		return call, nil
	}
	by, err := workflow.Step(h.c, step+"/begun", []string{call.Name, string(call.Args)}, func(*workflow.StepContext) (string, error) {
		return h.r.process, nil
	}, workflow.Quiet())
	f.again = by != h.r.process
	call.Tool = f
	return call, err
}

// offered is what a role has for this agent, with the tools outside where it has
// tools at all.
func (r *run) offered(role Role, readOnly bool) (tools []tool.Tool, controls []tool.Spec, forbidden []string, err error) {
	tools, controls, forbidden, err = role.gear()
	if err != nil || len(tools) == 0 {
		return tools, controls, forbidden, err
	}
	more, not := r.foreign(readOnly)
	return slices.Concat(tools, more), controls, slices.Concat(forbidden, not), nil
}
