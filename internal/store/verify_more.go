package store

import "mgx"

// checkJournals: the steps of an execution are numbered without a gap.
func checkJournals(v *verifier) error {
	return v.none("the journal of execution %s has a gap", `SELECT execution FROM steps GROUP BY execution HAVING MIN(ord) <> 1 OR MAX(ord) <> COUNT(*) LIMIT 1`)
}

// checkMoney compares what a run's events say was spent with the ledger. That is
// possible for runs that have ended with nothing left open: an attempt that a
// crash cut off is reserved in the ledger and unknown to the events.
func checkMoney(v *verifier) error {
	rows, err := v.tx.QueryContext(v.ctx, `SELECT r.state, l.settled FROM runs r
		JOIN (SELECT run, SUM(settled) AS settled FROM ledger GROUP BY run HAVING COUNT(*) = COUNT(settled)) l ON l.run = r.id
		WHERE r.status IN ($1, $2, $3, $4) ORDER BY r.id`, string(mgx.RunDone), string(mgx.RunFailed), string(mgx.RunRefused), string(mgx.RunCancelled))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var settled mgx.Money
		run, err := scanRun(withMore{rows, []any{&settled}})
		if err != nil {
			return err
		}
		if run.Cost > settled {
			if err := v.note(v.broken("run %s says it has cost %s, and the ledger %s", run.ID, run.Cost, settled)); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

// checkBudgets: what counts against a budget is what the ledger says.
func checkBudgets(v *verifier) error {
	rows, err := v.tx.QueryContext(v.ctx, `SELECT `+budgetColumns+`, starts_at, settled, reserved FROM budgets JOIN budget_periods ON budget = id ORDER BY id, starts_at`)
	if err != nil {
		return err
	}
	defer rows.Close()
	type period struct {
		mgx.Budget
		start             int64
		settled, reserved mgx.Money
	}
	var all []period
	for rows.Next() {
		var p period
		if p.Budget, err = scanBudget(withMore{rows, []any{&p.start, &p.settled, &p.reserved}}); err != nil {
			return err
		}
		all = append(all, p)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, p := range all {
		var settled, reserved mgx.Money
		cond, args := spendingOf(p.Budget, p.start)
		if err := v.tx.QueryRowContext(v.ctx, sumOfLedger+cond, args...).Scan(&settled, &reserved); err != nil {
			return err
		}
		if settled == p.settled && reserved == p.reserved {
			continue
		}
		err := v.note(v.broken("%s (%s) says %s spent and %s set aside, and the ledger %s and %s", p.Budget, p.ID, p.settled, p.reserved, settled, reserved))
		if err != nil {
			return err
		}
	}
	return nil
}

// checkEvents holds every event that was not erased against what the caller knows.
func checkEvents(v *verifier) error {
	if v.extra.Event == nil {
		return nil
	}
	rows, err := v.tx.QueryContext(v.ctx, `SELECT `+eventColumns+` FROM events ORDER BY position`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEvent(rows)
		if err != nil {
			return err
		}
		if e.Erased() {
			continue
		}
		if bad := v.extra.Event(e); bad != nil {
			if err := v.note(v.broken("event %s at position %d: %v", e.ID, e.Position, bad)); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

// checkRuns lets the caller look at what belongs to runs outside of the database.
func checkRuns(v *verifier) error {
	if v.extra.Run == nil {
		return nil
	}
	b := backup{ctx: v.ctx, tx: v.tx, dialect: v.d}
	return b.files(func(f RunFiles) error {
		trees, err := f.Trees()
		if err != nil {
			return err
		}
		if bad := v.extra.Run(f.Run, trees); bad != nil {
			return v.note(v.broken("%w", bad))
		}
		return nil
	})
}

// checkErased: of a run that says that it is erased nothing is left.
func checkErased(v *verifier) error {
	return v.none("run %s says that it is erased, and is not wholly: run mgx erase --run again", `SELECT r.id FROM runs r JOIN (SELECT `+eventColumns+` FROM `+v.d.allEvents+`) e ON e.run = r.id
		WHERE r.state LIKE '%"erased_at":"%' AND e.data <> '`+string(mgx.Tombstone)+`' AND e.type <> '`+string(mgx.DataErased)+`' AND e.type NOT LIKE 'billing.%' LIMIT 1`)
}
