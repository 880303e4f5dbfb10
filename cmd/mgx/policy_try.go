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
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
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
  {"tool": "check", "effect": "execute", "command": "make test", "expect": "allow"}

("expect" may be left out. The last is a check that the repository's files name; one that a
person names with --check is only ever allowed or denied.) The exit code is 1 when a call is
not decided as expected. Arguments are taken as a run takes them: what it repairs is
repaired, and it is said; what it refuses is denied. Paths are taken as they are written:
links are followed only when a call is really made.`,
		Example: `  mgx policy test calls.jsonl --policy ../mgx.policy
  mgx policy test --run 01K6 --policy ask`,
		Args: optionalArg("a file of calls"),
		RunE: func(cmd *cobra.Command, args []string) error {
			named, err := namePolicy(c.cfg.Policy)
			if err != nil {
				return err
			}
			switch {
			case (run == "") == (len(args) == 0):
				return usage("bad_arguments", "give the calls to try: a file, or --run RUN")
			case run != "":
				return c.tryRun(cmd.Context(), named, run)
			}
			return c.tryFile(cmd.Context(), named, args[0])
		},
	}
	cmd.Flags().String("policy", "auto", "`NAME|FILE` of the policy to try")
	cmd.Flags().StringVar(&run, "run", "", "try the calls of this `run`")
	return cmd
}

// namedPolicy is a built-in policy by its name, or the text of one.
type namedPolicy struct{ name, text string }

func namePolicy(name string) (namedPolicy, error) {
	text, err := policyText(name)
	if err != nil {
		return namedPolicy{}, err
	}
	if _, builtin := policy.Text(name); builtin {
		return namedPolicy{name: name}, nil
	}
	if strings.TrimSpace(text) == "" {
		text = "\n" // a policy without rules is one, too
	}
	return namedPolicy{text: text}, nil
}

// trial tries policies with what this program knows of its tools.
func trial() app.Trial {
	return app.Trial{Facts: factsOf, Beyond: func(allowed, hosts []string) ([]string, error) {
		list, err := egress.NewList(allowed...)
		if err != nil {
			return nil, err
		}
		return list.Beyond(hosts), nil
	}}
}

// Bounds of the calls that are tried at once.
const (
	callsAtOnce = 200
	bytesAtOnce = 512 << 10
)

func (c *cli) tryFile(ctx context.Context, p namedPolicy, name string) error {
	in := c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return usage("unreadable_calls", "the calls cannot be read: %s", err)
		}
		defer f.Close()
		in = f
	}
	try, err := c.tryCalls()
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	var calls []client.TryCall
	var last app.TriedCalls
	failed, n, size := 0, 0, 0
	flush := func() (err error) {
		if last, err = try(ctx, p, calls); err != nil {
			return err
		}
		calls, size = nil, 0
		for _, t := range last.Calls {
			if !t.Met() {
				failed++
			}
			if err := c.sayTried(t); err != nil {
				return err
			}
		}
		return nil
	}
	for lines.Scan() {
		if n++; len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		call, err := readCall(lines.Bytes())
		if err != nil {
			return usage("bad_call", "line %d: %s", n, err)
		}
		call.At = strconv.Itoa(n)
		calls, size = append(calls, call), size+len(lines.Bytes())
		if len(calls) == callsAtOnce || size >= bytesAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return usage("unreadable_calls", "the calls cannot be read: %s", err)
	}
	if err := flush(); err != nil {
		return err
	}
	c.sayKept(last)
	if failed > 0 {
		return mgx.Errorf(mgx.KindGoal, "not_as_expected", "%d of the calls are not decided as expected", failed)
	}
	return nil
}

// tryCalls tries calls where the command works. Here that needs no data directory.
func (c *cli) tryCalls() (func(context.Context, namedPolicy, []client.TryCall) (app.TriedCalls, error), error) {
	if c.at.server != "" {
		remote, err := c.remote(c.at)
		return func(ctx context.Context, p namedPolicy, calls []client.TryCall) (app.TriedCalls, error) {
			said, err := remote.Policies().Try(ctx, client.TriedPolicy{Policy: p.name, Text: p.text}, calls)
			return triedThere(said), err
		}, err
	}
	return func(_ context.Context, p namedPolicy, calls []client.TryCall) (app.TriedCalls, error) {
		all := make([]app.TryCall, len(calls))
		for i, call := range calls {
			all[i] = app.TryCall{At: call.At, Expect: policy.Verdict(call.Expect), Call: app.Call{
				Tool: call.Tool, Effect: call.Effect, Role: call.Role, Paths: call.Paths, Command: call.Command, Hosts: call.Hosts, Label: call.Label,
				Outside: call.Outside, Vague: call.Vague, PlanOpen: call.PlanOpen, Own: call.Own, Arguments: call.Arguments,
			}}
		}
		return trial().TryAll(p.name, p.text, all)
	}, nil
}

// triedThere is what a server says of calls, as the use cases have it.
func triedThere(said client.TriedCalls) app.TriedCalls {
	out := app.TriedCalls{AllowsPaths: said.AllowsPaths, Next: said.Next}
	for _, k := range said.Kept {
		out.Kept = append(out.Kept, app.KeptPath(k))
	}
	for _, t := range said.Calls {
		out.Calls = append(out.Calls, app.TriedCall{
			At: t.At, Expect: policy.Verdict(t.Expect),
			Facts: policy.Facts{
				Tool: t.Tool, Effect: policy.Effect(t.Effect), Role: t.Role, Paths: t.Paths, Command: t.Command, Hosts: t.Hosts, Label: t.Label,
				Outside: t.Outside, Vague: t.Vague, PlanOpen: t.PlanOpen, Own: t.Own,
			},
			Decision: policy.Decision{Verdict: policy.Verdict(t.Verdict), Rule: t.Rule, Why: t.Why, Unanswered: t.Unanswered},
		})
	}
	return out
}

// readCall reads one line.
func readCall(line []byte) (call client.TryCall, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&call); err != nil {
		return call, mgx.JSONFault(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return call, errors.New("there is more than one JSON object")
	}
	return call, nil
}

// factsOf adds what is known of a built-in tool.
func factsOf(f policy.Facts, args json.RawMessage) (policy.Facts, app.Taken) {
	known, err := tool.ByName([]string{f.Tool})
	if err != nil {
		return f, app.Taken{}
	}
	spec := known[0].Spec()
	if f.Effect == "" {
		f.Effect = policy.Effect(spec.Effect)
	}
	if len(args) == 0 {
		return f, app.Taken{}
	}
	parsed, err := tool.ParseArgs(spec, string(args))
	if err != nil {
		return f, app.Taken{Refused: mgx.AsError(err).Message}
	}
	reach := tool.ReachOf(known[0], &tool.Workspace{}, parsed)
	f.Paths, f.Command, f.Hosts, f.Vague = reach.Paths, reach.Command, reach.Hosts, reach.Vague
	return f, app.Taken{Repaired: !sameJSON(args, parsed), Refused: reach.Bad}
}

// sameJSON reports whether two texts are the same JSON.
func sameJSON(a, b json.RawMessage) bool {
	x, errA := policy.Canonical(a)
	y, errB := policy.Canonical(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

// tryRun tries the calls that a run made.
func (c *cli) tryRun(ctx context.Context, p namedPolicy, name string) error {
	return c.withRunOf(ctx, name, func(ctx context.Context, r runs, run mgx.Run) error {
		for page := ""; ; {
			tried, err := r.Try(ctx, run.ID, p, page)
			if err != nil {
				return err
			}
			for _, t := range tried.Calls {
				if err := c.sayTried(t); err != nil {
					return err
				}
			}
			if tried.Next == "" || tried.Next == page {
				c.sayKept(tried)
				return nil
			}
			page = tried.Next
		}
	})
}

func (o ownRuns) Try(ctx context.Context, id mgx.RunID, p namedPolicy, page string) (app.TriedCalls, error) {
	return o.n.app.TryRun(ctx, o.n.me(), trial(), id, app.TryQuery{Policy: p.name, Text: p.text, After: page, Limit: app.MaxPage})
}

func (t theirRuns) Try(ctx context.Context, id mgx.RunID, p namedPolicy, page string) (app.TriedCalls, error) {
	said, err := t.remote.Policies().TryRun(ctx, id, client.TriedPolicy{Policy: p.name, Text: p.text}, page)
	return triedThere(said), err
}

func (c *cli) sayTried(t app.TriedCall) error {
	if c.json {
		return printJSON(c, t)
	}
	not := ""
	if !t.Met() {
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
func (c *cli) sayKept(tried app.TriedCalls) {
	if c.json {
		return
	}
	for _, k := range tried.Kept {
		how := "hidden from programs, with the repository's history"
		if k.Write {
			how = "read-only for programs"
		}
		c.tell("%s: %s, in a sandbox of level basic or better; below it no program runs\n", k.Path, how)
	}
	if tried.AllowsPaths {
		c.tell("Rules that allow paths are about the tools for files; programs are kept from a path by a rule that denies it or asks.\n")
	}
}
