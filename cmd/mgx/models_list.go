package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/llm"
	"mgx/internal/store"
	"mgx/internal/ui"
)

func (c *cli) modelsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "models",
		Short: "List the models that can be reached, with window, capabilities, price and health",
		Long: `Lists the models that can be reached: those of the providers in the environment and in
the file of models, with context window, capabilities, price and quality as the policies
see them. What the log of the data directory holds of the last day says how they did:
how long the first token took, the rate after it, and the last error. Then come the
policies that --model takes by name. See docs/routing.md.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listModels(cmd.Context()) },
	}
	cmd.AddCommand(c.modelsTestCommand(), hereOnly(c.pricesCommand()))
	return cmd
}

// listModels lists them where the command works.
func (c *cli) listModels(ctx context.Context) error {
	list, err := c.modelsAt(ctx)
	if err != nil {
		return err
	}
	for _, f := range list.Failed {
		c.tell("%s: %s\n", f.Provider, strings.TrimPrefix(f.Message, f.Provider+": "))
	}
	for _, m := range list.Models {
		if err := c.printModel(m); err != nil {
			return err
		}
	}
	if !c.json {
		c.printPolicies(list.Policies)
	}
	if n := len(list.Failed); n > 0 {
		return &saidError{mgx.Errorf(mgx.KindProvider, "provider_failed", "%s", list.Failed[n-1].Message)}
	}
	return nil
}

// modelsAt asks for the models where the command works. The data directory is opened
// only when there is one, for what it knows of them.
func (c *cli) modelsAt(ctx context.Context) (app.ModelList, error) {
	if c.at.server != "" {
		remote, err := c.remote(c.at)
		if err != nil {
			return app.ModelList{}, err
		}
		return listThere(ctx, remote.Models())
	}
	m, done, err := c.unlocked(ctx)
	if err != nil {
		return app.ModelList{}, err
	}
	defer done()
	return m.list(ctx, c.recall(ctx))
}

func (c *cli) printModel(m app.ModelInfo) error {
	if c.json {
		return printJSON(c, m)
	}
	cost := "price unknown"
	switch {
	case m.Input == nil || m.Output == nil:
	case *m.Input == 0 && *m.Output == 0:
		cost = freeBy(m.Local, m.From)
	default:
		cost = fmt.Sprintf("%s in, %s out per million tokens", *m.Input, *m.Output)
	}
	window := "?"
	if m.Window > 0 {
		window = ui.Tokens(int64(m.Window))
	}
	c.printf("%-48s %8s  %s\n", m.Model, window, cost)
	c.printf("    quality %g; %s\n", m.Quality, strings.Join(m.Capabilities, ", "))
	if m.Health != nil {
		c.printf("    %s\n", healthWords(*m.Health))
	}
	return nil
}

// freeBy says by what models cost nothing that were found by a variable or a file.
// An address may deceive, so there it says what to do about it.
func freeBy(local bool, from string) string {
	switch {
	case !local:
		return "free by the list of prices"
	case from == "OLLAMA_HOST":
		return "free: Ollama"
	case filepath.IsAbs(from):
		return "free: local by " + ui.Text(from)
	}
	return "free by its address, this machine's; if it costs, give it a price in the file MGX_PRICES"
}

// healthWords say how a model did lately.
func healthWords(h app.ModelHealth) string {
	text := fmt.Sprintf("last day: %d calls, %d failed", h.Calls, h.Failures)
	if h.FirstToken > 0 {
		text += fmt.Sprintf("; first token after %.1f s", float64(h.FirstToken)/1000)
	}
	if h.Rate > 0 {
		text += fmt.Sprintf(", then %.0f tokens/s", h.Rate)
	}
	if h.Breaker == string(llm.BreakerOpen) {
		text += "; left alone"
	}
	if h.LastError != "" {
		text += fmt.Sprintf("; last error at %s UTC: %s", h.LastErrorAt.UTC().Format(time.TimeOnly), h.LastError)
	}
	return text
}

// printPolicies lists what --model takes besides models.
func (c *cli) printPolicies(all []app.RoutingPolicy) {
	c.printf("\nPolicies, for --model:\n")
	for _, p := range all {
		line := fmt.Sprintf("%-12s %s over %s", p.Name, p.Strategy, cmp.Or(strings.Join(p.Candidates, ", "), "no candidate"))
		if len(p.Fallback) > 0 {
			line += "; then " + strings.Join(p.Fallback, ", ")
		}
		if p.Overrides > 0 {
			line += fmt.Sprintf("; %d overrides", p.Overrides)
		}
		c.printf("%s\n", line)
	}
}

// recall is the health of models as the log of the data directory tells of the
// last day. Without a log it is empty.
func (c *cli) recall(ctx context.Context) map[string]llm.Health {
	if _, err := os.Stat(filepath.Join(c.cfg.Data, "mgx.db")); err != nil && c.cfg.Database == "" {
		return nil // nothing was ever run here
	}
	n, err := c.openAny(ctx)
	if err != nil {
		return nil
	}
	defer n.close()
	health, err := n.recall(ctx, c.workspaceHere())
	if err != nil {
		c.tell("How the models did lately is not known: %s\n", mgx.AsError(err).Message)
	}
	return health
}

// recall is the health of models in the last day, as the log tells of a workspace.
func (n *node) recall(ctx context.Context, ws mgx.WorkspaceID) (map[string]llm.Health, error) {
	state, health := llm.NewState(llm.StateOptions{}), map[string]llm.Health{}
	err := recallInto(ctx, n.store, ws, state, time.Now().Add(-24*time.Hour))
	for _, h := range state.Health() {
		health[h.Provider+"/"+h.Model] = h
	}
	return health, err
}

// mostRecalled bounds the events that are read for it: the latest.
const mostRecalled = 50_000

func recallInto(ctx context.Context, s *store.Store, ws mgx.WorkspaceID, state *llm.State, since time.Time) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	after := max(0, head-mostRecalled)
	for {
		page, err := s.EventsAfter(ctx, ws, "", "", []string{string(mgx.LLMCallCompleted), string(mgx.LLMProviderError)}, after, 500)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			if after = e.Position; e.Time.Before(since) {
				continue
			}
			recallEvent(state, e)
		}
	}
}

func recallEvent(state *llm.State, e mgx.Event) {
	switch e.Type {
	case mgx.LLMCallCompleted:
		var d mgx.LLMCallData
		if e.Decode(&d) == nil && !d.Cached {
			model := d.Model
			if d.Routing != nil {
				_, model, _ = strings.Cut(d.Routing.Chosen, "/")
			}
			first := time.Duration(d.FirstTokenMS) * time.Millisecond
			rest := time.Duration(d.DurationMS)*time.Millisecond - first
			if d.Attempts > 1 {
				rest = 0 // the duration is that of all attempts
			}
			state.Recall(e.Time, d.Provider, model, first, rest, d.Usage.Completion)
		}
	case mgx.LLMProviderError:
		var d mgx.ProviderErrorData
		if e.Decode(&d) == nil {
			state.RecallFailure(e.Time, d.Provider, d.Model, llm.Fault(d.ErrorType), d.Message)
		}
	}
}
