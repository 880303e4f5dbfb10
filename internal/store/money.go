package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"mgx"
)

// money is what a transaction knows of the ledger and of what counts against
// budgets, and what it has changed of that. It writes with the commit, so that
// many calls against one budget change its row once.
//
// What holds between transactions: a row of budget_periods has the sums of the
// ledger's rows that its budget applies to and that were reserved in its period.
// It is made when it is first needed, from those rows; what changes a row of the
// ledger changes the sums that there are. So that nobody changes a row who does
// not know of a budget that comes into being, budgets are changed by nobody while
// somebody works with money (budgetsLock).
type money struct {
	locked   bool // no budget changes until the commit
	entries  map[string]entry
	changed  []string // entries, in the order in which they were
	budgets  map[budgetKey][]mgx.Budget
	counters map[counterKey]counter
	saved    struct { // before the running change
		entries  map[string]entry
		counters map[counterKey]counter
		changed  int
	}
	raised []mgx.Event // by the running change
	made   []budgetKey // what it made budgets for
}

// entry is a row of the ledger, or that there is none.
type entry struct {
	mgx.LedgerEntry
	known  bool       // it is in the ledger, or will be
	stored bool       // it is in the table
	was    *mgx.Money // settled, in the table
	dirty  bool
}

// budgetKey is what a budget can be for.
type budgetKey struct {
	workspace mgx.WorkspaceID
	scope     mgx.BudgetScope
	id        string
}

type counterKey struct {
	budget mgx.BudgetID
	start  int64 // microseconds; 0: absolute
}

// counter is a row of budget_periods.
type counter struct {
	settled, reserved mgx.Money
	reached           int64
	soft              bool
	exists            bool
	dirty             bool
}

func newMoney() *money {
	m := &money{entries: map[string]entry{}, budgets: map[budgetKey][]mgx.Budget{}, counters: map[counterKey]counter{}}
	m.mark()
	return m
}

func (m *money) mark() {
	m.saved.entries, m.saved.counters, m.saved.changed = map[string]entry{}, map[counterKey]counter{}, len(m.changed)
	m.raised, m.made = nil, nil
}

func (m *money) undo() {
	maps.Copy(m.entries, m.saved.entries)
	maps.Copy(m.counters, m.saved.counters)
	m.changed = m.changed[:m.saved.changed]
	for _, key := range m.made {
		delete(m.budgets, key)
	}
	m.mark()
}

func (m *money) setEntry(e entry) {
	if _, kept := m.saved.entries[e.ID]; !kept {
		m.saved.entries[e.ID] = m.entries[e.ID]
	}
	if !m.entries[e.ID].dirty {
		m.changed = append(m.changed, e.ID)
	}
	e.known, e.dirty = true, true
	m.entries[e.ID] = e
}

func (m *money) setCounter(k counterKey, c counter) {
	if _, kept := m.saved.counters[k]; !kept {
		m.saved.counters[k] = m.counters[k]
	}
	c.dirty = true
	m.counters[k] = c
}

// limit is a budget with what counts against it in the period of a call.
type limit struct {
	mgx.Budget
	key counterKey
	counter
}

// limits returns the budgets that apply to a reservation made at a moment, the
// narrowest scope and in it the shortest period first, with what counts against them where that is kept.
func (t *tx) limits(r mgx.Reservation, at time.Time) ([]limit, error) {
	if err := t.learn([]mgx.LedgerEntry{{Reservation: r, ReservedAt: at}}); err != nil {
		return nil, err
	}
	var all []limit
	for _, key := range budgetKeys(r) {
		for _, b := range t.money.budgets[key] {
			k := keyOf(b, at)
			all = append(all, limit{b, k, t.money.counters[k]})
		}
	}
	slices.SortStableFunc(all, func(a, b limit) int {
		return cmp.Or(slices.Index(mgx.BudgetScopes, a.Scope)-slices.Index(mgx.BudgetScopes, b.Scope), slices.Index(mgx.BudgetPeriods, a.Period)-slices.Index(mgx.BudgetPeriods, b.Period))
	})
	return all, nil
}

// budgetKeys are the keys that budgets for a reservation can have.
func budgetKeys(r mgx.Reservation) (keys []budgetKey) {
	for _, s := range mgx.BudgetScopes {
		if id := s.Of(r); id != "" {
			keys = append(keys, budgetKey{r.Workspace, s, id})
		}
	}
	return keys
}

func keyOf(b mgx.Budget, at time.Time) counterKey {
	return counterKey{b.ID, startMicros(b.Period, at)}
}

func startMicros(p mgx.BudgetPeriod, at time.Time) int64 {
	if start, _ := p.Around(at); !start.IsZero() {
		return start.UnixMicro()
	}
	return 0
}

// learn reads, and on a server locks, everything that counts against budgets for
// some calls, in one order for all.
func (t *tx) learn(calls []mgx.LedgerEntry) error {
	if err := t.lockBudgets(); err != nil {
		return err
	}
	var keys []budgetKey
	for _, c := range calls {
		for _, key := range budgetKeys(c.Reservation) {
			if _, known := t.money.budgets[key]; !known && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	if len(keys) > 0 {
		for _, key := range keys {
			t.money.budgets[key] = nil
		}
		if err := t.d.readBudgets(t, keys); err != nil {
			return err
		}
	}
	var wanted []counterKey
	for _, c := range calls {
		for _, key := range budgetKeys(c.Reservation) {
			for _, b := range t.money.budgets[key] {
				k := keyOf(b, c.ReservedAt)
				if _, known := t.money.counters[k]; !known {
					wanted = append(wanted, k)
				}
			}
		}
	}
	return t.readCounters(wanted)
}

// readCounters reads, and on a server locks, rows of budget_periods.
func (t *tx) readCounters(keys []counterKey) error {
	if len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, func(a, b counterKey) int {
		return cmp.Or(cmp.Compare(a.budget, b.budget), cmp.Compare(a.start, b.start))
	})
	keys = slices.Compact(keys)
	for _, k := range keys {
		t.money.counters[k] = counter{}
	}
	return t.d.readCounters(t, keys)
}

// beginPeriod makes the row of a budget's period, from what was spent in it before,
// of which the log was told nothing yet.
func (t *tx) beginPeriod(l *limit) error {
	settled, reserved, err := t.spent(l.Budget, l.key.start)
	if err != nil {
		return err
	}
	l.counter = counter{settled: settled, reserved: reserved, exists: true}
	if t.d.shareBudgets == "" { // nobody else can make it meanwhile
		t.money.setCounter(l.key, l.counter)
		return nil
	}
	_, err = t.exec(`INSERT INTO budget_periods (budget, starts_at, settled, reserved, reached, soft_reached) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (budget, starts_at) DO NOTHING`,
		string(l.Budget.ID), l.key.start, int64(l.settled), int64(l.reserved), l.reached, bit(l.soft))
	if err != nil {
		return err
	}
	delete(t.money.counters, l.key)
	if err = t.readCounters([]counterKey{l.key}); err == nil {
		l.counter = t.money.counters[l.key]
	}
	return err
}

// spent sums the ledger's rows that a budget applies to in one of its periods.
func (t *tx) spent(b mgx.Budget, start int64) (settled, reserved mgx.Money, err error) {
	cond, args := spendingOf(b, start)
	_, err = t.row(sumOfLedger+cond, args, &settled, &reserved)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range t.pending(b, start) {
		settled += e.settledNow() - e.settledBefore()
		reserved += e.openNow() - e.openBefore()
	}
	return settled, reserved, nil
}

// pending are the rows that this transaction has changed and not written, as far
// as a budget applies to them in the period.
func (t *tx) pending(b mgx.Budget, start int64) (list []entry) {
	for _, id := range t.money.changed {
		e := t.money.entries[id]
		if e.Workspace == b.Workspace && b.Scope.Of(e.Reservation) == b.ScopeID && startMicros(b.Period, e.ReservedAt) == start {
			list = append(list, e)
		}
	}
	return list
}

func (e entry) settledNow() mgx.Money    { return orZero(e.Settled) }
func (e entry) settledBefore() mgx.Money { return orZero(e.was) }

func (e entry) openNow() mgx.Money {
	if e.known && e.Settled == nil {
		return e.Amount
	}
	return 0
}

func (e entry) openBefore() mgx.Money {
	if e.stored && e.was == nil {
		return e.Amount
	}
	return 0
}

func orZero(m *mgx.Money) mgx.Money {
	if m == nil {
		return 0
	}
	return *m
}

// scopeColumns are where the ledger has what a budget can be for.
var scopeColumns = map[mgx.BudgetScope]string{
	mgx.ScopeWorkspace: "workspace", mgx.ScopeProject: "project", mgx.ScopeUser: "user_id", mgx.ScopeTask: "task", mgx.ScopeRun: "run", mgx.ScopeKey: "run",
}

// spendingOf selects the ledger's rows that a budget applies to in a period.
func spendingOf(b mgx.Budget, start int64) (cond string, args []any) {
	cond = `workspace = $1 AND ` + scopeColumns[b.Scope] + ` = $2`
	args = []any{string(b.Workspace), b.ScopeID}
	if b.Period != mgx.PeriodAbsolute {
		_, end := b.Period.Around(time.UnixMicro(start))
		cond += ` AND reserved_at >= $3 AND reserved_at < $4`
		args = append(args, start, end.UnixMicro())
	}
	return cond, args
}

// lockBudgets keeps budgets from being changed until the commit.
func (t *tx) lockBudgets() error {
	if t.money.locked || t.d.shareBudgets == "" {
		return nil
	}
	t.money.locked = true
	_, err := t.conn.ExecContext(t.ctx, t.d.shareBudgets)
	return err
}

// writeMoney runs f in a transaction of its own, in which what is settled may have
// something to tell the log.
func (s *Store) writeMoney(ctx context.Context, f func(*tx) error) error {
	return s.write(ctx, func(t *tx) error {
		t.normalEvent = s.normalEvent
		return f(t)
	})
}

// saveMoney writes what this transaction has changed.
func (t *tx) saveMoney() error {
	for _, id := range t.money.changed {
		e := t.money.entries[id]
		if err := t.saveEntry(e); err != nil {
			return err
		}
		e.dirty, e.stored, e.was = false, true, e.Settled
		t.money.entries[id] = e
	}
	t.money.changed = nil
	for k, c := range t.money.counters {
		if !c.dirty {
			continue
		}
		err := t.put(`INSERT INTO budget_periods (budget, starts_at, settled, reserved, reached, soft_reached) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (budget, starts_at) DO UPDATE SET settled = excluded.settled, reserved = excluded.reserved, reached = excluded.reached, soft_reached = excluded.soft_reached`,
			string(k.budget), k.start, int64(c.settled), int64(c.reserved), c.reached, bit(c.soft))
		if err != nil {
			return err
		}
		c.dirty = false
		t.money.counters[k] = c
	}
	return nil
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
