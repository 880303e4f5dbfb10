package store

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"mgx"
)

// What counts for thresholds is what is settled; what refuses a call is that and
// what is reserved.

// amount is so many percent of a budget's limit.
func amount(b mgx.Budget, percent int64) mgx.Money {
	return b.Limit/100*mgx.Money(percent) + b.Limit%100*mgx.Money(percent)/100
}

// passed is the greatest threshold that an amount has reached, in percent.
func passed(b mgx.Budget, settled mgx.Money) (reached int64) {
	for _, percent := range b.Thresholds {
		if settled > 0 && settled >= amount(b, int64(percent)) {
			reached = int64(percent)
		}
	}
	return reached
}

// cross tells the log of every threshold that is reached for the first time in
// this period. Whoever settles, or changes the budget, holds the row that says which
// those are.
func (t *tx) cross(l limit) error {
	was, now := l.reached, passed(l.Budget, l.settled)
	soft := l.Soft != nil && l.settled > 0 && l.settled >= *l.Soft
	if now <= was && (!soft || l.soft) {
		return nil
	}
	use, err := t.use(l)
	if err != nil {
		return err
	}
	for _, percent := range l.Thresholds {
		if p := int64(percent); p > was && p <= now {
			if err := t.raise(use, mgx.BillingThresholdReached, thresholdData(use, amount(l.Budget, p), mgx.Level(float64(percent)))); err != nil {
				return err
			}
		}
	}
	if soft && !l.soft {
		if err := t.raise(use, mgx.BillingThresholdReached, thresholdData(use, *l.Soft, "warning")); err != nil {
			return err
		}
	}
	l.reached, l.soft = max(was, now), l.soft || soft
	t.money.setCounter(l.key, l.counter)
	return nil
}

// tellReached tells the log which thresholds of a budget that was made or changed are
// reached already.
func (t *tx) tellReached(b mgx.Budget) error {
	l := limit{Budget: b, key: keyOf(b, t.now)}
	if err := t.readCounters([]counterKey{l.key}); err != nil {
		return err
	}
	if l.counter = t.money.counters[l.key]; !l.exists {
		if err := t.beginPeriod(&l); err != nil {
			return err
		}
	}
	return t.cross(l)
}

func thresholdData(u mgx.BudgetUse, threshold mgx.Money, level string) mgx.ThresholdReachedData {
	d := mgx.ThresholdReachedData{
		ThresholdType: u.Period.ThresholdType(), Scope: string(u.Scope), ScopeID: u.ScopeID,
		UsageUSD: u.Settled, ThresholdUSD: threshold, Percentage: u.Percent(), Level: level, LimitUSD: &u.Limit,
		ByProvider: u.ByProvider, PeriodStart: u.Start, PeriodEnd: u.End,
	}
	if u.Forecast != nil {
		d.ProjectionUSD = u.Forecast.Projection
	}
	return d
}

// raise appends an event about a budget to the budget's own stream.
func (t *tx) raise(u mgx.BudgetUse, typ mgx.EventType, data any) error {
	e := mgx.NewEvent(typ, data)
	e.Workspace, e.Stream, e.Time = u.Workspace, mgx.StreamID(u.ID), t.now
	switch u.Scope {
	case mgx.ScopeProject:
		e.Project = mgx.ProjectID(u.ScopeID)
	case mgx.ScopeTask:
		e.Task = mgx.TaskID(u.ScopeID)
	case mgx.ScopeRun:
		if !strings.HasPrefix(u.ScopeID, runPrefix) {
			break
		}
		e.Run = mgx.RunID(u.ScopeID)
		e.Traceparent = e.Run.Traceparent()
	}
	e, err := t.normalEvent(e)
	if err == nil && e.Run != "" { // where it is read, too
		err = t.d.lockStream(t, mgx.StreamID(e.Run))
	}
	if err == nil {
		err = t.d.lockStream(t, e.Stream)
	}
	if err == nil {
		e, err = t.append(e)
	}
	t.money.raised = append(t.money.raised, e)
	return err
}

// use is how a budget stands, as this transaction has left it.
func (t *tx) use(l limit) (mgx.BudgetUse, error) {
	u := mgx.BudgetUse{Budget: l.Budget, Settled: l.settled, Reserved: l.reserved}
	if l.key.start != 0 {
		start, end := l.Period.Around(time.UnixMicro(l.key.start))
		u.Start, u.End = &start, &end
	}
	pending := t.pending(l.Budget, l.key.start)
	err := analyse(t.ctx, t.conn, &u, l.key.start, t.now, pending)
	return u, err
}

// analyse adds who was paid and a forecast.
func analyse(ctx context.Context, from session, u *mgx.BudgetUse, start int64, now time.Time, pending []entry) error {
	u.ByProvider = map[string]mgx.Money{}
	cond, args := spendingOf(u.Budget, start)
	rows, err := from.QueryContext(ctx, `SELECT provider, SUM(settled) FROM ledger WHERE settled IS NOT NULL AND `+cond+` GROUP BY provider`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var provider string
		var sum mgx.Money
		if err := rows.Scan(&provider, &sum); err != nil {
			return err
		}
		u.ByProvider[providerName(provider)] = sum
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, e := range pending {
		u.ByProvider[providerName(e.Provider)] += e.settledNow() - e.settledBefore()
	}
	maps.DeleteFunc(u.ByProvider, func(_ string, sum mgx.Money) bool { return sum == 0 })
	spending, err := spendingBefore(ctx, from, u.Budget, now)
	if err != nil {
		return err
	}
	for _, e := range pending {
		if n := len(spending.Parts); n > 0 {
			spending.Parts[n-1] += e.settledNow() - e.settledBefore()
		}
	}
	u.Forecast = mgx.NewForecast(*u, spending, now)
	return nil
}

// providerName is a provider as people see it: of what older versions recorded
// it is not known.
func providerName(p string) string {
	if p == "" {
		return "unknown"
	}
	return p
}

// spendingBefore is what was settled in a budget's scope, in this period and
// others, as forecasts look at it.
func spendingBefore(ctx context.Context, from session, b mgx.Budget, now time.Time) (s mgx.Spending, err error) {
	absolute := b
	absolute.Period = mgx.PeriodAbsolute
	cond, args := spendingOf(absolute, 0)
	var first *int64
	if err := from.QueryRowContext(ctx, `SELECT MIN(reserved_at) FROM ledger WHERE `+cond, args...).Scan(&first); err != nil || first == nil {
		return s, err
	}
	window, parts := mgx.ForecastWindow(b.Period)
	s.From = now.Add(-window)
	if began := time.UnixMicro(*first).UTC(); began.After(s.From) {
		s.From, window = began, now.Sub(began)
	}
	if window < mgx.LeastHistory {
		return mgx.Spending{From: s.From}, nil
	}
	s.Width, s.Parts = window/time.Duration(parts), make([]mgx.Money, parts)
	args = append(args, s.From.UnixMicro(), s.Width.Microseconds())
	rows, err := from.QueryContext(ctx, `SELECT (reserved_at - $3) / $4, SUM(settled) FROM ledger WHERE settled IS NOT NULL AND `+cond+` AND reserved_at >= $3 GROUP BY 1`, args...)
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		var part int64
		var sum mgx.Money
		if err := rows.Scan(&part, &sum); err != nil {
			return s, err
		}
		s.Parts[max(0, min(part, int64(parts-1)))] += sum
	}
	return s, rows.Err()
}

// alertEvery bounds how often the log is told that a budget refuses calls.
const alertEvery = time.Hour

// alert tells the log that a budget has refused a call, unless it was told within
// the hour. The call is refused whether or not that works.
func (s *Store) alert(ctx context.Context, b mgx.Budget) {
	if !s.alerts.due(b.ID, s.opts.Now()) {
		return
	}
	err := s.writeMoney(ctx, func(t *tx) error {
		if err := t.lockBudgets(); err != nil {
			return err
		}
		if b.ID == runBudget(mgx.RunID(b.ScopeID), b.Period) { // the change that was to make it was refused
			if err := t.insertBudget(b); err != nil {
				return err
			}
		}
		n, err := t.exec(`UPDATE budgets SET alerted_at = $1 WHERE id = $2 AND (alerted_at IS NULL OR alerted_at <= $3)`, t.now.UnixMicro(), string(b.ID), t.now.Add(-alertEvery).UnixMicro())
		if err != nil || n == 0 {
			return err
		}
		return t.tellRefusal(b)
	})
	if err != nil {
		s.alerts.forget(b.ID)
	}
}

// alerts spares asking the database for each refused call.
type alerts struct {
	mu   sync.Mutex
	last map[mgx.BudgetID]time.Time
}

const alertsKept = 10_000

func (a *alerts) due(id mgx.BudgetID, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, told := a.last[id]; told && now.Sub(last) < alertEvery {
		return false
	}
	if a.last == nil || len(a.last) >= alertsKept {
		a.last = map[mgx.BudgetID]time.Time{}
	}
	a.last[id] = now
	return true
}

func (a *alerts) forget(id mgx.BudgetID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.last, id)
}

func (t *tx) tellRefusal(b mgx.Budget) error {
	l := limit{Budget: b, key: keyOf(b, t.now)}
	var err error
	if l.settled, l.reserved, err = t.spent(b, l.key.start); err != nil {
		return err
	}
	u, err := t.use(l)
	if err != nil {
		return err
	}
	d := mgx.UsageAlertData{
		ThresholdType: b.Period.ThresholdType(), Scope: string(b.Scope), ScopeID: b.ScopeID, UsageUSD: u.Settled, Level: "critical",
		Message:      fmt.Sprintf("%s refuses calls: of %s, %s is spent and %s is set aside for calls under way", b, b.Limit, u.Settled, u.Reserved),
		ThresholdUSD: &u.Limit, Percentage: u.Percent(), ByProvider: u.ByProvider,
	}
	if u.Forecast != nil {
		d.ProjectionUSD = u.Forecast.Projection
	}
	return t.raise(u, mgx.BillingUsageAlert, d)
}

// tellExcess tells the log, at the narrowest budget of a call, that the call cost
// more than was set aside for it, which no budget could refuse.
func (t *tx) tellExcess(b mgx.Budget, e entry) error {
	settled, _, err := t.spent(b, startMicros(b.Period, e.ReservedAt))
	if err != nil {
		return err
	}
	return t.raise(mgx.BudgetUse{Budget: b}, mgx.BillingUsageAlert, mgx.UsageAlertData{
		ThresholdType: b.Period.ThresholdType(), Scope: string(b.Scope), ScopeID: b.ScopeID, UsageUSD: settled, Level: "critical",
		Message: fmt.Sprintf("a call of %s/%s cost %s, and %s was set aside as the most it could cost: see whether its price is right (mgx models), and what the provider counts",
			e.Provider, e.Model, *e.Settled, e.Amount),
	})
}
