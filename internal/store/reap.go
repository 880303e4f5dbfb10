package store

import (
	"context"

	"mgx"
)

// ReapDead gives up what processes left open that live no more, of calls that no
// execution makes, and returns how many reservations those were. Like [Store.Reap]
// it settles them in full, but does not wait until their time is over. alive reports
// whether the owner of reservations may still settle them.
func (s *Store) ReapDead(ctx context.Context, alive func(owner string) bool) (reaped int, err error) {
	ctx = mgx.ForInstallation(ctx)
	owners, err := list(ctx, s, scanText, `SELECT DISTINCT owner FROM ledger WHERE settled IS NULL AND execution = '' AND owner <> '' ORDER BY owner`)
	for _, owner := range owners {
		if alive(owner) {
			continue
		}
		lost := reapMost
		for err == nil && lost == reapMost {
			err = s.writeMoney(ctx, func(t *tx) (err error) {
				lost, err = t.loseWhere(`id IN (SELECT id FROM ledger WHERE settled IS NULL AND execution = '' AND owner = $1 ORDER BY id LIMIT $2)`, owner, reapMost)
				return err
			})
			if err == nil {
				reaped += lost
			}
		}
	}
	return reaped, err
}
