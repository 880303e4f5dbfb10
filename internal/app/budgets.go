package app

import (
	"context"
	"encoding/json"
	"slices"

	"mgx"
)

// BudgetStore keeps budgets and the ledger; *store.Store is one.
type BudgetStore interface {
	CreateBudget(ctx context.Context, by mgx.Doer, b mgx.Budget) (stored mgx.Budget, created bool, err error)
	UpdateBudget(ctx context.Context, by mgx.Doer, b mgx.Budget) (mgx.Budget, error)
	RemoveBudget(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.BudgetID) error
	Budget(ctx context.Context, ws mgx.WorkspaceID, id mgx.BudgetID) (mgx.BudgetUse, error)
	Budgets(ctx context.Context, q mgx.BudgetQuery) ([]mgx.BudgetUse, error)
	Usage(ctx context.Context, q mgx.UsageQuery) ([]mgx.UsageLine, error)
	Ledger(ctx context.Context, q mgx.UsageQuery) ([]mgx.LedgerEntry, error)

	// What a budget may be for.
	Project(ctx context.Context, ws mgx.WorkspaceID, id mgx.ProjectID) (mgx.Project, error)
	Member(ctx context.Context, ws mgx.WorkspaceID, id mgx.UserID) (mgx.Member, error)
	Task(ctx context.Context, ws mgx.WorkspaceID, id mgx.TaskID) (mgx.Task, error)
	RunInfo(ctx context.Context, ws mgx.WorkspaceID, id mgx.RunID) (mgx.RunInfo, error)
	RunInfos(ctx context.Context, f mgx.RunFilter, after mgx.RunID, limit int) ([]mgx.RunInfo, error)
	Key(ctx context.Context, id mgx.KeyID) (mgx.APIKey, error)
}

// Budgets are what a person may do with the budgets of one workspace.
type Budgets struct {
	By    mgx.Doer // who acts, in whose workspace
	Actor mgx.UserID
	Store BudgetStore

	// Ahead allows a budget for a project before it is one: whoever has the data
	// directory names projects by directories, whose ids follow from their paths.
	Ahead bool
}

// NewBudget is what it takes to make a budget. What is not said is the workspace,
// by the month, with the default thresholds.
type NewBudget struct {
	Scope      mgx.BudgetScope  `json:"scope"`
	ScopeID    string           `json:"scope_id"`
	Period     mgx.BudgetPeriod `json:"period"`
	Limit      *mgx.Money       `json:"limit_usd"` // required
	Soft       *mgx.Money       `json:"soft_limit_usd"`
	Thresholds []int            `json:"thresholds"`
}

func (b *Budgets) budget(n NewBudget) (mgx.Budget, error) {
	if n.Limit == nil {
		return mgx.Budget{}, mgx.Errorf(mgx.KindUsage, "bad_budget", "a budget needs a limit in US dollars")
	}
	if n.Scope == "" {
		n.Scope = mgx.ScopeWorkspace
	}
	if n.Scope == mgx.ScopeWorkspace && n.ScopeID == "" {
		n.ScopeID = string(b.By.Workspace)
	}
	if n.Period == "" {
		n.Period = mgx.PeriodMonth
	}
	return mgx.Budget{
		Workspace: b.By.Workspace, Scope: n.Scope, ScopeID: n.ScopeID, Period: n.Period, Limit: *n.Limit, Soft: n.Soft, Thresholds: n.Thresholds,
		CreatedBy: b.Actor, UpdatedBy: b.Actor,
	}.Normal()
}

// scoped refuses a budget for what the workspace does not have. Whether another has
// it makes no difference.
func (b *Budgets) scoped(ctx context.Context, to mgx.Budget) (err error) {
	ws := b.By.Workspace
	switch id := to.ScopeID; to.Scope {
	case mgx.ScopeProject:
		if !b.Ahead {
			err = knownProject(ctx, b.Store, ws, mgx.ProjectID(id))
		}
	case mgx.ScopeUser:
		if mgx.UserID(id) != b.Actor { // the owner acts in workspaces without being a member
			_, err = b.Store.Member(ctx, ws, mgx.UserID(id))
		}
	case mgx.ScopeTask:
		_, err = b.Store.Task(ctx, ws, mgx.TaskID(id))
	case mgx.ScopeRun:
		_, err = b.Store.RunInfo(ctx, ws, mgx.RunID(id))
	case mgx.ScopeKey:
		var k mgx.APIKey
		if k, err = b.Store.Key(ctx, mgx.KeyID(id)); err == nil && k.Workspace != ws {
			err = mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "it is another workspace's")
		}
	}
	if mgx.IsCode(err, mgx.CodeNotFound) {
		return mgx.Errorf(mgx.KindUsage, "bad_budget", "there is no %s %s in this workspace", to.Scope, to.ScopeID)
	}
	return err
}

// projectStore knows the projects that a workspace has; *store.Store does.
type projectStore interface {
	Project(ctx context.Context, ws mgx.WorkspaceID, id mgx.ProjectID) (mgx.Project, error)
	RunInfos(ctx context.Context, f mgx.RunFilter, after mgx.RunID, limit int) ([]mgx.RunInfo, error)
}

// knownProject is nil for a project that a workspace was given, or that a run in it
// worked on, which takes none.
func knownProject(ctx context.Context, s projectStore, ws mgx.WorkspaceID, id mgx.ProjectID) error {
	_, missing := s.Project(ctx, ws, id)
	if !mgx.IsCode(missing, mgx.CodeNotFound) {
		return missing
	}
	runs, err := s.RunInfos(ctx, mgx.RunFilter{Workspace: ws, Project: id}, "", 1)
	if err == nil && len(runs) == 0 {
		return missing
	}
	return err
}

// Create makes a budget. With a key it is made once however often it is asked
// for; created says whether this was the time.
func (b *Budgets) Create(ctx context.Context, n NewBudget, key string) (use mgx.BudgetUse, created bool, err error) {
	made, err := b.budget(n)
	if err != nil {
		return use, false, err
	}
	if err := b.scoped(ctx, made); err != nil {
		return use, false, err
	}
	if made.ID = mgx.NewID[mgx.BudgetID]("bgt"); key != "" {
		made.ID = mgx.IDOf[mgx.BudgetID]("bgt", string(b.By.Workspace), string(b.Actor), key)
	}
	stored, created, err := b.Store.CreateBudget(ctx, b.By, made)
	if err != nil {
		return use, false, err
	}
	if stored.Scope != made.Scope || stored.ScopeID != made.ScopeID || stored.Period != made.Period {
		return use, false, mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "this Idempotency-Key made %s; use another key for another budget", stored)
	}
	use, err = b.Store.Budget(ctx, b.By.Workspace, stored.ID)
	return use, created, err
}

// Set makes a budget, or changes the one that the scope has for the period.
func (b *Budgets) Set(ctx context.Context, n NewBudget) (mgx.BudgetUse, error) {
	use, _, err := b.Create(ctx, n, "")
	if !mgx.IsCode(err, mgx.CodeConflict) {
		return use, err
	}
	wanted, err := b.budget(n)
	if err != nil {
		return use, err
	}
	have, err := b.Store.Budgets(ctx, mgx.BudgetQuery{Workspace: b.By.Workspace, Scopes: []mgx.BudgetScope{wanted.Scope}, ScopeID: wanted.ScopeID})
	if err != nil {
		return use, err
	}
	at := slices.IndexFunc(have, func(u mgx.BudgetUse) bool { return u.Period == wanted.Period })
	if at < 0 {
		return use, mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "%s was just removed; try again", wanted)
	}
	wanted.ID = have[at].ID
	if n.Thresholds == nil {
		wanted.Thresholds = have[at].Thresholds
	}
	return b.update(ctx, wanted)
}

// BudgetChange says what is to be different. What is nil stays.
type BudgetChange struct {
	Limit      *mgx.Money      `json:"limit_usd"`
	Soft       json.RawMessage `json:"soft_limit_usd"` // null: none
	Thresholds []int           `json:"thresholds"`
}

// Change changes a budget.
func (b *Budgets) Change(ctx context.Context, id mgx.BudgetID, c BudgetChange) (mgx.BudgetUse, error) {
	use, err := b.Store.Budget(ctx, b.By.Workspace, id)
	if err != nil {
		return use, err
	}
	changed := use.Budget
	if c.Limit != nil {
		changed.Limit = *c.Limit
	}
	if len(c.Soft) > 0 {
		changed.Soft = nil
		if err := json.Unmarshal(c.Soft, &changed.Soft); err != nil {
			return use, mgx.Errorf(mgx.KindUsage, "bad_budget", "soft_limit_usd is an amount of US dollars, or null for none")
		}
	}
	if c.Thresholds != nil {
		changed.Thresholds = c.Thresholds
	}
	return b.update(ctx, changed)
}

func (b *Budgets) update(ctx context.Context, changed mgx.Budget) (mgx.BudgetUse, error) {
	changed.UpdatedBy = b.Actor
	if _, err := b.Store.UpdateBudget(ctx, b.By, changed); err != nil {
		return mgx.BudgetUse{}, err
	}
	return b.Store.Budget(ctx, b.By.Workspace, changed.ID)
}

// Remove deletes a budget. The ledger and the log keep what happened.
func (b *Budgets) Remove(ctx context.Context, id mgx.BudgetID) error {
	return b.Store.RemoveBudget(ctx, b.By, b.By.Workspace, id)
}

// Get returns a budget, how it stands and where it goes.
func (b *Budgets) Get(ctx context.Context, id mgx.BudgetID) (mgx.BudgetUse, error) {
	return b.Store.Budget(ctx, b.By.Workspace, id)
}

// List lists budgets with how they stand.
func (b *Budgets) List(ctx context.Context, q mgx.BudgetQuery) ([]mgx.BudgetUse, error) {
	q.Workspace = b.By.Workspace
	return b.Store.Budgets(ctx, q)
}

// Each calls f for every budget that a query selects, page by page.
func (b *Budgets) Each(ctx context.Context, q mgx.BudgetQuery, f func(mgx.BudgetUse) error) error {
	for q.Limit = usagePage; ; {
		page, err := b.List(ctx, q)
		if err != nil {
			return err
		}
		for _, u := range page {
			if err := f(u); err != nil {
				return err
			}
			q.After = u.ID
		}
		if len(page) < usagePage {
			return nil
		}
	}
}

// Usage sums the ledger up, or, by call, lists it: in lines of one form.
func (b *Budgets) Usage(ctx context.Context, q mgx.UsageQuery) ([]UsageRow, error) {
	q.Workspace = b.By.Workspace
	var rows []UsageRow
	if q.By == mgx.ByCall {
		entries, err := b.Store.Ledger(ctx, q)
		for _, e := range entries {
			rows = append(rows, rowOf(e))
		}
		return rows, err
	}
	lines, err := b.Store.Usage(ctx, q)
	for _, l := range lines {
		rows = append(rows, UsageRow{UsageLine: l})
	}
	return rows, err
}

// UsageRow is a line of usage.
type UsageRow = mgx.UsageRow

func rowOf(e mgx.LedgerEntry) UsageRow {
	r := UsageRow{UsageLine: mgx.UsageLine{Key: e.ID, Calls: 1, Usage: e.Usage}}
	if e.Settled == nil {
		r.OpenRows, r.Open = 1, e.Amount
	} else {
		r.Cost = *e.Settled
	}
	if e.Outcome == mgx.OutcomeLost {
		r.Lost = r.Cost
	}
	r.Call = &mgx.UsageCall{
		ReservedAt: e.ReservedAt, SettledAt: e.SettledAt, Outcome: e.Outcome, Provider: e.Provider, Model: e.Model, Role: e.Role, PriceVersion: e.PriceVersion,
		Reserved: e.Amount, Project: e.Project, Task: e.Task, Run: e.Run, User: e.User, Execution: e.Execution, Note: e.Note,
	}
	return r
}

// usagePage is how many budgets or lines are read at once.
const usagePage = 500

// EachUsage calls f for every line, page by page.
func (b *Budgets) EachUsage(ctx context.Context, q mgx.UsageQuery, f func(UsageRow) error) error {
	for q.Limit, q.After = usagePage, nil; ; {
		page, err := b.Usage(ctx, q)
		if err != nil {
			return err
		}
		for _, row := range page {
			if err := f(row); err != nil {
				return err
			}
			q.After = new(row.Key)
		}
		if len(page) < usagePage {
			return nil
		}
	}
}
