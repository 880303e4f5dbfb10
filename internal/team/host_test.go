package team

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/agent"
	"mgx/internal/guard"
	"mgx/internal/guard/policy"
	"mgx/internal/llm"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// TestASecretIsNotCutInTwo puts a secret where the text of an event ends.
func TestASecretIsNotCutInTwo(t *testing.T) {
	t.Parallel()
	const secret = "sk-secret-0123456789"
	r := &run{hides: guard.NewRedactor(secret)}
	for before := 32<<10 - len(secret); before <= 32<<10; before++ {
		said := llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: strings.Repeat("x", before) + secret + strings.Repeat("y", 40)}}}
		if got := r.message(&llm.Request{}, &llm.Response{Message: said}).Text; strings.Contains(got, "sk-") {
			t.Fatalf("%d bytes before: %q", before, got[before-10:])
		}
	}
}

// TestASecretIsNotCutInASummary puts a secret where the summary of a call ends.
func TestASecretIsNotCutInASummary(t *testing.T) {
	t.Parallel()
	const secret = "sk-secret-0123456789"
	for before := 90; before <= 120; before++ {
		args, err := json.Marshal(map[string]string{"command": strings.Repeat("x", before) + secret + strings.Repeat("y", 40)})
		if err != nil {
			t.Fatal(err)
		}
		got := summary(agent.Call{Name: "shell", Args: args}, guard.NewRedactor(secret))
		if strings.Contains(got, secret[:4]) || !strings.HasPrefix(got, "xxx") {
			t.Errorf("%d characters before: %q", before, got)
		}
	}
}

const hush = "sk-secret-0123456789"

// talker is a model that says a secret, in pieces.
type talker struct{}

func (talker) Call(_ context.Context, _ *llm.Request, _ llm.Account, watch func(llm.Chunk)) (*llm.Result, error) {
	for _, piece := range []string{"It is ", hush[:9], hush[9:], "."} {
		watch(llm.Chunk{Text: piece})
	}
	said := llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "It is " + hush + "."}}}
	return &llm.Result{Response: &llm.Response{Message: said}}, nil
}

// tells is a tool that returns one, and shows it to who watches.
type tells struct{}

func (tells) Spec() tool.Spec { return tool.Spec{Name: "tells", Effect: tool.Read} }

func (tells) Call(_ context.Context, ws *tool.Workspace, _ json.RawMessage) (tool.Result, error) {
	ws.Watch([]byte(ws.Redact.String(hush)))
	return tool.Result{Status: tool.Success, Text: "It is " + hush + "."}, nil
}

// TestARunTellsNoSecret has a model and a tool say a secret, and a person asked about a
// call that has it. The store here hides nothing by itself.
func TestARunTellsNoSecret(t *testing.T) {
	t.Parallel()
	var seen strings.Builder
	b := begin(t, func(c *workflow.Context) (string, error) {
		p, err := policy.Parse("allow\nask tool tells role asked")
		if err != nil {
			return "", err
		}
		watch := func(_ mgx.RunID, d Delta) { seen.WriteString(d.Text + d.Tool) }
		r := &run{
			c: c, rules: p, hides: guard.NewRedactor(hush), deps: Deps{Log: slog.New(slog.DiscardHandler), Model: talker{}, Deltas: watch},
			site: &Site{Files: tool.Workspace{Root: tree(t, "a")}, Box: noBox{}}, in: Input{Settings: mgx.RunSettings{Approve: "ask"}},
		}
		h := host{c: c, r: r}
		if _, err := h.Turn("turn", &llm.Request{Conversation: "one"}); err != nil {
			return "", err
		}
		for _, role := range []string{"free", "asked"} {
			call := agent.Call{ID: role, Name: "tells", Tool: tells{}, Args: json.RawMessage(`{"say":"` + hush + `"}`), Role: role, Conversation: "one"}
			if _, err := h.Call(role, call); err != nil {
				return "", err
			}
		}
		return "", nil
	})
	b.drive()
	types := map[mgx.EventType]bool{}
	for _, e := range b.events() {
		if types[e.Type] = true; strings.Contains(string(e.Data), hush) {
			t.Errorf("%s: %s", e.Type, e.Data)
		}
	}
	if want := "It is " + guard.Mask + "." + guard.Mask; seen.String() != want {
		t.Errorf("watchers see %q, want %q", seen.String(), want)
	}
	for _, typ := range []mgx.EventType{mgx.AgentMessage, mgx.ToolCalled, mgx.ToolReturned, mgx.ApprovalRequested} {
		if !types[typ] {
			t.Errorf("no %s", typ)
		}
	}
}

// writable is a tool that says whether programs may write.
type writable struct{}

func (writable) Spec() tool.Spec { return tool.Spec{Name: "writable", Effect: tool.Read} }

func (writable) Call(_ context.Context, ws *tool.Workspace, _ json.RawMessage) (tool.Result, error) {
	return tool.Result{Status: tool.Success, Text: fmt.Sprint(!ws.ReadOnly)}, nil
}

// TestWhoOnlyLooksCannotWrite: agents whose role it is, and all while no plan is approved
// where one has to be.
func TestWhoOnlyLooksCannotWrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy, approved string
		plan, looks      bool
		want             string
	}{
		"anybody":               {policy: "auto", want: "true"},
		"a role that looks":     {policy: "auto", looks: true, want: "false"},
		"before the plan":       {policy: "plan", want: "false"},
		"with the plan":         {policy: "plan", approved: "now", want: "true"},
		"with another plan":     {policy: "plan", approved: "before", want: "false"},
		"before a plan to have": {policy: "auto", plan: true, want: "false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begin(t, func(ctx *workflow.Context) (string, error) {
				p, _ := policy.Builtin(c.policy)
				r := &run{
					c: ctx, rules: p, deps: Deps{Log: slog.New(slog.DiscardHandler)}, approvedPlan: c.approved, currentPlan: "now",
					site: &Site{Files: tool.Workspace{Root: tree(t, "a")}, Box: noBox{}}, in: Input{Settings: mgx.RunSettings{Plan: c.plan}},
				}
				out, err := host{c: ctx, r: r, readOnly: c.looks}.Call("call", agent.Call{ID: "1", Name: "writable", Tool: writable{}, Args: json.RawMessage("{}")})
				return out.Result.Text, err
			})
			var got string
			if x := b.drive(); json.Unmarshal(x.Result, &got) != nil || got != c.want {
				t.Errorf("%s %q %+v, want %s", x.Status, got, x.Failure, c.want)
			}
		})
	}
}

// What does not help is not suggested: no budget is too small for a price that nobody knows.
func TestSuggestionsFitTheFailure(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"price_unknown": "--price IN,OUT", "budget_exceeded": "mgx budget set"} {
		if got := suggestions(&mgx.Error{Kind: mgx.KindBudget, Code: code}); !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s: %q", code, got)
		}
	}
}
