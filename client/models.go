package client

import (
	"context"
	"net/http"
	"time"

	"mgx"
)

// Models are those that the tasks of the workspace can be done with.
type Models struct{ c *Client }

// Models is what can be done with models.
func (c *Client) Models() Models { return Models{c} }

// ModelList is what a workspace can reach.
type ModelList struct {
	Models   []ModelInfo       `json:"models"`
	Failed   []ProviderFailure `json:"failed"`   // providers that did not say what they serve
	Policies []RoutingPolicy   `json:"policies"` // what a task takes as its model besides models
}

// ModelInfo is a model.
type ModelInfo struct {
	Capabilities []string     `json:"capabilities"`
	Window       int          `json:"context_window"` // in tokens
	From         string       `json:"from"`           // where its provider was found; empty: that is not for you to know
	Health       *ModelHealth `json:"health"`         // nil: it was not called in the last day
	Input        *mgx.Money   `json:"input_usd_per_million"`
	Local        bool         `json:"local"`
	Model        string       `json:"model"` // provider/model
	Output       *mgx.Money   `json:"output_usd_per_million"`
	PriceKnown   bool         `json:"price_known"`
	Quality      float64      `json:"quality"`
}

// ModelHealth is how a model did in the last day, for the workspace.
type ModelHealth struct {
	Breaker     string    `json:"breaker"` // closed, open, half-open
	Calls       int64     `json:"calls"`
	Failures    int64     `json:"failures"`
	FirstToken  int64     `json:"first_token_ms"`
	LastError   string    `json:"last_error"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	LastFault   string    `json:"last_fault"`
	Rate        float64   `json:"tokens_per_second"`
}

// ProviderFailure is a provider that did not say what it serves.
type ProviderFailure struct {
	Provider string `json:"provider"`
	Message  string `json:"message"`
}

// RoutingPolicy chooses among models.
type RoutingPolicy struct {
	Name       string   `json:"name"`
	Strategy   string   `json:"strategy"`
	Candidates []string `json:"candidates"`
	Fallback   []string `json:"fallback"`
	Overrides  int      `json:"overrides"`
}

// ModelTrial is what a test call showed.
type ModelTrial struct {
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
	Finish     string        `json:"finish"`
	Why        string        `json:"why"`
}

// List lists them. The server asks every provider.
func (m Models) List(ctx context.Context) (list ModelList, err error) {
	return list, m.c.get(ctx, "/api/v1/models", nil, &list)
}

// Test has the server make one small real call to a model, or to one that a routing
// policy chooses, at the cost of the workspace.
func (m Models) Test(ctx context.Context, model string) (t ModelTrial, err error) {
	return t, m.c.send(ctx, http.MethodPost, "/api/v1/models/test", nil, map[string]string{"model": model}, &t)
}
