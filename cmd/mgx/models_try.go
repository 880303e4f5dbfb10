package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/ui"
)

func (c *cli) modelsTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test PROVIDER/MODEL",
		Short: "Make one small real call to a model and say what works",
		Long: `Makes one small real call to a model, or to the one that a policy chooses: a question
with a tool to answer it with. It says whether the answer was streamed, whether the model
called the tool, whether the provider reported the usage, how long it took and what it
cost. No retry is made; the error of the provider is shown as it is.`,
		Args: oneArg("a model"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.testModel(cmd.Context(), args[0]) },
	}
}

// tried is what a test call showed.
type tried struct {
	Asked      string        `json:"asked"`
	Model      string        `json:"model"`
	Streaming  bool          `json:"streaming"`
	Tools      bool          `json:"tools"`
	Usage      bool          `json:"usage"`
	Tokens     mgx.Usage     `json:"tokens"`
	CostUSD    mgx.Money     `json:"cost_usd"`
	PriceKnown bool          `json:"price_known"`
	FirstToken time.Duration `json:"first_token_ns"`
	Duration   time.Duration `json:"duration_ns"`
	Finish     llm.Finish    `json:"finish"`
	Why        string        `json:"why"`
}

func (c *cli) testModel(ctx context.Context, name string) error {
	m, done, err := c.unlocked(ctx)
	if err != nil {
		return err
	}
	defer done()
	asked, err := m.choose(ctx, name)
	if err != nil {
		return err
	}
	if err := m.use(mgx.RunSettings{Model: asked}); err != nil {
		return err
	}
	o := m.router.Options
	o.Retries = -1
	r := llm.NewRouter(o)
	chunks := 0
	res, err := r.Call(ctx, testCall(asked), nil, func(ch llm.Chunk) {
		if ch.Text != "" || ch.Thinking != "" || ch.ToolName != "" {
			chunks++
		}
	})
	if err != nil {
		return err
	}
	t := tried{
		Asked: asked, Model: res.Response.Route, Streaming: chunks > 0, Usage: res.Response.UsageOK, Tokens: res.Response.Usage,
		CostUSD: res.Cost, PriceKnown: res.PriceKnown, FirstToken: res.FirstToken, Duration: res.Duration, Finish: res.Response.Finish, Why: res.Decision.Why,
	}
	for _, p := range res.Response.Message.Parts {
		t.Tools = t.Tools || p.Call != nil && p.Call.Name == "answer" && json.Valid([]byte(p.Call.Args))
	}
	if c.json {
		return printJSON(c, t)
	}
	c.printTried(t)
	return nil
}

func testCall(model string) *llm.Request {
	return &llm.Request{
		Model: model, MaxTokens: 1024, AgentRole: "test", Conversation: "test", Workspace: mgx.DefaultWorkspace,
		System:   "You answer questions by calling the tool answer, once.",
		Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "What is seven times six? Call the tool answer with the number."}}}},
		Tools: []llm.ToolSpec{{
			Name: "answer", Description: "Gives the answer.",
			Schema: json.RawMessage(`{"type":"object","required":["number"],"properties":{"number":{"type":"integer"}},"additionalProperties":false}`),
		}},
	}
}

func (c *cli) printTried(t tried) {
	yes := func(ok bool, no string) string {
		if ok {
			return "yes"
		}
		return no
	}
	cost := "unknown: there is no price for it"
	if t.PriceKnown {
		cost = t.CostUSD.String()
	}
	c.printf("%s answered (%s).\n", ui.Text(t.Model), t.Finish)
	if !strings.Contains(t.Asked, "/") {
		c.printf("  chosen     %s: %s\n", ui.Text(t.Asked), ui.Text(t.Why))
	}
	c.printf("  streaming  %s\n", yes(t.Streaming, "no: the answer came in one piece"))
	c.printf("  tools      %s\n", yes(t.Tools, "no: it did not call the tool it was told to call"))
	c.printf("  usage      %s\n", yes(t.Usage, "no: budgets count the most that a call can have used"))
	c.printf("  tokens     %d in, %d out\n", t.Tokens.Prompt, t.Tokens.Completion)
	c.printf("  time       %s to the first token, %s in all\n", t.FirstToken.Round(time.Millisecond), t.Duration.Round(time.Millisecond))
	c.printf("  cost       %s\n", fmt.Sprint(cost))
}
