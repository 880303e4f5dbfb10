package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

// MaxDeadLetters is how many dead letters a consumer may have. When it has them
// it stops: what fails so often is the consumer.
const MaxDeadLetters = 10_000

// CodeDeadLettersFull is of the error of a consumer that has too many, of kind
// config.
const CodeDeadLettersFull = "too_many_dead_letters"

const deadColumns = `consumer, event, workspace, type, stream, position, attempts, last_error, next_at, created_at, updated_at`

// bury keeps a dead letter. One of a workspace that was erased meanwhile says nothing,
// and is not kept.
func (t *tx) bury(d mgx.DeadLetter) error {
	if err := t.takes(d.Workspace); err != nil {
		if mgx.IsCode(err, mgx.CodeErased) {
			return nil
		}
		return err
	}
	var all int
	if _, err := t.row(`SELECT COUNT(*) FROM consumer_dead WHERE consumer = $1 AND event <> $2`, []any{d.Consumer, string(d.Event)}, &all); err != nil {
		return err
	}
	if all >= MaxDeadLetters {
		return mgx.Errorf(mgx.KindConfig, CodeDeadLettersFull, "consumer %s has %d dead letters and stops until there are fewer; find the cause, then: mgx consumers retry %s", d.Consumer, all, d.Consumer)
	}
	now := micros(t.now)
	_, err := t.exec(`INSERT INTO consumer_dead (`+deadColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
		ON CONFLICT (consumer, event) DO UPDATE SET attempts = excluded.attempts, last_error = excluded.last_error, next_at = excluded.next_at, updated_at = excluded.updated_at`,
		d.Consumer, string(d.Event), string(d.Workspace), string(d.Type), string(d.Stream), d.Position, d.Attempts, d.LastError, micros(d.NextAt), now)
	return err
}

// DeadLetters lists a consumer's dead letters, the oldest event first, after a
// position; limit 0: as many as are listed at once.
func (s *Store) DeadLetters(ctx context.Context, consumer string, after int64, limit int) ([]mgx.DeadLetter, error) {
	ctx = mgx.ForInstallation(ctx)
	if _, err := s.Consumer(ctx, consumer); err != nil {
		return nil, err
	}
	return list(ctx, s, scanDead, `SELECT `+deadColumns+` FROM consumer_dead WHERE consumer = $1 AND position > $2 ORDER BY position LIMIT $3`,
		consumer, after, bounded(limit, MaxListed))
}

// DueDeadLetters lists those that are to be tried again now.
func (s *Store) DueDeadLetters(ctx context.Context, consumer string, now time.Time, limit int) ([]mgx.DeadLetter, error) {
	ctx = mgx.ForInstallation(ctx)
	return list(ctx, s, scanDead, `SELECT `+deadColumns+` FROM consumer_dead WHERE consumer = $1 AND next_at <= $2 ORDER BY next_at, position LIMIT $3`,
		consumer, utc(now).UnixMicro(), bounded(limit, MaxListed))
}

// NextDeadLetter returns when the next of them becomes due; false: none does.
func (s *Store) NextDeadLetter(ctx context.Context, consumer string) (at time.Time, ok bool, err error) {
	ctx = mgx.ForInstallation(ctx)
	next, _, err := one(ctx, s, func(row scanner) (n sql.NullInt64, err error) { return n, row.Scan(&n) },
		`SELECT MIN(next_at) FROM consumer_dead WHERE consumer = $1 AND next_at IS NOT NULL`, consumer)
	return fromMicros(next), next.Valid, err
}

// RetryDeadLetters has a consumer try a dead letter again, or all of them when
// event is empty, with all the attempts an event gets. It returns how many.
func (s *Store) RetryDeadLetters(ctx context.Context, consumer string, event mgx.EventID) (int64, error) {
	ctx = mgx.ForInstallation(ctx)
	return s.changeDead(ctx, consumer, event, func(t *tx, cond string, args []any) (int64, error) {
		return t.exec(`UPDATE consumer_dead SET attempts = 0, next_at = $3, updated_at = $3 WHERE `+cond, append(args, micros(t.now))...)
	})
}

// DiscardDeadLetter gives a dead letter up for good.
func (s *Store) DiscardDeadLetter(ctx context.Context, consumer string, event mgx.EventID) error {
	ctx = mgx.ForInstallation(ctx)
	if event == "" {
		return noDead(consumer, event)
	}
	_, err := s.changeDead(ctx, consumer, event, func(t *tx, cond string, args []any) (int64, error) {
		return t.exec(`DELETE FROM consumer_dead WHERE `+cond, args...)
	})
	return err
}

func (s *Store) changeDead(ctx context.Context, consumer string, event mgx.EventID, change func(t *tx, cond string, args []any) (int64, error)) (n int64, err error) {
	if _, err := s.Consumer(ctx, consumer); err != nil {
		return 0, err
	}
	err = s.write(ctx, func(t *tx) error {
		if n, err = change(t, `consumer = $1 AND ($2 = '' OR event = $2)`, []any{consumer, string(event)}); err == nil && n == 0 && event != "" {
			err = noDead(consumer, event)
		}
		return err
	})
	return n, err
}

func noDead(consumer string, event mgx.EventID) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "consumer %s has no dead letter %q; see: mgx consumers dead %s", consumer, string(event), consumer)
}

func scanDead(row scanner) (d mgx.DeadLetter, err error) {
	var next sql.NullInt64
	var created, updated int64
	err = row.Scan(&d.Consumer, &d.Event, &d.Workspace, &d.Type, &d.Stream, &d.Position, &d.Attempts, &d.LastError, &next, &created, &updated)
	d.NextAt, d.CreatedAt, d.UpdatedAt = fromMicros(next), time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	return d, err
}
