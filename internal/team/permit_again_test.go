package team

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/agent"
	"mgx/internal/guard"
	"mgx/internal/guard/policy"
	"mgx/internal/sandbox"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// many is a tool that touches many files, the last of them behind a link.
type many struct{ effect tool.Effect }

func (m many) Spec() tool.Spec { return tool.Spec{Name: "many", Effect: m.effect} }

func (many) Reach(ws *tool.Workspace, _ json.RawMessage) tool.Reach {
	var r tool.Reach
	for i := range 150 {
		r.Paths = append(r.Paths, fmt.Sprintf("new/%d", i))
	}
	last, err := tool.Resolve(ws.Root, "way/last")
	r.Paths, r.Vague = append(r.Paths, "way/last", last), err != nil
	return r
}

func (many) Call(context.Context, *tool.Workspace, json.RawMessage) (tool.Result, error) {
	return tool.Result{Status: tool.Success, Text: "it was called"}, nil
}

type noBox struct{ sandbox.Box }

func (noBox) Level() sandbox.Level { return sandbox.LevelFull }

// TestACallIsDecidedOnceMore has a person approve a call. What it would do has become
// something else when it is made, or the rules have; or nothing has.
func TestACallIsDecidedOnceMore(t *testing.T) {
	t.Parallel()
	const rules = "allow\nask tool many\ndeny path secret\n"
	const otherwise = "not what was approved any more"
	for name, c := range map[string]struct {
		leads, rules string
		effect       tool.Effect
		hash         string // that was decided on, where it is another
		want         string
	}{
		"nothing":                   {"here", rules, tool.Read, "", "it was called"},
		"a link":                    {"there", rules, tool.Read, "", otherwise},
		"a link, to what is denied": {"secret", rules, tool.Read, "", "Refused by the policy of this run"},
		"the rules":                 {"here", rules + "ask tool other\n", tool.Read, "", otherwise},
		"the rules, which deny it":  {"here", rules + "deny tool many\n", tool.Read, "", "Refused by the policy of this run"},
		"the effect":                {"here", rules, tool.Deliver, "", otherwise},
		"what was decided on":       {"here", rules, tool.Read, "sha256:another", "something other than what is proposed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := tree(t, "here/last", "there/last", "secret/last", "way -> here")
			var asked mgx.ProposedCall
			var hash string
			text, effect := rules, tool.Read
			b := begin(t, func(c *workflow.Context) (string, error) {
				p, err := policy.Parse(text)
				if err != nil {
					return "", err
				}
				r := &run{
					c: c, rules: p, policyHash: p.Hash(), hides: guard.NewRedactor(), deps: Deps{Log: slog.New(slog.DiscardHandler)},
					site: &Site{Files: tool.Workspace{Root: root}, Box: noBox{}}, in: Input{Settings: mgx.RunSettings{Approve: "ask"}},
				}
				out, err := host{c: c, r: r}.Call("call", agent.Call{ID: "1", Name: "many", Tool: many{effect}, Args: json.RawMessage("{}"), Role: "implementer"})
				return out.Result.Text, err
			})
			b.drive()
			for _, e := range b.events() {
				var d mgx.ApprovalRequestedData
				if e.Type == mgx.ApprovalRequested && e.Decode(&d) == nil {
					asked, hash = *d.Call, d.Hash
				}
			}
			if asked.Effect != "read" || len(asked.Paths) != 100 {
				t.Fatalf("nobody is asked: %+v", asked)
			}
			text, effect = c.rules, c.effect
			if err := root.Remove("way"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(c.leads, filepath.Join(root.Name(), "way")); err != nil {
				t.Fatal(err)
			}
			if err := b.engine.Signal(t.Context(), b.scope.Execution, approvalID("call"), Decision{Approved: true, By: "somebody", Hash: cmp.Or(c.hash, hash)}); err != nil {
				t.Fatal(err)
			}
			var said string
			if x := b.drive(); json.Unmarshal(x.Result, &said) != nil || !strings.Contains(said, c.want) {
				t.Errorf("%s %s %+v, want %s", x.Status, said, x.Failure, c.want)
			}
		})
	}
}
