package api

import (
	"context"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"

	"mgx"
	"mgx/internal/app"
)

func (s *Server) budgetRoutes() []route {
	const group = "Budgets"
	return []route{
		op("GET /api/v1/budgets", to("read", "budgets"), with(s.money, listBudgets), about{
			ID: "listBudgets", Group: group, Short: "List budgets and how they stand, by id",
		}),
		op("POST /api/v1/budgets", to("create", "budgets"), with(s.money, createBudget), about{
			ID: "createBudget", Group: group, Short: "Make a budget", Made: true, Kind: "budget",
			Long:  "A scope has one budget a period. From the first moment calls that could exceed it are refused before they are made.",
			Codes: codes{"bad_budget": 400, "conflict": 409, "too_many_budgets": 400},
		}),
		op("GET /api/v1/budgets/{id}", to("read", "budgets"), with(s.money, getBudget), about{
			ID: "getBudget", Group: group, Short: "Show a budget, how it stands and where it goes", Kind: "budget",
		}),
		op("PATCH /api/v1/budgets/{id}", to("update", "budgets"), with(s.money, changeBudget), about{
			ID: "changeBudget", Group: group, Short: "Change a budget", Kind: "budget", Codes: codes{"bad_budget": 400},
			Long: "What is not sent stays. Calls under way go on.",
		}),
		op("DELETE /api/v1/budgets/{id}", to("delete", "budgets"), with(s.money, removeBudget), about{
			ID: "removeBudget", Group: group, Short: "Remove a budget", Kind: "budget",
			Long: "The ledger and the log keep what happened.",
		}),
		plain[usageIn, usageOut]("GET /api/v1/usage", s.getUsage, to("read", "budgets"), about{
			ID: "listUsage", Group: group, Short: "Sum the ledger up", Types: []string{"text/csv"},
			Long:  "A page of lines as JSON or, for who accepts `text/csv` before JSON, all of them as CSV.",
			Codes: codes{"bad_usage_by": 400},
		}),
	}
}

// money are the budgets and the ledger of whoever asks, where they are kept.
func (s *Server) money(ctx context.Context) (*app.Budgets, error) {
	if s.o.Budgets == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server keeps no budgets")
	}
	theirs, who := *s.o.Budgets, actor(ctx)
	theirs.By, theirs.Actor = who.Doer(), who.User
	return &theirs, nil
}

type budgetsIn struct {
	Scope   []string `query:"scope" doc:"Only budgets of these scopes; several with commas or by naming it several times" enum:"workspace,project,user,task,run,key" maxItems:"6" uniqueItems:"true"`
	ScopeID string   `query:"scope_id" doc:"Only budgets of this workspace, project, user, task, run or key" maxLength:"200"`
	Limit   int      `query:"limit" doc:"How many at most" minimum:"1" maximum:"1000" default:"100"`
	Page    string   `query:"page_token" doc:"The next_page_token of the page before" maxLength:"200"`
}

type budgetsOut struct {
	Body struct {
		Budgets []mgx.BudgetUse `json:"budgets"`
		Next    mgx.BudgetID    `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"BudgetPage"`
}

func listBudgets(ctx context.Context, b *app.Budgets, in *budgetsIn) (*budgetsOut, error) {
	q := mgx.BudgetQuery{ScopeID: in.ScopeID, After: mgx.BudgetID(in.Page), Limit: in.Limit}
	for _, one := range in.Scope {
		q.Scopes = append(q.Scopes, mgx.BudgetScope(one))
	}
	all, err := b.List(ctx, q)
	out := &budgetsOut{}
	out.Body.Budgets = append([]mgx.BudgetUse{}, all...)
	if len(all) == q.Limit {
		out.Body.Next = all[len(all)-1].ID
	}
	return out, err
}

type newBudget struct {
	Scope      mgx.BudgetScope  `json:"scope,omitempty" doc:"What it is for; without it the workspace" enum:"workspace,project,user,task,run,key"`
	ScopeID    string           `json:"scope_id,omitempty" doc:"Which one" maxLength:"200" example:"proj_01JDT0000000000000000000P1"`
	Period     mgx.BudgetPeriod `json:"period,omitempty" doc:"After which it begins anew; without it the month of the calendar, in UTC" enum:"day,month,absolute"`
	Limit      *mgx.Money       `json:"limit_usd,omitempty" required:"true" doc:"In US dollars" minimum:"0" maximum:"1000000000" example:"25"`
	Soft       *mgx.Money       `json:"soft_limit_usd,omitempty" doc:"From which it only warns, in US dollars" minimum:"0" maximum:"1000000000"`
	Thresholds []int            `json:"thresholds,omitempty" doc:"Percent of the limit that are told in the log when they are reached; without them 50, 80 and 100" minimum:"1" maximum:"100" maxItems:"10"`
}

type budgetOut struct {
	Body mgx.BudgetUse
}

type madeBudget struct {
	Location string `header:"Location" doc:"Where it is"`
	Body     mgx.BudgetUse
}

func createBudget(ctx context.Context, b *app.Budgets, in *struct{ Body newBudget }) (*madeBudget, error) {
	made, _, err := b.Create(ctx, app.NewBudget(in.Body), "")
	return &madeBudget{"/api/v1/budgets/" + string(made.ID), made}, err
}

func getBudget(ctx context.Context, b *app.Budgets, in *At[mgx.BudgetID]) (*budgetOut, error) {
	found, err := b.Get(ctx, in.ID)
	return &budgetOut{found}, err
}

type budgetChange struct {
	Limit      *mgx.Money  `json:"limit_usd,omitempty" doc:"In US dollars" minimum:"0" maximum:"1000000000"`
	Soft       moneyOrNull `json:"soft_limit_usd,omitzero" doc:"From which it only warns, in US dollars; null takes it away"`
	Thresholds []int       `json:"thresholds,omitempty" doc:"Percent of the limit" minimum:"1" maximum:"100" maxItems:"10"`
}

func changeBudget(ctx context.Context, b *app.Budgets, in *struct {
	At[mgx.BudgetID]
	Body budgetChange
},
) (*budgetOut, error) {
	c := app.BudgetChange{Limit: in.Body.Limit, Soft: in.Body.Soft.RawMessage, Thresholds: in.Body.Thresholds}
	changed, err := b.Change(ctx, in.ID, c)
	return &budgetOut{changed}, err
}

func removeBudget(ctx context.Context, b *app.Budgets, in *At[mgx.BudgetID]) (*none, error) {
	return &none{}, b.Remove(ctx, in.ID)
}

// moneyOrNull is an amount, or null for none; without either it stays as it is.
type moneyOrNull struct{ json.RawMessage }

// Schema describes it.
func (moneyOrNull) Schema(huma.Registry) *huma.Schema {
	least, most := 0.0, mgx.MaxBudget.Dollars()
	return &huma.Schema{Type: huma.TypeNumber, Nullable: true, Minimum: &least, Maximum: &most}
}
