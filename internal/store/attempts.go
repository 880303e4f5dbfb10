package store

import (
	"context"
	"time"

	"mgx"
)

// Bounds of attempts that are remembered.
const (
	attemptsKept = 24 * time.Hour
	mostAttempts = 100_000 // then those whose last is the longest ago go
)

// Attempt counts an attempt as failed, under the digest of what is tried and from
// where, unless it comes too early: then it returns how long to wait and counts
// nothing. After says how long a next one has to wait, by how many have failed in a
// row with this one, which is returned too. All processes count together, and a
// restart forgets nothing.
func (s *Store) Attempt(ctx context.Context, id string, now time.Time, after func(failed int) time.Duration) (failed int, wait time.Duration, err error) {
	ctx = mgx.ForInstallation(ctx)
	err = s.write(ctx, func(t *tx) error {
		failed, wait = 0, 0
		// The row is there before it is read, so that of many at once each waits for
		// the one before it.
		fresh, err := t.exec(`INSERT INTO attempts (id, failed, until, last) VALUES ($1, 0, 0, $2) ON CONFLICT (id) DO NOTHING`, id, now.UnixMicro())
		if err == nil && fresh > 0 {
			err = t.tidyAttempts(now)
		}
		if err != nil {
			return err
		}
		var until, last int64
		if _, err := t.row(`SELECT failed, until, last FROM attempts WHERE id = $1`+t.d.lockRead, []any{id}, &failed, &until, &last); err != nil {
			return err
		}
		if last <= now.Add(-attemptsKept).UnixMicro() {
			failed, until = 0, 0
		}
		if wait = time.Duration(until-now.UnixMicro()) * time.Microsecond; wait > 0 {
			return nil
		}
		wait = 0
		failed++
		_, err = t.exec(`UPDATE attempts SET failed = $1, until = $2, last = $3 WHERE id = $4`, failed, now.Add(after(failed)).UnixMicro(), now.UnixMicro(), id)
		return err
	})
	return failed, wait, err
}

// AttemptSucceeded forgets the failures before it.
func (s *Store) AttemptSucceeded(ctx context.Context, id string) error {
	return s.write(mgx.ForInstallation(ctx), func(t *tx) error {
		_, err := t.exec(`DELETE FROM attempts WHERE id = $1`, id)
		return err
	})
}

// tidyAttempts forgets some whose time is over, or that are too many.
func (t *tx) tidyAttempts(now time.Time) error {
	const some = ` ORDER BY last LIMIT 100)`
	if _, err := t.exec(`DELETE FROM attempts WHERE id IN (SELECT id FROM attempts WHERE last <= $1`+some, now.Add(-attemptsKept).UnixMicro()); err != nil {
		return err
	}
	var all int
	if _, err := t.row(`SELECT COUNT(*) FROM attempts`, nil, &all); err != nil || all < mostAttempts {
		return err
	}
	_, err := t.exec(`DELETE FROM attempts WHERE id IN (SELECT id FROM attempts` + some)
	return err
}
