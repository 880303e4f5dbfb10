package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/guard/policy"
	"mgx/internal/team"
)

// PolicyVerdict is what a policy makes of a call: allow, ask or deny.
type PolicyVerdict = policy.Verdict

// TryCall is one of several calls that a policy is tried on.
type TryCall struct {
	Call
	At     string         // how whoever asks names it: the line of a file
	Expect policy.Verdict // what it should come to; empty: whatever it does
}

// TriedCall is a call and what a policy makes of it.
type TriedCall struct {
	At string `json:"at" doc:"The number of the call, or its sequence in the run"`
	policy.Facts
	policy.Decision
	Expect policy.Verdict `json:"expect,omitempty" doc:"What was expected of it"`
}

// Met reports whether it came to what was expected.
func (t TriedCall) Met() bool { return t.Expect == "" || t.Expect == t.Verdict }

// KeptPath is what a policy keeps from the programs of a run.
type KeptPath struct {
	Path  string `json:"path" doc:"A pattern of paths"`
	Write bool   `json:"write,omitempty" doc:"Programs read it, and do not write it"`
}

// TriedCalls are calls and what a policy makes of them.
type TriedCalls struct {
	Calls       []TriedCall `json:"calls" doc:"In the order in which they were made"`
	Kept        []KeptPath  `json:"kept" doc:"What the policy keeps from programs, whatever they are called by"`
	AllowsPaths bool        `json:"allows_paths,omitempty" doc:"It has rules that allow paths, which are about the tools for files and not about programs"`
	Next        string      `json:"next_page_token,omitempty" doc:"Of the next page, if there is one"`
}

// MostTried bounds the calls that are tried at once.
const MostTried = 500

// TryAll says what a policy makes of each of several calls. Either all are sound, or
// none is tried.
func (t Trial) TryAll(name, text string, calls []TryCall) (TriedCalls, error) {
	rules, err := rulesOf(name, text)
	if err != nil {
		return TriedCalls{}, err
	}
	out, e := newTried(rules), newEffort(rules)
	for i, c := range calls {
		if err := e.take(c.Call); err != nil {
			return TriedCalls{}, err
		}
		if c.At == "" {
			c.At = strconv.Itoa(i + 1)
		}
		f, args, err := t.facts(c.Call)
		if err == nil && !slices.Contains(verdicts, c.Expect) {
			err = badCall(`"expect" takes allow, ask or deny`)
		}
		if err != nil {
			return TriedCalls{}, badCall("line %s: %s", c.At, mgx.AsError(err).Message)
		}
		out.Calls = append(out.Calls, TriedCall{c.At, f, decide(rules, f, args), c.Expect})
	}
	return out, nil
}

// mostSteps bounds what is compared with each other in one trial, in bytes of rules
// times bytes of calls: some seconds of work.
const mostSteps = 2_000_000_000

// effort counts what trying calls takes at most.
type effort struct {
	wide, left int64 // bytes of the rules; steps
}

func newEffort(rules policy.Policy) *effort {
	e := &effort{wide: 1, left: mostSteps}
	for _, r := range rules.Rules {
		e.wide += int64(len(r.String()))
	}
	return e
}

// take refuses a call that is too much.
func (e *effort) take(c Call) error {
	long := int64(len(c.Command) + len(c.Arguments) + 1)
	for _, s := range slices.Concat(c.Paths, c.Hosts) {
		long += int64(len(s) + 1)
	}
	if e.left -= e.wide * long; e.left < 0 {
		return mgx.Errorf(mgx.KindUsage, "bad_trial", "the policy is too long for so many calls with such long paths and commands; try some of them at a time")
	}
	return nil
}

var (
	verdicts = []policy.Verdict{"", policy.Allow, policy.Ask, policy.Deny}
	effects  = []policy.Effect{policy.Read, policy.Write, policy.Execute, policy.Network, policy.Deliver}
)

func badCall(format string, args ...any) error {
	return mgx.Errorf(mgx.KindUsage, "bad_call", format, args...)
}

// rulesOf reads a policy: a built-in one by its name, or the text of one.
func rulesOf(name, text string) (policy.Policy, error) {
	if (name == "") == (text == "") {
		return policy.Policy{}, mgx.Errorf(mgx.KindUsage, "bad_trial", "name a built-in policy, or send the text of one")
	}
	if text == "" {
		p, err := Policy(name)
		if err != nil {
			return policy.Policy{}, err
		}
		text = p.Text
	}
	return policy.Parse(text)
}

func newTried(rules policy.Policy) TriedCalls {
	out := TriedCalls{Calls: []TriedCall{}, Kept: []KeptPath{}}
	for _, k := range rules.Kept(policy.Facts{Tool: "shell", Effect: policy.Execute}) {
		out.Kept = append(out.Kept, KeptPath{k.Path, k.Write})
	}
	out.AllowsPaths = slices.ContainsFunc(rules.Rules, func(r policy.Rule) bool { return r.Verdict == policy.Allow && len(r.Paths) > 0 })
	return out
}

// facts are what is known of a call.
func (t Trial) facts(c Call) (f policy.Facts, args Taken, err error) {
	f = policy.Facts{
		Tool: c.Tool, Effect: policy.Effect(c.Effect), Role: c.Role, Paths: c.Paths, Command: c.Command, Hosts: c.Hosts,
		Label: c.Label, Outside: c.Outside, Vague: c.Vague, PlanOpen: c.PlanOpen, Own: c.Own, Sh: c.Tool == team.CheckTool,
	}
	if t.Facts != nil {
		f, args = t.Facts(f, c.Arguments)
	}
	switch {
	case f.Tool == "":
		return f, args, badCall(`a call needs a "tool"`)
	case !slices.Contains(effects, f.Effect):
		return f, args, badCall(`"effect" takes read, write, execute, network or deliver; it may be left out for built-in tools only`)
	}
	return f, args, nil
}

func decide(rules policy.Policy, f policy.Facts, args Taken) policy.Decision {
	if args.Refused != "" {
		return policy.Decision{Verdict: policy.Deny, Rule: "(arguments)", Why: args.Refused}
	}
	d := rules.Decide(f)
	if args.Repaired {
		d.Why += " (of the arguments as a run repairs them)"
	}
	return d
}

// TryQuery says which calls of a run a policy is tried on.
type TryQuery struct {
	Policy, Text string // a built-in policy by its name, or the text of one
	After        string // page token; empty: from the start
	Limit        int    // events of the run that a page is made of; 0: the default, at most MaxPage
}

// triedTypes are the events of a run that say what it called, and what that came
// under.
var triedTypes = []string{string(mgx.ToolCalled), string(mgx.ApprovalDecided), string(mgx.RunChecksCompleted), string(mgx.RunDelivered)}

// TryRun says what a policy makes of the calls that a run made, in its order. The
// plan counts as open until the run had one approved. A page may have no calls and
// still have a next.
func (w *Work) TryRun(ctx context.Context, actor access.Actor, t Trial, id mgx.RunID, q TryQuery) (TriedCalls, error) {
	run, err := w.run(ctx, actor, "read", id)
	if err != nil {
		return TriedCalls{}, err
	}
	if err := run.NotErased(); err != nil {
		return TriedCalls{}, err
	}
	rules, err := rulesOf(q.Policy, q.Text)
	if err != nil {
		return TriedCalls{}, err
	}
	after, open, err := readTryToken(q.After)
	if err != nil {
		return TriedCalls{}, err
	}
	limit := pageSize(q.Limit)
	events, err := w.o.Store.EventsAfter(ctx, run.Workspace, mgx.StreamID(run.ID), "", triedTypes, after, limit)
	if err != nil {
		return TriedCalls{}, err
	}
	out := newTried(rules)
	for _, e := range events {
		after = e.Position
		checks, err := checksIn(e, run.Settings, open)
		if err != nil {
			return TriedCalls{}, err
		}
		for _, f := range checks {
			out.Calls = append(out.Calls, TriedCall{At: strconv.FormatInt(e.Sequence, 10), Facts: f, Decision: rules.Decide(f)})
		}
		f, args, ok, err := t.recorded(e, run.Settings, &open)
		if err != nil {
			return TriedCalls{}, err
		}
		if ok {
			out.Calls = append(out.Calls, TriedCall{At: strconv.FormatInt(e.Sequence, 10), Facts: f, Decision: decide(rules, f, args)})
		}
	}
	if len(events) == limit {
		out.Next = tokenOf(strconv.FormatInt(after, 10), strconv.FormatBool(open))
	}
	return out, nil
}

// readTryToken reads where a page begins, and whether the plan is open there.
func readTryToken(token string) (after int64, open bool, err error) {
	parts, err := readToken(token, 2)
	if err != nil || token == "" {
		return 0, true, err
	}
	after, err = strconv.ParseInt(parts[0], 10, 64)
	open, bad := strconv.ParseBool(parts[1])
	if err != nil || bad != nil || after < 0 {
		return 0, false, badToken()
	}
	return after, open, nil
}

// checksIn are the facts of the checks that an event tells of, each once in a run.
func checksIn(e mgx.Event, s mgx.RunSettings, open bool) (all []policy.Facts, err error) {
	var d mgx.ChecksData
	if e.Type != mgx.RunChecksCompleted {
		return nil, nil
	}
	if err := e.Decode(&d); err != nil || d.Round != "baseline" {
		return nil, err
	}
	for _, c := range d.Checks {
		all = append(all, policy.Facts{
			Tool: team.CheckTool, Effect: policy.Execute, Command: c.Command, Sh: true, PlanOpen: open, Named: len(s.Checks) > 0,
			Label: mgx.Label{Untrusted: true, Secrecy: mgx.Private, Sources: []string{mgx.SourceProgram, mgx.SourceRepository}},
		})
	}
	return all, nil
}

// recorded are the facts of a call that an event tells of. What it cannot hold whole it
// has cut: then its arguments are not known.
func (t Trial) recorded(e mgx.Event, s mgx.RunSettings, open *bool) (f policy.Facts, args Taken, ok bool, err error) {
	switch e.Type {
	case mgx.ApprovalDecided:
		var d mgx.ApprovalDecidedData
		err = e.Decode(&d)
		*open = *open && !(d.Approved && d.ApprovalID == "decision/plan")
	case mgx.ToolCalled:
		var d mgx.ToolCallData
		if err = e.Decode(&d); err != nil || !slices.Contains(effects, policy.Effect(d.Effect)) {
			return f, args, false, err
		}
		f = policy.Facts{Tool: d.Name, Effect: policy.Effect(d.Effect), Role: d.AgentRole, Vague: true}
		f.Outside = team.Beyond(s, f.Tool, f.Effect)
		if d.Label != nil {
			f.Label = *d.Label
		}
		if t.Facts != nil && json.Valid([]byte(d.Arguments)) {
			f, args = t.Facts(f, json.RawMessage(d.Arguments))
		}
		ok = true
	case mgx.RunDelivered:
		f, ok = policy.Facts{Tool: "deliver_branch", Effect: policy.Deliver, Own: true}, true
	}
	if f.PlanOpen = *open; ok && t.Beyond != nil {
		if f.Hosts, err = t.Beyond(s.AllowHosts, f.Hosts); err != nil {
			return f, args, false, fmt.Errorf("app: the hosts that the run reaches: %w", err)
		}
	}
	return f, args, ok, err
}
