package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mgx"
)

// Budgets are those of the workspace, and its ledger.
type Budgets struct{ c *Client }

// Budgets is what can be done with budgets.
func (c *Client) Budgets() Budgets { return Budgets{c} }

// NewBudget is what it takes to make a budget. What is not said is the workspace,
// by the month, with the default thresholds.
type NewBudget struct {
	Scope      mgx.BudgetScope  `json:"scope,omitempty"`
	ScopeID    string           `json:"scope_id,omitempty"`
	Period     mgx.BudgetPeriod `json:"period,omitempty"`
	Limit      *mgx.Money       `json:"limit_usd"` // required
	Soft       *mgx.Money       `json:"soft_limit_usd,omitempty"`
	Thresholds []int            `json:"thresholds,omitempty"`
}

// Create makes a budget. That there is one for its scope and period is an error
// with the code mgx.CodeConflict.
func (b Budgets) Create(ctx context.Context, n NewBudget) (u mgx.BudgetUse, err error) {
	return u, b.c.create(ctx, "/api/v1/budgets", rand.Text(), n, &u)
}

// Set makes a budget, or changes the one that the scope has for the period.
func (b Budgets) Set(ctx context.Context, n NewBudget) (mgx.BudgetUse, error) {
	made, err := b.Create(ctx, n)
	if !mgx.IsCode(err, mgx.CodeConflict) {
		return made, err
	}
	q := mgx.BudgetQuery{ScopeID: n.ScopeID, Scopes: []mgx.BudgetScope{n.Scope}}
	if n.Scope == "" {
		q.Scopes = []mgx.BudgetScope{mgx.ScopeWorkspace}
	}
	for have, listErr := range b.List(ctx, q) {
		if listErr != nil {
			return made, listErr
		}
		if have.Period == n.Period || n.Period == "" && have.Period == mgx.PeriodMonth {
			soft, err := json.Marshal(n.Soft)
			if err != nil {
				return made, b.c.strange("%w", err)
			}
			return b.Change(ctx, have.ID, BudgetChange{Limit: n.Limit, Soft: soft, Thresholds: n.Thresholds})
		}
	}
	return made, err
}

// BudgetChange says what is to be different. What is nil stays.
type BudgetChange struct {
	Limit      *mgx.Money      `json:"limit_usd,omitempty"`
	Soft       json.RawMessage `json:"soft_limit_usd,omitempty"` // null: none
	Thresholds []int           `json:"thresholds,omitempty"`
}

// Change changes a budget.
func (b Budgets) Change(ctx context.Context, id mgx.BudgetID, change BudgetChange) (u mgx.BudgetUse, err error) {
	return u, b.c.send(ctx, http.MethodPatch, "/api/v1/budgets/"+url.PathEscape(string(id)), nil, change, &u)
}

// Remove deletes a budget. The ledger and the log keep what happened.
func (b Budgets) Remove(ctx context.Context, id mgx.BudgetID) error {
	return b.c.send(ctx, http.MethodDelete, "/api/v1/budgets/"+url.PathEscape(string(id)), nil, nil, nil)
}

// Get returns a budget, how it stands and where it goes.
func (b Budgets) Get(ctx context.Context, id mgx.BudgetID) (u mgx.BudgetUse, err error) {
	return u, b.c.get(ctx, "/api/v1/budgets/"+url.PathEscape(string(id)), nil, &u)
}

// List lists budgets with how they stand: of the scopes and for the scope's id
// that the query names.
func (b Budgets) List(ctx context.Context, q mgx.BudgetQuery) iter.Seq2[mgx.BudgetUse, error] {
	v := url.Values{}
	for _, scope := range q.Scopes {
		v.Add("scope", string(scope))
	}
	if q.ScopeID != "" {
		v.Set("scope_id", q.ScopeID)
	}
	return each[mgx.BudgetUse](ctx, b.c, "/api/v1/budgets", "budgets", v)
}

// usagePage is how many lines of usage come at once.
const usagePage = 500

// Usage sums the ledger up, or, by call, lists it.
func (b Budgets) Usage(ctx context.Context, q mgx.UsageQuery) iter.Seq2[mgx.UsageRow, error] {
	v := url.Values{"by": {string(q.By)}, "limit": {strconv.Itoa(usagePage)}}
	for name, text := range map[string]string{
		"since": moment(q.Since), "until": moment(q.Until),
		"project": string(q.Project), "task": string(q.Task), "run": string(q.Run), "user": string(q.User),
	} {
		if text != "" {
			v.Set(name, text)
		}
	}
	return each[mgx.UsageRow](ctx, b.c, "/api/v1/usage", "usage", v)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
