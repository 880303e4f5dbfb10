package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
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
	cmd.AddCommand(c.modelsTestCommand(), c.pricesCommand())
	return cmd
}

// listModels asks every provider that was found what it serves.
func (c *cli) listModels(ctx context.Context) error {
	m, done, err := c.unlocked(ctx)
	if err != nil {
		return err
	}
	defer done()
	if m.trouble != nil {
		return m.trouble
	}
	if len(m.found) == 0 {
		return noProvider("", m.lookedFor)
	}
	health := c.recall(ctx)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var failed error
	for _, f := range m.found {
		list, err := f.Models(ctx)
		if err != nil {
			failed = err
			fmt.Fprintf(c.err, "%s: %s\n", f.Name(), mgx.AsError(err).Message)
			continue
		}
		for _, info := range list {
			c.printModel(m, f, info, health[f.Name()+"/"+info.ID])
		}
	}
	if !c.json {
		c.printPolicies(m)
	}
	if failed != nil {
		return &saidError{mgx.Errorf(mgx.KindProvider, "provider_failed", "%w", failed)}
	}
	return nil
}

func (c *cli) printModel(m *models, f found, info llm.ModelInfo, h llm.Health) {
	name := f.Name() + "/" + info.ID
	price, known := m.prices.Lookup(f.Name(), info.ID)
	facts := m.facts(f.Name(), info.ID)
	window := cmp.Or(info.ContextWindow, m.limits(name).Window)
	if c.json {
		row := map[string]any{
			"model": name, "context_window": window, "price_known": known, "capabilities": facts.Capabilities, "quality": facts.Quality,
			"local": f.Local, "from": f.From,
		}
		if known {
			row["input_usd_per_million"], row["output_usd_per_million"] = price.Input, price.Output
		}
		if h.Calls > 0 {
			row["health"] = healthRow(h)
		}
		printJSON(c, row)
		return
	}
	cost := "price unknown"
	if known && price.Rates == (llm.Rates{}) {
		cost = "free: runs on this machine"
	} else if known {
		cost = fmt.Sprintf("%s in, %s out per million tokens", price.Input, price.Output)
	}
	c.printf("%-48s %8s  %s\n", ui.Text(name), ui.Tokens(int64(window)), cost)
	c.printf("    quality %g; %s\n", facts.Quality, strings.Join(facts.Capabilities, ", "))
	if h.Calls > 0 {
		c.printf("    %s\n", ui.Text(healthWords(h)))
	}
}

// healthWords say how a model did lately.
func healthWords(h llm.Health) string {
	text := fmt.Sprintf("last day: %d calls, %d failed", h.Calls, h.Failures)
	if h.FirstToken > 0 {
		text += fmt.Sprintf("; first token after %.1f s", h.FirstToken.Seconds())
	}
	if h.Rate > 0 {
		text += fmt.Sprintf(", then %.0f tokens/s", h.Rate)
	}
	if h.Breaker == llm.BreakerOpen {
		text += "; left alone"
	}
	if h.LastError != "" {
		text += fmt.Sprintf("; last error at %s: %s", h.LastErrorAt.Local().Format("15:04:05"), h.LastError)
	}
	return text
}

func healthRow(h llm.Health) map[string]any {
	row := map[string]any{
		"calls": h.Calls, "failures": h.Failures, "breaker": h.Breaker,
		"first_token_ms": h.FirstToken.Milliseconds(), "tokens_per_second": h.Rate,
	}
	if h.LastError != "" {
		row["last_error"], row["last_fault"], row["last_error_at"] = h.LastError, h.LastFault, h.LastErrorAt
	}
	return row
}

// recall is the health of models as the log of the data directory tells of the
// last day. Without a log it is empty.
func (c *cli) recall(ctx context.Context) map[string]llm.Health {
	health := map[string]llm.Health{}
	if _, err := os.Stat(filepath.Join(c.cfg.Data, "mgx.db")); err != nil && c.cfg.Database == "" {
		return health // nothing was ever run here
	}
	n, err := c.openAny(ctx)
	if err != nil {
		return health
	}
	defer n.close()
	state := llm.NewState(llm.StateOptions{})
	if err := recallInto(ctx, n.store, state, time.Now().Add(-24*time.Hour)); err != nil {
		fmt.Fprintln(c.err, "How the models did lately is not known:", mgx.AsError(err).Message)
	}
	for _, h := range state.Health() {
		health[h.Provider+"/"+h.Model] = h
	}
	return health
}

// mostRecalled bounds the events that are read for it: the latest.
const mostRecalled = 50_000

func recallInto(ctx context.Context, s *store.Store, state *llm.State, since time.Time) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	after := max(0, head-mostRecalled)
	for {
		page, err := s.EventsAfter(ctx, mgx.DefaultWorkspace, "", "", []string{string(mgx.LLMCallCompleted), string(mgx.LLMProviderError)}, after, 500)
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

// printPolicies lists what --model takes besides models.
func (c *cli) printPolicies(m *models) {
	policies := m.file.For(mgx.DefaultWorkspace).Policies
	if policies == nil {
		policies = map[string]llm.Policy{}
	}
	if _, own := policies[autoPolicy]; !own {
		policies[autoPolicy] = m.auto()
	}
	c.printf("\nPolicies, for --model:\n")
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		p := policies[name]
		strategy := p.Strategy
		if strategy == "" {
			strategy = llm.Balanced
		}
		var words []string
		for _, cand := range p.Candidates {
			words = append(words, cand.Model)
		}
		line := fmt.Sprintf("%-12s %s over %s", name, strategy, cmp.Or(strings.Join(words, ", "), "no candidate"))
		if len(p.Fallback) > 0 {
			line += "; then " + strings.Join(p.Fallback, ", ")
		}
		if n := len(p.Overrides); n > 0 {
			line += fmt.Sprintf("; %d overrides", n)
		}
		c.printf("%s\n", ui.Text(line))
	}
}
