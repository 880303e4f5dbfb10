package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/cassette"
	"mgx/internal/llm/llmtest"
	"mgx/internal/team"
)

const demoModel = "scripted/demo"

// models are what this process can call, by what its environment and the file of
// models say.
type models struct {
	found     []found
	lookedFor []string
	prices    *llm.Prices // of the lists; pricesOf adds what is free
	stale     error       // why fetched prices are not among them
	router    *llm.Router
	getenv    func(string) string
	tape      *tape      // what calls are recorded on or played from; nil: neither
	seed      *int64     // asked of models
	runs      sync.Map   // of a run's id: the *models of a run that is not the only one here
	file      *llm.File  // never nil
	path      string     // of it
	trouble   error      // why the file cannot be used
	state     *llm.State // what all routers here share
	auto      func() llm.Policy
	keys      *keyholder // of secrets
	workspace mgx.WorkspaceID
	log       *slog.Logger // of calls; nil: none
}

func newModels(getenv func(string) string, t *tape) *models {
	m := &models{getenv: getenv, tape: t, keys: &keyholder{}, workspace: mgx.DefaultWorkspace}
	if t.playing() {
		m.keys.set(func(context.Context, mgx.WorkspaceID, string, string) (string, error) {
			return cassette.Placeholder, nil
		})
	}
	m.found, m.lookedFor = discover(getenv, t.client())
	m.addFile()
	m.addPrices()
	m.state = t.state(m.file.StateOptions())
	m.auto = sync.OnceValue(func() llm.Policy { return automatic(context.Background(), m.found) })
	return m
}

// addFile takes over what the file of models says: its providers come before
// those of the environment, and instead of one of the same name.
func (m *models) addFile() {
	file, path, err := loadModelsFile(m.getenv)
	m.file = &llm.File{}
	if err == nil {
		var own []found
		if own, err = fromFile(file, path, mgx.DefaultWorkspace, m.getenv, m.keys, m.tape.client()); err == nil {
			m.file, m.path = file, path
			for _, f := range m.found {
				if !isFound(f.Name(), own) {
					own = append(own, f)
				}
			}
			m.found = own
		}
	}
	m.trouble = err
}

// use makes ready for a run with these settings, and refuses early when its model
// cannot be called from here.
func (m *models) use(s mgx.RunSettings) error {
	if m.trouble != nil {
		return m.trouble
	}
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
	o := m.options(m.found, m.workspace)
	if provider, _, named := strings.Cut(s.Model, "/"); named && !isFound(provider, m.found) {
		return noProvider(provider, m.lookedFor, "")
	}
	if s.Model == autoPolicy && len(m.found) == 0 {
		return noProvider("", m.lookedFor, "")
	}
	m.withAuto(&o, s.Model)
	if _, policy := o.Policies[s.Model]; !policy && !strings.Contains(s.Model, "/") {
		return mgx.Errorf(mgx.KindConfig, "no_such_policy", "there is no policy %q in the file of models, and it does not read PROVIDER/MODEL; see: mgx models", s.Model)
	}
	o.Steady = s.InOrder
	m.seed = s.Seed
	m.router = llm.NewRouter(m.tape.repeatable(s, o))
	return nil
}

// pricesOf are the prices for a workspace for which these were found: its local ones
// are free, and nobody else's of the same name.
func (m *models) pricesOf(all []found) *llm.Prices {
	prices := m.prices
	for _, f := range all {
		if f.Local {
			prices = prices.WithFree(f.Name())
		}
	}
	return prices
}

// options are those of a router of a workspace for what was found.
func (m *models) options(all []found, ws mgx.WorkspaceID) llm.Options {
	o := llm.Options{Prices: m.pricesOf(all), State: m.state, Log: m.log, Policies: map[string]llm.Policy{}, Of: map[string]llm.ProviderOptions{}}
	for _, f := range all {
		o.Providers = append(o.Providers, f.Provider)
		o.Of[f.Name()] = llm.ProviderOptions{Local: f.Local}
	}
	m.file.Apply(&o, ws)
	return o
}

// withAuto adds the policy auto when it is asked for.
func (m *models) withAuto(o *llm.Options, asked string) {
	if asked == autoPolicy {
		addAuto(o.Policies, m.auto)
	}
}

func (m *models) choose(ctx context.Context, model string) (string, error) {
	if m.trouble != nil {
		return "", m.trouble
	}
	if m.workspace != mgx.DefaultWorkspace && len(m.found) == 0 {
		return "", m.noneFound()
	}
	if _, policy := m.file.For(m.workspace).Policies[model]; policy || model == autoPolicy {
		return model, nil
	}
	return chooseModel(ctx, model, m.found, m.lookedFor)
}

// noneFound is the error for a workspace that can call no model at all.
func (m *models) noneFound() error {
	if m.workspace != mgx.DefaultWorkspace {
		return mgx.Errorf(mgx.KindConfig, "no_provider", "this workspace has no model that it can call; the operator of the server names its providers in the file of models, see docs/routing.md")
	}
	return noProvider("", m.lookedFor, "")
}

// of are the models of a workspace: what the environment of this process names is
// the installation's, any other workspace has what the file of models says for it
// or for all.
func (m *models) of(ws mgx.WorkspaceID) (*models, error) {
	own := newModels(m.getenv, nil)
	own.state, own.workspace, own.log = m.state, ws, m.log
	own.keys.set(m.keys.key)
	if ws == mgx.DefaultWorkspace || own.trouble != nil {
		return own, own.trouble
	}
	theirs, err := fromFile(own.file, own.path, ws, m.getenv, own.keys, nil)
	if err != nil {
		return nil, err
	}
	own.found, own.lookedFor = theirs, nil
	return own, nil
}

// preferred is the model of the configuration, where that can be one of the
// workspace.
func (m *models) preferred(model string) string {
	provider, _, named := strings.Cut(model, "/")
	if _, policy := m.file.For(m.workspace).Policies[model]; m.workspace == mgx.DefaultWorkspace || policy || named && isFound(provider, m.found) {
		return model
	}
	return ""
}

// prepare is use for one run of many, whose settings are no business of the
// others; release forgets it.
func (m *models) prepare(ws mgx.WorkspaceID, id mgx.RunID, s mgx.RunSettings) error {
	own, err := m.of(ws)
	if err == nil {
		err = own.use(s)
	}
	if err == nil {
		m.runs.Store(id, own)
	}
	return err
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

// limitsFor are the limits of a model as a run calls it.
func (m *models) limitsFor(run mgx.RunID, model string) team.Limits {
	if own, ok := m.runs.Load(run); ok {
		m = own.(*models)
	}
	return m.limits(model)
}

// limits are what a model can take and give; of a policy, what the roomiest of
// its models can, since what does not fit the others goes to that one.
func (m *models) limits(model string) team.Limits {
	if strings.Contains(model, "/") {
		return m.limitsOf(model)
	}
	o := m.options(m.found, m.workspace)
	m.withAuto(&o, model)
	var most team.Limits
	for _, name := range o.Policies[model].Models() {
		l := m.limitsOf(name)
		most.Window, most.Output = max(most.Window, l.Window), max(most.Output, l.Output)
	}
	return most
}

func (m *models) limitsOf(model string) team.Limits {
	provider, name, _ := strings.Cut(model, "/")
	local := slices.ContainsFunc(m.found, func(f found) bool { return f.Name() == provider && f.Local })
	facts := m.facts(provider, name)
	l := team.Limits{Window: facts.Context, Output: facts.MaxOutput}
	if l.Window == 0 {
		l.Window = hostedWindow
		if local {
			l.Window = localWindow
		}
	}
	if l.Output == 0 {
		l.Output = l.Window / 4
	}
	return l
}

func (m *models) facts(provider, model string) llm.Facts {
	f, _ := llm.NewRouter(m.options(m.found, m.workspace)).Known(provider + "/" + model)
	return f
}

// observe reports the health of models with the metrics of this process. A server
// does, once.
func (m *models) observe() error { return m.state.Observe(otel.GetMeterProvider()) }
