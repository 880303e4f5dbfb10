package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"mgx"
)

const ledgerColumns = `id, workspace, project, task, run, user_id, execution, term, owner, lease_until, provider, model, role, price_version,
	reserved, settled, outcome, prompt, completion, cached, cache_write, reasoning, note, reserved_at, settled_at`

// sumOfLedger, with a condition, is what is settled, and reserved and not settled.
const sumOfLedger = `SELECT COALESCE(SUM(settled), 0), COALESCE(SUM(CASE WHEN settled IS NULL THEN reserved ELSE 0 END), 0) FROM ledger WHERE `

// reserve sets money aside, against every budget that applies, or names the
// first that does not allow it. What counts against them is locked, or there is
// one writer, so no two reservations see the same sums.
func (t *tx) reserve(r mgx.Reservation, lease *mgx.Lease) error {
	if r.ID == "" || r.Workspace == "" || r.Amount < 0 {
		return mgx.Errorf(mgx.KindInternal, "bad_reservation", "a reservation needs an id, a workspace and an amount of at least zero; got %q %q %s", r.ID, r.Workspace, r.Amount)
	}
	e, err := t.entry(r.ID)
	if err != nil {
		return err
	}
	if e.known {
		return mgx.Errorf(mgx.KindInternal, mgx.CodeConflict, "reservation %s exists already", r.ID)
	}
	limits, err := t.ready(r)
	if err != nil {
		return err
	}
	for _, l := range limits {
		if err := l.allows(r); err != nil {
			return err
		}
	}
	t.money.setEntry(newEntry(r, lease, t.now))
	for _, l := range limits {
		l.reserved += r.Amount
		t.money.setCounter(l.key, l.counter)
		if err := t.cross(l); err != nil { // of a budget that r brought along
			return err
		}
	}
	return nil
}

// ready returns the budgets that apply to a new reservation, each with what
// counts against it.
func (t *tx) ready(r mgx.Reservation) ([]limit, error) {
	if err := t.ensureCap(r); err != nil {
		return nil, err
	}
	limits, err := t.limits(r, t.now)
	for i := range limits {
		if err == nil && !limits[i].exists {
			err = t.beginPeriod(&limits[i])
		}
	}
	return limits, err
}

func newEntry(r mgx.Reservation, lease *mgx.Lease, now time.Time) entry {
	r.Cap = nil
	if r.Until.IsZero() {
		r.Until = now.Add(mgx.MaxReservation)
	}
	r.Until = utc(r.Until)
	e := entry{LedgerEntry: mgx.LedgerEntry{Reservation: r, ReservedAt: now}}
	if lease != nil {
		e.Owner, e.Execution, e.Term = lease.Owner, lease.Execution, lease.Term
	}
	return e
}

// refusal is the cause of the error for a reservation that a budget does not
// allow.
type refusal struct {
	budget                     mgx.Budget
	settled, reserved, refused mgx.Money
}

// Error has the amounts that decided, for logs, in nanodollars.
func (r *refusal) Error() string {
	return fmt.Sprintf("%s settled %d reserved %d limit %d refused %d", r.budget.ID, r.settled, r.reserved, r.budget.Limit, r.refused)
}

// allows refuses what is more than is left.
func (l limit) allows(r mgx.Reservation) error {
	taken := l.settled + l.reserved
	cause := &refusal{l.Budget, l.settled, l.reserved, r.Amount}
	if r.Unpriced {
		return &mgx.Error{Kind: mgx.KindBudget, Code: mgx.CodePriceUnknown, Err: cause, Message: fmt.Sprintf(
			"the price of %s/%s is not known, so %s cannot be kept: give the price with --price IN,OUT (US dollars per million tokens), or use another model", r.Provider, r.Model, l.Budget)}
	}
	if taken <= l.Limit && r.Amount <= l.Limit-taken {
		return nil
	}
	return &mgx.Error{Kind: mgx.KindBudget, Code: mgx.CodeBudgetExceeded, Err: cause, Message: l.refuses(r.Amount)}
}

// refuses says which budget it is, how it stands and what to do.
func (l limit) refuses(amount mgx.Money) string {
	left := max(0, l.Limit-l.settled-l.reserved)
	said := fmt.Sprintf("%s does not allow a call that may cost %s: of %s, %s is spent and %s is set aside for calls under way, which leaves %s",
		l.Budget, amount, l.Limit, l.settled, l.reserved, left)
	raise := fmt.Sprintf("raise it with: mgx budget set --%s %s --period %s --limit USD", l.Scope, l.ScopeID, l.Period)
	if l.Scope == mgx.ScopeWorkspace {
		raise = fmt.Sprintf("raise it with: mgx budget set --period %s --limit USD", l.Period)
	}
	if l.key.start == 0 {
		return said + "; " + raise
	}
	_, end := l.Period.Around(time.UnixMicro(l.key.start))
	return fmt.Sprintf("%s until %s; wait until then, or %s", said, end.Format("2006-01-02 15:04 MST"), raise)
}

// ensureCap makes the own budget of a run or a key for the first reservation that brings its
// limit along. Later the budget counts, which somebody may have changed.
func (t *tx) ensureCap(r mgx.Reservation) error {
	if r.Cap == nil || r.Run == "" {
		return nil
	}
	key := budgetKey{r.Workspace, r.Spender(), string(r.Run)}
	if err := t.learn([]mgx.LedgerEntry{{Reservation: r, ReservedAt: t.now}}); err != nil {
		return err
	}
	period := cmp.Or(r.CapPeriod, mgx.PeriodAbsolute)
	for _, b := range t.money.budgets[key] {
		if b.Period == period {
			return nil
		}
	}
	b, err := mgx.Budget{
		ID: runBudget(r.Run, period), Workspace: r.Workspace, Scope: r.Spender(), ScopeID: string(r.Run), Period: period, Limit: *r.Cap,
		CreatedBy: r.User, UpdatedBy: r.User, CreatedAt: t.now, UpdatedAt: t.now,
	}.Normal()
	if err != nil {
		return err
	}
	if t.d.shareBudgets != "" { // of this run nobody reserves now, and what is settled is settled first or after
		if _, err := t.conn.ExecContext(t.ctx, `SELECT FROM ledger WHERE run = $1 AND settled IS NULL ORDER BY id FOR NO KEY UPDATE`, string(r.Run)); err != nil {
			return err
		}
	}
	if err := t.insertBudget(b); err != nil {
		return err
	}
	delete(t.money.budgets, key)
	t.money.made = append(t.money.made, key)
	return nil
}

// runBudget is the id of the budget that a run brings along.
func runBudget(run mgx.RunID, p mgx.BudgetPeriod) mgx.BudgetID {
	if p == mgx.PeriodAbsolute {
		return mgx.BudgetID("bgt_" + string(run))
	}
	return mgx.BudgetID("bgt_" + string(run) + "_" + string(p))
}

// settle replaces a reservation by what was spent.
func (t *tx) settle(g mgx.Settlement) error {
	if g.Amount < 0 {
		return mgx.Errorf(mgx.KindInternal, "bad_settlement", "settlement %s is negative", g.ID)
	}
	e, err := t.entry(g.ID)
	if err != nil {
		return err
	}
	if !e.known || e.Settled != nil {
		return mgx.Errorf(mgx.KindInternal, mgx.CodeConflict, "reservation %s is not open: it was settled, was lost, or was never made", g.ID)
	}
	if g.Outcome == "" {
		g.Outcome = mgx.OutcomeDone
	}
	return t.close(e, g)
}

// close settles an open row in the periods it was reserved in.
func (t *tx) close(e entry, g mgx.Settlement) error {
	limits, err := t.limits(e.Reservation, e.ReservedAt)
	if err != nil {
		return err
	}
	e.Settled, e.Usage, e.Outcome, e.SettledAt = &g.Amount, g.Usage, g.Outcome, t.now
	t.money.setEntry(e)
	for _, l := range limits {
		if !l.exists {
			continue // made from the ledger when it is needed
		}
		l.reserved -= e.Amount
		l.settled += g.Amount
		t.money.setCounter(l.key, l.counter)
		if err := t.cross(l); err != nil {
			return err
		}
	}
	if g.Amount > e.Amount && len(limits) > 0 {
		return t.tellExcess(limits[0].Budget, e)
	}
	return nil
}

// lose settles what an execution has left open, in full: whoever reserved it can
// settle nothing more, and the provider may have been paid. Whether a call was
// sent at all is not known; to find out would cost a transaction for each.
func (t *tx) lose(x mgx.ExecutionID) error {
	if x == "" {
		return nil
	}
	_, err := t.loseWhere(`execution = $1`, string(x))
	return err
}

func (t *tx) loseWhere(cond string, args ...any) (lost int, err error) {
	list, err := t.openEntries(cond, args...)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	calls := make([]mgx.LedgerEntry, len(list))
	for i, e := range list {
		calls[i] = e.LedgerEntry
	}
	if err := t.learn(calls); err != nil {
		return 0, err
	}
	for _, e := range list {
		if err := t.close(e, mgx.Settlement{Amount: e.Amount, Outcome: mgx.OutcomeLost}); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// openEntries reads, and on a server locks, rows that are open, as this
// transaction has left them. Rows that it made and has not written are not
// among them.
func (t *tx) openEntries(cond string, args ...any) (open []entry, err error) {
	rows, err := t.conn.QueryContext(t.ctx, `SELECT `+ledgerColumns+` FROM ledger WHERE settled IS NULL AND `+cond+` ORDER BY id`+t.d.lockRead, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, err
		}
		if own, known := t.money.entries[e.ID]; known {
			e = own
		} else {
			t.money.entries[e.ID] = e
		}
		if e.Settled == nil {
			open = append(open, e)
		}
	}
	return open, rows.Err()
}

// entry finds a row of the ledger.
func (t *tx) entry(id string) (entry, error) {
	if e, looked := t.money.entries[id]; looked {
		return e, nil
	}
	e, err := scanEntry(t.conn.QueryRowContext(t.ctx, `SELECT `+ledgerColumns+` FROM ledger WHERE id = $1`+t.d.lockRead, id))
	if err == sql.ErrNoRows {
		err = nil
	}
	if err == nil {
		t.money.entries[id] = e
	}
	return e, err
}

func scanEntry(row scanner) (e entry, err error) {
	var settledAt sql.NullInt64
	var until, at int64
	err = row.Scan(&e.ID, &e.Workspace, &e.Project, &e.Task, &e.Run, &e.User, &e.Execution, &e.Term, &e.Owner, &until, &e.Provider, &e.Model, &e.Role, &e.PriceVersion,
		&e.Amount, &e.Settled, &e.Outcome, &e.Usage.Prompt, &e.Usage.Completion, &e.Usage.Cached, &e.Usage.CacheWrite, &e.Usage.Reasoning, &e.Note, &at, &settledAt)
	if err != nil {
		return entry{}, err
	}
	e.Until, e.ReservedAt, e.SettledAt = time.UnixMicro(until).UTC(), time.UnixMicro(at).UTC(), fromMicros(settledAt)
	e.known, e.stored, e.was = true, true, e.Settled
	return e, nil
}

func (t *tx) saveEntry(e entry) error {
	var settled any
	if e.Settled != nil {
		settled = int64(*e.Settled)
	}
	if e.stored {
		return t.put(`UPDATE ledger SET settled = $1, outcome = $2, prompt = $3, completion = $4, cached = $5, cache_write = $6, reasoning = $7, settled_at = $8 WHERE id = $9`,
			settled, string(e.Outcome), e.Usage.Prompt, e.Usage.Completion, e.Usage.Cached, e.Usage.CacheWrite, e.Usage.Reasoning, micros(e.SettledAt), e.ID)
	}
	return t.put(`INSERT INTO ledger (`+ledgerColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)`,
		e.ID, string(e.Workspace), string(e.Project), string(e.Task), string(e.Run), string(e.User), string(e.Execution), e.Term, e.Owner, e.Until.UnixMicro(),
		e.Provider, e.Model, e.Role, e.PriceVersion, int64(e.Amount), settled, string(e.Outcome),
		e.Usage.Prompt, e.Usage.Completion, e.Usage.Cached, e.Usage.CacheWrite, e.Usage.Reasoning, e.Note, e.ReservedAt.UnixMicro(), micros(e.SettledAt))
}

// Spent returns what a run has settled, and what is reserved and still open.
func (s *Store) Spent(ctx context.Context, run mgx.RunID) (settled, open mgx.Money, err error) {
	err = s.reads.QueryRowContext(ctx, sumOfLedger+`run = $1`, string(run)).Scan(&settled, &open)
	return settled, open, s.explain(err)
}

// reapMost is how many reservations one transaction gives up.
const reapMost = 1000

// Reap gives up reservations that nobody settled in time, and returns how many
// those were. What an execution reserved is given up when it is claimed anew or
// ends, long before; this is for calls without one.
func (s *Store) Reap(ctx context.Context) (reaped int, err error) {
	ctx = mgx.ForInstallation(ctx)
	for {
		due, _, err := get(ctx, s, scanCount, `SELECT COUNT(*) FROM ledger WHERE settled IS NULL AND lease_until <= $1`, s.opts.Now().UnixMicro())
		if err != nil || due == 0 { // look first without the write lock
			return reaped, err
		}
		var lost int
		err = s.writeMoney(ctx, func(t *tx) error {
			lost, err = t.loseWhere(`id IN (SELECT id FROM ledger WHERE settled IS NULL AND lease_until <= $1 ORDER BY lease_until, id LIMIT $2)`, t.now.UnixMicro(), reapMost)
			return err
		})
		if err != nil || lost == 0 {
			return reaped, err
		}
		reaped += lost
	}
}
