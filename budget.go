package mgx

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Budget limits what the calls in its scope may cost in each of its periods.
// What is settled, or reserved and not settled, never exceeds Limit: a call that
// might is refused before it is made. Changing a budget refuses, or allows, new
// calls only; those under way go on.
type Budget struct {
	ID         BudgetID     `json:"id"`
	Workspace  WorkspaceID  `json:"workspace_id"`
	Scope      BudgetScope  `json:"scope"`
	ScopeID    string       `json:"scope_id"` // of the workspace, project, user, task, run or key
	Period     BudgetPeriod `json:"period"`
	Limit      Money        `json:"limit_usd"`
	Soft       *Money       `json:"soft_limit_usd,omitempty"` // only warns
	Thresholds []int        `json:"thresholds"`               // in percent of Limit, ascending; reaching one is told in the log
	CreatedBy  UserID       `json:"created_by"`
	UpdatedBy  UserID       `json:"updated_by"`
	CreatedAt  time.Time    `json:"created_at"`
	UpdatedAt  time.Time    `json:"updated_at"`
}

// BudgetID names a budget: bgt_…
type BudgetID string

// BudgetScope is what a budget is for.
type BudgetScope string

const (
	ScopeWorkspace BudgetScope = "workspace"
	ScopeProject   BudgetScope = "project"
	ScopeUser      BudgetScope = "user"
	ScopeTask      BudgetScope = "task"
	ScopeRun       BudgetScope = "run"
	ScopeKey       BudgetScope = "key" // of the gateway
)

// BudgetScopes are all scopes, the narrowest first: in this order a call is held
// against budgets.
var BudgetScopes = []BudgetScope{ScopeRun, ScopeKey, ScopeTask, ScopeUser, ScopeProject, ScopeWorkspace}

// BudgetPeriod is after which time a budget begins anew.
type BudgetPeriod string

const (
	PeriodDay      BudgetPeriod = "day"   // of UTC
	PeriodMonth    BudgetPeriod = "month" // of the calendar, in UTC
	PeriodAbsolute BudgetPeriod = "absolute"
)

// BudgetPeriods are all periods, the shortest first.
var BudgetPeriods = []BudgetPeriod{PeriodDay, PeriodMonth, PeriodAbsolute}

// Around returns the period that a moment is in: from start, up to and without
// end. An absolute one has neither.
func (p BudgetPeriod) Around(at time.Time) (start, end time.Time) {
	y, m, d := at.UTC().Date()
	switch p {
	case PeriodDay:
		start = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		end = start.AddDate(0, 0, 1)
	case PeriodMonth:
		start = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
		end = start.AddDate(0, 1, 0)
	}
	return start, end
}

// ThresholdType is the period as events name it.
func (p BudgetPeriod) ThresholdType() string {
	switch p {
	case PeriodDay:
		return "daily"
	case PeriodMonth:
		return "monthly"
	}
	return "absolute"
}

// DefaultThresholds are those of a budget that names none.
var DefaultThresholds = []int{50, 80, 100}

// MaxBudget is the greatest limit. Sums of what is spent stay far below what
// Money can hold.
const MaxBudget = 1_000_000_000 * USD

// maxThresholds bounds the thresholds of one budget.
const maxThresholds = 10

// Normal returns the budget with its thresholds in order, the default ones when
// it names none, or says what is wrong with it.
func (b Budget) Normal() (Budget, error) {
	bad := func(format string, args ...any) (Budget, error) {
		return b, Errorf(KindUsage, "bad_budget", format, args...)
	}
	if b.Thresholds == nil {
		b.Thresholds = DefaultThresholds
	}
	b.Thresholds = slices.Clone(b.Thresholds)
	slices.Sort(b.Thresholds)
	b.Thresholds = slices.Compact(b.Thresholds)
	switch {
	case !slices.Contains(BudgetScopes, b.Scope):
		return bad("a budget is for a workspace, project, user, task, run or key, not for a %q", cut(string(b.Scope)))
	case b.ScopeID == "" || len(b.ScopeID) > 200 || strings.ContainsFunc(b.ScopeID, notInID):
		return bad("a budget names what it is for by its id, such as %s", exampleID(b.Scope))
	case b.Scope == ScopeWorkspace && b.ScopeID != string(b.Workspace):
		return bad("a budget of this workspace is for %s, not for another", b.Workspace)
	case (b.Scope == ScopeRun || b.Scope == ScopeKey) && b.Scope != (Reservation{Run: RunID(b.ScopeID)}).Spender():
		return bad("a budget of a %s is for %s, not for %s", b.Scope, exampleID(b.Scope), b.ScopeID)
	case !slices.Contains(BudgetPeriods, b.Period):
		return bad("a budget's period is day, month or absolute, not %q", cut(string(b.Period)))
	case b.Limit < 0 || b.Limit > MaxBudget:
		return bad("a budget's limit is from 0 to 1,000,000,000 dollars")
	case b.Soft != nil && (*b.Soft < 0 || *b.Soft > b.Limit):
		return bad("a budget's soft limit is from 0 up to its limit, which is %s", b.Limit)
	case len(b.Thresholds) > maxThresholds:
		return bad("a budget has at most %d thresholds", maxThresholds)
	}
	for _, percent := range b.Thresholds {
		if percent < 1 || percent > 100 {
			return bad("a threshold is from 1 to 100 percent of the limit, not %d", percent)
		}
	}
	return b, nil
}

// notInID reports whether a character is in no id.
func notInID(c rune) bool { return c <= ' ' || c > '~' }

func exampleID(s BudgetScope) string {
	switch s {
	case ScopeProject:
		return "proj_…"
	case ScopeUser:
		return "user_…"
	case ScopeTask:
		return "task_…"
	case ScopeRun:
		return "run_…"
	case ScopeKey:
		return "key_…"
	}
	return "ws_…"
}

func cut(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// String says which budget it is, as in "the monthly budget of project proj_x".
func (b Budget) String() string {
	kind := ""
	switch b.Period {
	case PeriodDay:
		kind = "daily "
	case PeriodMonth:
		kind = "monthly "
	}
	return fmt.Sprintf("the %sbudget of %s %s", kind, b.Scope, b.ScopeID)
}

// Of returns what of a reservation a budget of this scope is for; empty: nothing.
func (s BudgetScope) Of(r Reservation) string {
	switch s {
	case ScopeWorkspace:
		return string(r.Workspace)
	case ScopeProject:
		return string(r.Project)
	case ScopeUser:
		return string(r.User)
	case ScopeTask:
		return string(r.Task)
	case ScopeRun, ScopeKey:
		if s == r.Spender() {
			return string(r.Run)
		}
	}
	return ""
}

// Spender is the scope of what makes a call: a run, or a key of the gateway, which
// is kept where a run is.
func (r Reservation) Spender() BudgetScope {
	if strings.HasPrefix(string(r.Run), "key_") {
		return ScopeKey
	}
	return ScopeRun
}

// BudgetUse is how a budget stands in one of its periods.
type BudgetUse struct {
	Budget
	Start    *time.Time `json:"period_start,omitempty"` // nil: absolute
	End      *time.Time `json:"period_end,omitempty"`
	Settled  Money      `json:"settled_usd"`
	Reserved Money      `json:"reserved_usd"` // for calls under way

	ByProvider map[string]Money `json:"by_provider,omitempty"`
	Forecast   *Forecast        `json:"forecast,omitempty"` // nil: too little was spent yet to say
}

// Left is what may still be reserved.
func (u BudgetUse) Left() Money { return max(0, u.Limit-u.Settled-u.Reserved) }

// Percent is how much of the limit is settled. Nothing of nothing is all.
func (u BudgetUse) Percent() float64 {
	if u.Limit == 0 {
		return 100
	}
	return 100 * float64(u.Settled) / float64(u.Limit)
}

// Level says how much it matters that so much of a budget is settled: info,
// warning from 80 percent, critical from 100.
func Level(percent float64) string {
	switch {
	case percent >= 100:
		return "critical"
	case percent >= 80:
		return "warning"
	}
	return "info"
}

// BudgetQuery selects budgets of a workspace.
type BudgetQuery struct {
	Workspace WorkspaceID
	Scopes    []BudgetScope // any of these; none: all
	ScopeID   string
	After     BudgetID // the last of the page before
	Limit     int      // 0: as many as one answer holds
}

// LedgerEntry is one attempt of a model call in the ledger: what was set aside
// for it, and what came of it. It counts in the periods of ReservedAt.
type LedgerEntry struct {
	Reservation
	Execution  ExecutionID
	Term       int64 // of the lease it was made under
	ReservedAt time.Time
	Settled    *Money // nil: open
	Usage      Usage
	Outcome    Outcome // empty: open
	SettledAt  time.Time
}
