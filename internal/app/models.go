package app

import (
	"context"
	"time"

	"mgx"
	"mgx/internal/access"
)

// ModelHost is the machine from which models are called. Its errors say what to do.
type ModelHost interface {
	// Models asks the providers of a workspace what they serve. Providers that fail are
	// in the list; it is an error when there are none.
	Models(ctx context.Context, ws mgx.WorkspaceID) (ModelList, error)
	// TryModel makes one small real call to a model, or to one that a routing policy
	// chooses, which the workspace and the user pay for as for any other.
	TryModel(ctx context.Context, ws mgx.WorkspaceID, user mgx.UserID, model string) (ModelTrial, error)
}

// Models are what the agents of a workspace can think with.
type Models struct {
	Access *Access
	Host   ModelHost

	seats chan struct{}
}

// modelsAtOnce bounds those who have providers asked.
const modelsAtOnce = 4

// NewModels returns the use cases of models on a machine.
func NewModels(who *Access, host ModelHost) *Models {
	return &Models{Access: who, Host: host, seats: make(chan struct{}, modelsAtOnce)}
}

// ModelList is what a workspace can reach.
type ModelList struct {
	Models   []ModelInfo       `json:"models" doc:"By provider, as each lists them"`
	Failed   []ProviderFailure `json:"failed" doc:"Providers that did not say what they serve"`
	Policies []RoutingPolicy   `json:"policies" doc:"What a task takes as its model besides models"`
}

// ModelInfo is a model, as the policies see it.
type ModelInfo struct {
	Capabilities []string     `json:"capabilities" doc:"What it can do, such as tools"`
	Window       int          `json:"context_window" doc:"Tokens that it takes at once; 0: not known"`
	From         string       `json:"from,omitempty" doc:"Where the machine found its provider; for the owner of the data directory alone"`
	Health       *ModelHealth `json:"health,omitempty" doc:"How it did in the last day; absent: it was not called"`
	Input        *mgx.Money   `json:"input_usd_per_million,omitempty" doc:"Price of a million tokens in, in US dollars"`
	Local        bool         `json:"local" doc:"It runs on the machine of the server, and costs nothing"`
	Model        string       `json:"model" doc:"provider/model"`
	Output       *mgx.Money   `json:"output_usd_per_million,omitempty" doc:"Price of a million tokens out, in US dollars"`
	PriceKnown   bool         `json:"price_known" doc:"There is a price for it"`
	Quality      float64      `json:"quality" doc:"From 0 to 100, as the policies weigh it"`
}

// ModelHealth is how a model did in the last day, for the workspace.
type ModelHealth struct {
	Breaker     string    `json:"breaker" doc:"closed; open: it is left alone; half-open: it is tried"`
	Calls       int64     `json:"calls" doc:"How many there were"`
	Failures    int64     `json:"failures" doc:"How many of them failed"`
	FirstToken  int64     `json:"first_token_ms" doc:"Milliseconds until an answer began"`
	LastError   string    `json:"last_error,omitempty" doc:"What the last one failed with"`
	LastErrorAt time.Time `json:"last_error_at,omitzero" doc:"When that was"`
	LastFault   string    `json:"last_fault,omitempty" doc:"The class of that"`
	Rate        float64   `json:"tokens_per_second" doc:"After the first one"`
}

// ProviderFailure is a provider that did not say what it serves.
type ProviderFailure struct {
	Provider string `json:"provider" doc:"Its name"`
	Message  string `json:"message" doc:"Why not"`
}

// RoutingPolicy chooses among models.
type RoutingPolicy struct {
	Name       string   `json:"name" doc:"Which a task takes as its model"`
	Strategy   string   `json:"strategy" doc:"What it prefers"`
	Candidates []string `json:"candidates" doc:"Models to choose from"`
	Fallback   []string `json:"fallback" doc:"What is called when all of those fail, in order"`
	Overrides  int      `json:"overrides" doc:"How many exceptions it has"`
}

// ModelTrial is what a test call showed.
type ModelTrial struct {
	Asked      string        `json:"asked" doc:"The model or policy that was named"`
	Model      string        `json:"model" doc:"The model that answered"`
	Streaming  bool          `json:"streaming" doc:"The answer came in pieces"`
	Tools      bool          `json:"tools" doc:"It called the tool that it was told to call"`
	Usage      bool          `json:"usage" doc:"The provider said what was used"`
	Tokens     mgx.Usage     `json:"tokens" doc:"What was used"`
	CostUSD    mgx.Money     `json:"cost_usd" doc:"What it cost, in US dollars"`
	PriceKnown bool          `json:"price_known" doc:"There is a price for it"`
	FirstToken time.Duration `json:"first_token_ns" doc:"Nanoseconds until the answer began"`
	Duration   time.Duration `json:"duration_ns" doc:"Nanoseconds that it took"`
	Finish     string        `json:"finish" doc:"Why the answer ended"`
	Why        string        `json:"why" doc:"Why this model was chosen"`
}

// List lists what the actor's workspace can reach.
func (m *Models) List(ctx context.Context, actor access.Actor) (ModelList, error) {
	if err := m.enter(ctx, actor, "read"); err != nil {
		return ModelList{}, err
	}
	defer m.leave()
	list, err := m.Host.Models(ctx, actor.Workspace)
	if !actor.Owner {
		for i := range list.Models {
			list.Models[i].From = ""
		}
	}
	return list, err
}

// Try makes one small real call for the actor, at the cost of the workspace.
func (m *Models) Try(ctx context.Context, actor access.Actor, model string) (ModelTrial, error) {
	if !mgx.IsText(model) {
		return ModelTrial{}, mgx.Errorf(mgx.KindUsage, "bad_model", "the name of a model is text without a character 0")
	}
	if err := m.enter(ctx, actor, "execute"); err != nil {
		return ModelTrial{}, err
	}
	defer m.leave()
	return m.Host.TryModel(ctx, actor.Workspace, mgx.UserID(whoActs(actor)), model)
}

// enter takes a seat for an actor who may.
func (m *Models) enter(ctx context.Context, actor access.Actor, action string) error {
	if err := m.Access.Authorize(ctx, actor, action, access.Resource{Kind: "models"}); err != nil {
		return err
	}
	select {
	case m.seats <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *Models) leave() { <-m.seats }
