package store

import (
	"github.com/jackc/pgx/v5"

	"mgx"
)

// readBudgetsAtOnce reads the budgets of many keys.
func readBudgetsAtOnce(t *tx, keys []budgetKey) error {
	workspaces, scopes, ids := make([]string, len(keys)), make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		workspaces[i], scopes[i], ids[i] = string(k.workspace), string(k.scope), k.id
	}
	return t.readBudgets(`SELECT `+budgetColumns+` FROM budgets JOIN unnest($1::text[], $2::text[], $3::text[]) AS k(workspace, scope, scope_id) USING (workspace, scope, scope_id) ORDER BY period`,
		workspaces, scopes, ids)
}

// lockCounters locks rows of budget_periods in the order of their keys.
func lockCounters(t *tx, keys []counterKey) error {
	budgets, starts := make([]string, len(keys)), make([]int64, len(keys))
	for i, k := range keys {
		budgets[i], starts[i] = string(k.budget), k.start
	}
	return t.readCounterRows(`SELECT `+counterColumns+` FROM budget_periods WHERE (budget, starts_at) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))
		ORDER BY budget, starts_at FOR NO KEY UPDATE`, budgets, starts)
}

// lockStream takes the lock of a stream after the others, which is out of order
// unless only those want it who hold what it is about. Where it is, two may have
// to wait in a circle: the server ends one of them, which is tried again.
func lockStream(t *tx, id mgx.StreamID) error {
	if _, locked := t.log.heads[id]; locked {
		return nil
	}
	return t.asInstallation(func() error {
		if _, err := t.exec(`INSERT INTO streams (id, workspace, sequence) VALUES ($1, '', 0) ON CONFLICT DO NOTHING`, string(id)); err != nil {
			return err
		}
		var h head
		_, err := t.row(`SELECT sequence, workspace FROM streams WHERE id = $1 FOR NO KEY UPDATE`, []any{string(id)}, &h.sequence, &h.workspace)
		if err == nil {
			t.log.heads[id] = h
		}
		return err
	})
}

// lockMoney takes, after the other locks, those of what counts against budgets
// for the changes of a group: all that are there at once, and then makes what is
// not there yet.
func lockMoney(t *tx, jobs []*job) error {
	var calls []mgx.LedgerEntry
	var reserves []mgx.Reservation
	for _, j := range jobs {
		if j.change != nil && j.change.Reserve != nil {
			reserves = append(reserves, *j.change.Reserve)
			calls = append(calls, mgx.LedgerEntry{Reservation: *j.change.Reserve, ReservedAt: t.now})
		}
	}
	for _, e := range t.money.entries {
		if e.known {
			calls = append(calls, e.LedgerEntry)
		}
	}
	if len(calls) == 0 {
		return nil
	}
	if err := t.learn(calls); err != nil {
		return err
	}
	return each(reserves, func(r mgx.Reservation) error {
		_, err := t.ready(r)
		return err
	})
}

// readEntries remembers rows of the ledger that are locked.
func (l *locks) readEntries(rows pgx.Rows) error {
	for _, id := range l.entries {
		l.money.entries[id] = entry{} // unless it is among them
	}
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return err
		}
		l.money.entries[e.ID] = e
	}
	return rows.Err()
}
