package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/guard/policy"
	"mgx/internal/sandbox/egress"
	"mgx/internal/tool"
	"mgx/internal/ui"
)

func (c *cli) policyTestCommand() *cobra.Command {
	var run string
	cmd := &cobra.Command{
		Use:   "test [FILE]",
		Short: "Say what a policy makes of calls, without making any",
		Long: `Says for each call what the policy makes of it, which rule decides, and why. The calls
are those of a recorded run (--run), or the lines of a file (- for standard input), each a
JSON object:

  {"tool": "shell", "arguments": {"command": "git push"}, "expect": "deny"}
  {"tool": "mcp__forge__comment", "effect": "write", "outside": true,
   "label": {"untrusted": true, "confidentiality": "private"}, "expect": "ask"}

("expect" may be left out.) The exit code is 1 when a call is not decided as expected.
Paths are taken as they are written: links are followed only when a call is really made.`,
		Example: `  mgx policy test calls.jsonl --policy ./mgx.policy
  mgx policy test --run 01K6 --policy ask`,
		Args: optionalArg("a file of calls"),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := c.policy(c.cfg.Policy)
			if err != nil {
				return err
			}
			rules, err := policy.Parse(info.Text)
			if err != nil {
				return err
			}
			switch {
			case (run == "") == (len(args) == 0):
				return usage("bad_arguments", "give the calls to try: a file, or --run RUN")
			case run != "":
				return c.tryRun(cmd.Context(), rules, run)
			}
			return c.tryFile(rules, args[0])
		},
	}
	cmd.Flags().String("policy", "auto", "`NAME|FILE` of the policy to try")
	cmd.Flags().StringVar(&run, "run", "", "try the calls of this `run`")
	return cmd
}

// tried is one call and what a policy made of it.
type triedCall struct {
	At string `json:"at"` // line of the file, or sequence in the run
	policy.Facts
	policy.Decision
	bad    string         // why it can only be refused
	Expect policy.Verdict `json:"expect,omitempty"`
}

// decide says what becomes of the call.
func (t *triedCall) decide(rules policy.Policy) {
	if t.Decision = rules.Decide(t.Facts); t.bad != "" {
		t.Decision = policy.Decision{Verdict: policy.Deny, Rule: "(arguments)", Why: t.bad}
	}
}

func (t triedCall) met() bool { return t.Expect == "" || t.Expect == t.Verdict }

func (c *cli) tryFile(rules policy.Policy, name string) error {
	in := c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return usage("unreadable_calls", "the calls cannot be read: %s", err)
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	failed, n := 0, 0
	for lines.Scan() {
		if n++; len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		t, err := readCall(lines.Bytes())
		if err != nil {
			return usage("bad_call", "line %d: %s", n, err)
		}
		t.At = fmt.Sprint(n)
		t.decide(rules)
		if err := c.sayTried(t); err != nil {
			return err
		}
		if !t.met() {
			failed++
		}
	}
	if err := lines.Err(); err != nil {
		return usage("unreadable_calls", "the calls cannot be read: %s", err)
	}
	c.sayKept(rules)
	if failed > 0 {
		return mgx.Errorf(mgx.KindGoal, "not_as_expected", "%d of the calls are not decided as expected", failed)
	}
	return nil
}

// readCall reads one line. What a built-in tool does follows from its arguments.
func readCall(line []byte) (triedCall, error) {
	var in struct {
		policy.Facts
		Arguments json.RawMessage `json:"arguments"`
		Expect    policy.Verdict  `json:"expect"`
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return triedCall{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return triedCall{}, errors.New("there is more than one JSON object")
	}
	verdicts := []policy.Verdict{"", policy.Allow, policy.Ask, policy.Deny}
	effects := []policy.Effect{policy.Read, policy.Write, policy.Execute, policy.Network, policy.Deliver}
	t := triedCall{Expect: in.Expect}
	t.Facts, t.bad = factsOf(in.Facts, in.Arguments)
	switch {
	case in.Tool == "":
		return t, errors.New(`a call needs a "tool"`)
	case !slices.Contains(verdicts, in.Expect):
		return t, errors.New(`"expect" takes allow, ask or deny`)
	case !slices.Contains(effects, t.Effect):
		return t, errors.New(`"effect" takes read, write, execute, network or deliver; it may be left out for built-in tools only`)
	}
	return t, nil
}

// factsOf adds what is known of a built-in tool, and why such a call can only be
// refused.
func factsOf(f policy.Facts, args json.RawMessage) (facts policy.Facts, bad string) {
	known, err := tool.ByName([]string{f.Tool})
	if err != nil {
		return f, ""
	}
	if f.Effect == "" {
		f.Effect = policy.Effect(known[0].Spec().Effect)
	}
	if len(args) > 0 {
		reach := tool.ReachOf(known[0], &tool.Workspace{}, args)
		f.Paths, f.Command, f.Hosts, f.Vague, bad = reach.Paths, reach.Command, reach.Hosts, reach.Vague, reach.Bad
	}
	return f, bad
}

// tryRun tries the calls that a run made, in its order. The plan counts as open
// until the run had one approved.
func (c *cli) tryRun(ctx context.Context, rules policy.Policy, name string) error {
	return c.withRun(ctx, name, func(ctx context.Context, n *node, run mgx.Run) error {
		if err := run.NotErased(); err != nil {
			return err
		}
		open, types := true, []string{string(mgx.ToolCalled), string(mgx.ApprovalDecided), string(mgx.RunDelivered)}
		hosts, err := egress.NewList(run.Settings.AllowHosts...)
		if err != nil {
			return err
		}
		for after := int64(0); ; {
			page, err := n.store.EventsAfter(ctx, run.Workspace, mgx.StreamID(run.ID), "", types, after, 500)
			if err != nil || len(page) == 0 {
				c.sayKept(rules)
				return err
			}
			for _, e := range page {
				if err := c.tryEvent(rules, e, hosts, &open); err != nil {
					return err
				}
				after = e.Position
			}
		}
	})
}

func (c *cli) tryEvent(rules policy.Policy, e mgx.Event, hosts *egress.List, open *bool) error {
	t, ok, err := recordedCall(e, open)
	if err != nil || !ok {
		return err
	}
	t.At, t.PlanOpen, t.Hosts = fmt.Sprint(e.Sequence), *open, hosts.Beyond(t.Hosts)
	t.decide(rules)
	return c.sayTried(t)
}

func recordedCall(e mgx.Event, open *bool) (t triedCall, ok bool, err error) {
	switch e.Type {
	case mgx.ApprovalDecided:
		var d mgx.ApprovalDecidedData
		err = e.Decode(&d)
		*open = *open && !(d.Approved && d.ApprovalID == "decision/plan")
	case mgx.ToolCalled:
		var d mgx.ToolCallData
		if err = e.Decode(&d); err != nil || d.Effect == "" || d.Effect == string(tool.Control) {
			return t, false, err
		}
		f := policy.Facts{Tool: d.Name, Effect: policy.Effect(d.Effect), Role: d.AgentRole, Outside: strings.HasPrefix(d.Name, "mcp__"), Vague: true}
		if d.Label != nil {
			f.Label = *d.Label
		}
		t.Facts, t.bad = factsOf(f, json.RawMessage(d.Arguments))
		ok = true
	case mgx.RunDelivered:
		t.Facts, ok = policy.Facts{Tool: "deliver_branch", Effect: policy.Deliver, Own: true}, true
	}
	return t, ok, err
}

func (c *cli) sayTried(t triedCall) error {
	if c.json {
		return printJSON(c, t)
	}
	not := ""
	if !t.met() {
		not = ", expected " + string(t.Expect)
	}
	what := t.Command
	if what == "" {
		what = strings.Join(append(slices.Clone(t.Paths), t.Hosts...), " ")
	}
	_, err := fmt.Fprintf(c.out, "%s: %s%s: %s %s\n    %s\n    because %s\n", t.At, t.Verdict, not, ui.Text(t.Tool), ui.Text(firstLine(what)), ui.Text(t.Rule), ui.Text(t.Why))
	return err
}

func firstLine(s string) string {
	line, more, _ := strings.Cut(s, "\n")
	if more != "" {
		line += " …"
	}
	return line
}

// sayKept tells what a sandbox keeps from programs under a policy, and what it
// cannot.
func (c *cli) sayKept(rules policy.Policy) {
	if c.json {
		return
	}
	for _, k := range rules.Kept(policy.Facts{Tool: "shell", Effect: policy.Execute}) {
		how := "hidden from programs, with the repository's history"
		if k.Write {
			how = "read-only for programs"
		}
		fmt.Fprintf(c.err, "%s: %s, in a sandbox of level basic or full; at other levels no program runs\n", ui.Text(k.Path), how)
	}
	if slices.ContainsFunc(rules.Rules, func(r policy.Rule) bool { return r.Verdict == policy.Allow && len(r.Paths) > 0 }) {
		fmt.Fprintln(c.err, "Rules that allow paths are about the tools for files; programs are kept from a path by a rule that denies it or asks.")
	}
}
