package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
	"mgx/internal/team"
	"mgx/internal/ui"
)

const demoModel = "scripted/demo"

// models are what this process can call, by what its environment says.
type models struct {
	found     []found
	lookedFor []string
	prices    *llm.Prices
	router    *llm.Router
	getenv    func(string) string
	tape      *tape    // what calls are recorded on or played from; nil: neither
	seed      *int64   // asked of models
	runs      sync.Map // of a run's id: the *models of a run that is not the only one here
}

func newModels(getenv func(string) string, t *tape) *models {
	m := &models{prices: llm.BuiltinPrices(), getenv: getenv, tape: t}
	m.found, m.lookedFor = discover(getenv, t.client())
	for _, f := range m.found {
		if f.Local {
			m.prices = m.prices.WithFree(f.Name())
		}
	}
	return m
}

// use makes ready for a run with these settings, and refuses early when its model
// cannot be called from here.
func (m *models) use(s mgx.RunSettings) error {
	if s.Model == demoModel {
		script, err := llmtest.ParseScript(sampleScript)
		if err != nil {
			return err
		}
		m.found = []found{{Provider: llmtest.NewScripted(script)}}
		m.prices = m.prices.WithFree("scripted")
	}
	if s.Price != "" {
		rates, err := llm.ParseRates(s.Price)
		if err != nil {
			return err
		}
		m.prices = m.prices.WithUser(rates)
	}
	provider, _, _ := strings.Cut(s.Model, "/")
	if !slices.ContainsFunc(m.found, func(f found) bool { return f.Name() == provider }) {
		return noProvider(provider, m.lookedFor)
	}
	var providers []llm.Provider
	for _, f := range m.found {
		providers = append(providers, f.Provider)
	}
	m.seed = s.Seed
	m.router = llm.NewRouter(m.tape.repeatable(s, llm.Options{Providers: providers, Prices: m.prices}))
	return nil
}

func (m *models) choose(ctx context.Context, model string) (string, error) {
	return chooseModel(ctx, model, m.found, m.lookedFor)
}

// prepare is use for one run of many, whose settings are no business of the
// others; release forgets it.
func (m *models) prepare(id mgx.RunID, s mgx.RunSettings) error {
	own := newModels(m.getenv, nil)
	if err := own.use(s); err != nil {
		return err
	}
	m.runs.Store(id, own)
	return nil
}

func (m *models) release(id mgx.RunID) { m.runs.Delete(id) }

// Call makes the calls of a run with what was made ready for it.
func (m *models) Call(ctx context.Context, req *llm.Request, acct llm.Account, watch func(llm.Chunk)) (*llm.Result, error) {
	if step, ok := ctx.(interface{ Scope() mgx.Scope }); ok {
		if own, ok := m.runs.Load(step.Scope().Run); ok {
			m = own.(*models)
		}
	}
	if m.seed != nil {
		own := *req
		own.Seed, own.Temperature = m.seed, new(float64)
		req = &own
	}
	return m.router.Call(ctx, req, acct, watch)
}

// Windows taken where the price list does not know a model: what hosted models
// have at least, and what local servers are usually configured with.
const (
	hostedWindow = 128_000
	localWindow  = 32_000
)

// limits are what a model can take and give.
func (m *models) limits(model string) team.Limits {
	provider, name, _ := strings.Cut(model, "/")
	price, _ := m.prices.Lookup(provider, name)
	l := team.Limits{Window: price.ContextWindow, Output: price.MaxOutput}
	if l.Window == 0 {
		l.Window = hostedWindow
		if slices.ContainsFunc(m.found, func(f found) bool { return f.Name() == provider && f.Local }) {
			l.Window = localWindow
		}
	}
	if l.Output == 0 {
		l.Output = l.Window / 4
	}
	return l
}

// listModels asks every provider that was found what it serves.
func (c *cli) listModels(ctx context.Context) error {
	m := newModels(c.getenv, nil)
	if len(m.found) == 0 {
		return noProvider("", m.lookedFor)
	}
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
			c.printModel(m, f, info)
		}
	}
	if failed != nil {
		return &saidError{mgx.Errorf(mgx.KindProvider, "provider_failed", "%w", failed)}
	}
	return nil
}

func (c *cli) printModel(m *models, f found, info llm.ModelInfo) {
	name := f.Name() + "/" + info.ID
	price, known := m.prices.Lookup(f.Name(), info.ID)
	if c.json {
		row := map[string]any{"model": name, "context_window": m.limits(name).Window, "price_known": known}
		if known {
			row["input_usd_per_million"], row["output_usd_per_million"] = price.Input, price.Output
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
	c.printf("%-48s %8s  %s\n", ui.Text(name), ui.Tokens(int64(m.limits(name).Window)), cost)
}
