package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"mgx"
)

const (
	budgetColumns  = `id, workspace, scope, scope_id, period, hard_limit, soft_limit, thresholds, created_by, updated_by, created_at, updated_at`
	counterColumns = `budget, starts_at, settled, reserved, reached, soft_reached`
)

// CreateBudget stores a budget. What was spent in its scope counts from the
// beginning of its period, also what was spent before there was the budget; the
// thresholds that this has reached are told with it. When there is one with this id already it is returned, and created is false.
// CodeConflict: the scope has one with this period.
func (s *Store) CreateBudget(ctx context.Context, by mgx.Doer, b mgx.Budget) (stored mgx.Budget, created bool, err error) {
	if b.ID == "" || b.Workspace == "" {
		return b, false, mgx.Errorf(mgx.KindInternal, "bad_budget", "a budget needs an id and a workspace")
	}
	if b, err = b.Normal(); err != nil {
		return b, false, err
	}
	err = s.act(ctx, by, "budget.create", func(t *tx, a *act) error {
		created = false
		if err := t.alterBudgets(); err != nil {
			return err
		}
		found, err := t.readBudget(b.Workspace, b.ID, &stored)
		if err != nil || found {
			return err
		}
		if err := t.room(b.Workspace, mgx.QuotaBudgets); err != nil {
			return err
		}
		b.CreatedAt, b.UpdatedAt = t.now, t.now
		if err := t.insertBudget(b); err != nil {
			return err
		}
		// Another one may be there for the same.
		if found, err = t.readBudget(b.Workspace, b.ID, &stored); err != nil || !found {
			if err == nil {
				err = mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "there is %s already; change that one", b)
			}
			return err
		}
		created, a.resource, a.after = true, string(b.ID), stored
		return t.tellReached(stored)
	})
	return stored, created, err
}

// insertBudget stores a budget, unless its scope has one with this period.
func (t *tx) insertBudget(b mgx.Budget) error {
	var soft any
	if b.Soft != nil {
		soft = int64(*b.Soft)
	}
	_, err := t.exec(`INSERT INTO budgets (`+budgetColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (workspace, scope, scope_id, period) DO NOTHING`,
		string(b.ID), string(b.Workspace), string(b.Scope), b.ScopeID, string(b.Period), int64(b.Limit), soft, mustJSON(b.Thresholds),
		string(b.CreatedBy), string(b.UpdatedBy), b.CreatedAt.UnixMicro(), b.UpdatedAt.UnixMicro())
	return err
}

// UpdateBudget replaces a budget's limit, soft limit and thresholds. Calls that
// are under way go on; a limit below what is spent refuses new ones. Thresholds that
// are reached by it are told with it.
func (s *Store) UpdateBudget(ctx context.Context, by mgx.Doer, b mgx.Budget) (mgx.Budget, error) {
	b, err := b.Normal()
	if err != nil {
		return b, err
	}
	err = s.act(ctx, by, "budget.update", func(t *tx, a *act) error {
		if err := t.alterBudgets(); err != nil {
			return err
		}
		var before mgx.Budget
		if _, err := t.readBudget(b.Workspace, b.ID, &before); err != nil {
			return err
		}
		var soft any
		if b.Soft != nil {
			soft = int64(*b.Soft)
		}
		n, err := t.exec(`UPDATE budgets SET hard_limit = $1, soft_limit = $2, thresholds = $3, updated_by = $4, updated_at = $5 WHERE workspace = $6 AND id = $7`,
			int64(b.Limit), soft, mustJSON(b.Thresholds), string(b.UpdatedBy), t.now.UnixMicro(), string(b.Workspace), string(b.ID))
		if err == nil && n == 0 {
			err = noBudget(string(b.ID))
		}
		if err == nil {
			_, err = t.readBudget(b.Workspace, b.ID, &b)
		}
		a.resource, a.before, a.after = string(b.ID), before, b
		if err != nil {
			return err
		}
		return t.tellReached(b)
	})
	return b, err
}

// RemoveBudget deletes a budget. The ledger and the log keep what happened.
func (s *Store) RemoveBudget(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.BudgetID) error {
	return s.act(ctx, by, "budget.remove", func(t *tx, a *act) error {
		if err := t.alterBudgets(); err != nil {
			return err
		}
		var before mgx.Budget
		if _, err := t.readBudget(ws, id, &before); err != nil {
			return err
		}
		a.resource, a.before = string(id), before
		if _, err := t.exec(`DELETE FROM budget_periods WHERE budget IN (SELECT id FROM budgets WHERE workspace = $1 AND id = $2)`, string(ws), string(id)); err != nil {
			return err
		}
		n, err := t.exec(`DELETE FROM budgets WHERE workspace = $1 AND id = $2`, string(ws), string(id))
		if err == nil && n == 0 {
			err = noBudget(string(id))
		}
		return err
	})
}

// alterBudgets waits until nobody works with money, and keeps everybody from it
// until the commit.
func (t *tx) alterBudgets() error {
	t.money.locked = true
	if t.d.alterBudgets == "" {
		return nil
	}
	_, err := t.conn.ExecContext(t.ctx, t.d.alterBudgets)
	return err
}

func noBudget(id string) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no budget %s; see: mgx budget list", id)
}

// Budgets lists budgets by id, each with how it stands now, without a forecast.
func (s *Store) Budgets(ctx context.Context, q mgx.BudgetQuery) ([]mgx.BudgetUse, error) {
	w := &where{}
	w.is("workspace =", string(q.Workspace))
	in(w, "scope", q.Scopes)
	if q.ScopeID != "" {
		w.is("scope_id =", q.ScopeID)
	}
	if q.After != "" {
		w.is("id >", string(q.After))
	}
	return s.uses(ctx, w, q.Limit)
}

// Budget returns one budget with how it stands now: what is settled, reserved,
// who was paid, and where it goes.
func (s *Store) Budget(ctx context.Context, ws mgx.WorkspaceID, id mgx.BudgetID) (mgx.BudgetUse, error) {
	w := &where{}
	w.is("workspace =", string(ws))
	w.is("id =", string(id))
	found, err := s.uses(ctx, w, 1)
	if err == nil && len(found) == 0 {
		err = noBudget(string(id))
	}
	if err != nil {
		return mgx.BudgetUse{}, err
	}
	u := found[0]
	now := s.opts.Now()
	err = analyse(ctx, s.reads, &u, startMicros(u.Period, now), now, nil)
	return u, s.explain(err)
}

// uses reads budgets with their rows of the period that is now, one per budget.
func (s *Store) uses(ctx context.Context, w *where, most int) ([]mgx.BudgetUse, error) {
	now := s.opts.Now()
	day, month := w.arg(startMicros(mgx.PeriodDay, now)), w.arg(startMicros(mgx.PeriodMonth, now))
	all, err := list(ctx, s, func(row scanner) (mgx.BudgetUse, error) { return scanUse(row, now) },
		`SELECT `+budgetColumns+`, COALESCE(p.settled, -1), COALESCE(p.reserved, 0) FROM budgets LEFT JOIN budget_periods p
			ON p.budget = id AND p.starts_at = CASE period WHEN 'day' THEN CAST(`+day+` AS BIGINT) WHEN 'month' THEN CAST(`+month+` AS BIGINT) ELSE 0 END`+
			w.String()+` ORDER BY id LIMIT `+w.arg(bounded(most, MaxListed)), w.args...)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Settled < 0 { // nothing was reserved in this period since there is the budget
			if err := s.countUse(ctx, &all[i], now); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// countUse sums what the ledger has for a budget whose period has no row yet.
func (s *Store) countUse(ctx context.Context, u *mgx.BudgetUse, now time.Time) error {
	cond, args := spendingOf(u.Budget, startMicros(u.Period, now))
	err := s.reads.QueryRowContext(ctx, sumOfLedger+cond, args...).
		Scan(&u.Settled, &u.Reserved)
	return s.explain(err)
}

func scanUse(row scanner, now time.Time) (u mgx.BudgetUse, err error) {
	u.Budget, err = scanBudget(withMore{row, []any{&u.Settled, &u.Reserved}})
	if start, end := u.Period.Around(now); !start.IsZero() {
		u.Start, u.End = &start, &end
	}
	return u, err
}

// withMore scans more columns at the end of a row.
type withMore struct {
	row  scanner
	more []any
}

func (w withMore) Scan(dest ...any) error { return w.row.Scan(append(dest, w.more...)...) }

func scanBudget(row scanner) (b mgx.Budget, err error) {
	var thresholds string
	var created, updated int64
	err = row.Scan(&b.ID, &b.Workspace, &b.Scope, &b.ScopeID, &b.Period, &b.Limit, &b.Soft, &thresholds, &b.CreatedBy, &b.UpdatedBy, &created, &updated)
	if err != nil {
		return b, err
	}
	b.CreatedAt, b.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	if err := json.Unmarshal([]byte(thresholds), &b.Thresholds); err != nil {
		return b, badRow("thresholds", err)
	}
	return b, nil
}

// readBudget reads one budget inside the transaction.
func (t *tx) readBudget(ws mgx.WorkspaceID, id mgx.BudgetID, into *mgx.Budget) (found bool, err error) {
	b, err := scanBudget(t.conn.QueryRowContext(t.ctx, `SELECT `+budgetColumns+` FROM budgets WHERE workspace = $1 AND id = $2`, string(ws), string(id)))
	if err == sql.ErrNoRows {
		return false, nil
	}
	if err == nil {
		*into = b
	}
	return err == nil, err
}

// readBudgets remembers the budgets that a query finds.
func (t *tx) readBudgets(query string, args ...any) error {
	rows, err := t.conn.QueryContext(t.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		b, err := scanBudget(rows)
		if err != nil {
			return err
		}
		key := budgetKey{b.Workspace, b.Scope, b.ScopeID}
		t.money.budgets[key] = append(t.money.budgets[key], b)
	}
	return rows.Err()
}

// readCounterRows remembers the rows of budget_periods that a query finds.
func (t *tx) readCounterRows(query string, args ...any) error {
	rows, err := t.conn.QueryContext(t.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var k counterKey
		c := counter{exists: true}
		var soft int64
		if err := rows.Scan(&k.budget, &k.start, &c.settled, &c.reserved, &c.reached, &soft); err != nil {
			return err
		}
		c.soft = soft == 1
		t.money.counters[k] = c
	}
	return rows.Err()
}
