package store

import (
	"context"

	"mgx"
)

// reserve sets money aside. The sum it is compared with is read in the same
// transaction, and there is one writer, so no two reservations see the same sum.
func (t *tx) reserve(r mgx.Reservation) error {
	if r.ID == "" || r.Workspace == "" || r.Run == "" || r.Amount < 0 {
		return mgx.Errorf(mgx.KindInternal, "bad_reservation", "a reservation needs an id, a workspace, a run and an amount of at least zero; got %q %q %q %s", r.ID, r.Workspace, r.Run, r.Amount)
	}
	if r.Cap != nil {
		if err := t.fits(r); err != nil {
			return err
		}
	}
	stored, err := t.exec(`INSERT INTO ledger (id, workspace, run, reserved, note, reserved_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
		r.ID, string(r.Workspace), string(r.Run), int64(r.Amount), r.Note, t.now.UnixMicro())
	if err == nil && stored == 0 {
		err = mgx.Errorf(mgx.KindInternal, mgx.CodeConflict, "reservation %s exists already", r.ID)
	}
	return err
}

func (t *tx) fits(r mgx.Reservation) error {
	var taken mgx.Money
	_, err := t.row(`SELECT COALESCE(SUM(COALESCE(settled, reserved)), 0) FROM ledger WHERE run = $1 AND workspace = $2`,
		[]any{string(r.Run), string(r.Workspace)}, &taken)
	if err == nil && (taken > *r.Cap || r.Amount > *r.Cap-taken) {
		err = mgx.Errorf(mgx.KindBudget, mgx.CodeBudgetExceeded, "the budget of %s does not allow another %s: %s is spent or set aside; raise it with --budget", *r.Cap, r.Amount, taken)
	}
	return err
}

func (t *tx) settle(g mgx.Settlement) error {
	if g.Amount < 0 {
		return mgx.Errorf(mgx.KindInternal, "bad_settlement", "settlement %s is negative", g.ID)
	}
	settled, err := t.exec(`UPDATE ledger SET settled = $1, usage = $2, settled_at = $3 WHERE id = $4 AND settled IS NULL`,
		int64(g.Amount), mustJSON(g.Usage), t.now.UnixMicro(), g.ID)
	if err == nil && settled == 0 {
		err = mgx.Errorf(mgx.KindInternal, mgx.CodeConflict, "reservation %s is not open: it was settled, or never made", g.ID)
	}
	return err
}

// Spent returns what a run has settled, and what is reserved and still open.
func (s *Store) Spent(ctx context.Context, run mgx.RunID) (settled, open mgx.Money, err error) {
	err = s.reads.QueryRowContext(ctx, `SELECT COALESCE(SUM(settled), 0), COALESCE(SUM(CASE WHEN settled IS NULL THEN reserved ELSE 0 END), 0) FROM ledger WHERE run = $1`,
		string(run)).Scan(&settled, &open)
	return settled, open, s.explain(err)
}
