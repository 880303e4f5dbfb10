package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

// MaxConsumers bounds the consumers that there can be.
const MaxConsumers = 100

const consumerColumns = `name, position, owner, lease_until, term, event, attempts, last_error, next_at, gaps, gap_after, gap_to, gap_at, created_at, updated_at`

// counted are consumerColumns and what is counted, with their FROM.
func (d *dialect) counted() string {
	return consumerColumns + `,
	(` + d.lastPosition + `),
	(SELECT COUNT(*) FROM consumer_dead d WHERE d.consumer = consumers.name AND d.next_at IS NOT NULL),
	(SELECT COUNT(*) FROM consumer_dead d WHERE d.consumer = consumers.name AND d.next_at IS NULL) FROM consumers`
}

// OpenConsumer returns a consumer, and makes it where there is none, to begin
// after a position; negative: after what is in the log now.
func (s *Store) OpenConsumer(ctx context.Context, name string, after int64) (mgx.Consumer, error) {
	ctx = mgx.ForInstallation(ctx)
	c, err := s.Consumer(ctx, name)
	if !mgx.IsCode(err, mgx.CodeNotFound) {
		return c, err
	}
	if after < 0 {
		if after, err = s.Head(ctx); err != nil {
			return c, err
		}
	}
	removed, err := s.Removed(ctx, "", "")
	if err != nil {
		return c, err
	}
	err = s.write(ctx, func(t *tx) error {
		var all int
		if _, err := t.row(`SELECT COUNT(*) FROM consumers`, nil, &all); err != nil {
			return err
		}
		if all >= MaxConsumers {
			return mgx.Errorf(mgx.KindConfig, "too_many_consumers", "there are %d consumers already, which is the most; see: mgx consumers", all)
		}
		_, err := t.exec(`INSERT INTO consumers (`+consumerColumns+`) VALUES ($1, $2, '', NULL, 0, '', 0, '', NULL, 0, 0, $3, NULL, $4, $4) ON CONFLICT (name) DO NOTHING`,
			name, after, removed, micros(t.now))
		return err
	})
	if err != nil {
		return c, err
	}
	return s.Consumer(ctx, name)
}

// Consumer returns one consumer.
func (s *Store) Consumer(ctx context.Context, name string) (mgx.Consumer, error) {
	ctx = mgx.ForInstallation(ctx)
	c, found, err := get(ctx, s, scanConsumer, `SELECT `+s.dialect.counted()+` WHERE name = $1`, name)
	if err == nil && !found {
		err = noConsumer(name)
	}
	return c, err
}

// Consumers lists all readers of the log: the consumers by name, then the enabled
// webhooks of all workspaces.
func (s *Store) Consumers(ctx context.Context) ([]mgx.Consumer, error) {
	ctx = mgx.ForInstallation(ctx)
	all, err := list(ctx, s, scanConsumer, `SELECT `+s.dialect.counted()+` ORDER BY name`)
	if err != nil {
		return nil, err
	}
	hooks, err := list(ctx, s, scanWebhook, `SELECT `+webhookColumns+webhookCounts+` FROM webhooks WHERE enabled = 1 ORDER BY id LIMIT $1`, MaxListed)
	if err != nil || len(hooks) == 0 {
		return all, err
	}
	head, err := s.Head(ctx)
	for _, w := range hooks {
		all = append(all, mgx.Consumer{
			Name: "webhook:" + string(w.ID), Position: w.Cursor, Head: head, Lag: max(0, head-w.Cursor), Pending: w.Pending, Dead: w.Dead,
			CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
		})
	}
	return all, err
}

// ClaimConsumer takes the lease of a consumer that stands as the caller saw it,
// until the given time; false: somebody else was faster. The caller has made sure
// that the lease it saw has run out or that its owner is dead.
func (s *Store) ClaimConsumer(ctx context.Context, seen mgx.ConsumerLease, owner string, until time.Time) (l mgx.ConsumerLease, ok bool, err error) {
	ctx = mgx.ForInstallation(ctx)
	l = mgx.ConsumerLease{Consumer: seen.Consumer, Owner: owner, Term: seen.Term + 1, Until: utc(until)}
	err = s.write(ctx, func(t *tx) error {
		ok, err = leasedConsumers.claim(t, ofConsumer(seen), owner, until, "")
		return err
	})
	return l, ok && err == nil, err
}

// RenewConsumer extends a lease, if it is still held.
func (s *Store) RenewConsumer(ctx context.Context, l mgx.ConsumerLease, until time.Time) error {
	ctx = mgx.ForInstallation(ctx)
	return s.write(ctx, func(t *tx) error {
		if err := leasedConsumers.hold(t, ofConsumer(l)); err != nil {
			return err
		}
		_, err := t.exec(`UPDATE consumers SET lease_until = $1 WHERE name = $2`, micros(utc(until)), l.Consumer)
		return err
	})
}

// ReleaseConsumer gives a lease back, if it is still held.
func (s *Store) ReleaseConsumer(ctx context.Context, l mgx.ConsumerLease) error {
	ctx = mgx.ForInstallation(ctx)
	return s.write(ctx, func(t *tx) error { _, err := leasedConsumers.release(t, ofConsumer(l)); return err })
}

// FailConsumer notes an attempt that failed and is to be repeated.
func (s *Store) FailConsumer(ctx context.Context, l mgx.ConsumerLease, f mgx.ConsumerFailure) error {
	ctx = mgx.ForInstallation(ctx)
	return s.write(ctx, func(t *tx) error {
		if err := leasedConsumers.hold(t, ofConsumer(l)); err != nil {
			return err
		}
		_, err := t.exec(`UPDATE consumers SET event = $1, attempts = $2, last_error = $3, next_at = $4 WHERE name = $5`,
			string(f.Event), f.Attempts, s.redactor("").redactText(f.Error), micros(utc(f.NextAt)), l.Consumer)
		return err
	})
}

// advanceConsumer moves a consumer on, if its lease is still held.
func (t *tx) advanceConsumer(a mgx.ConsumerAdvance) error {
	if err := leasedConsumers.hold(t, ofConsumer(a.Lease)); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE consumers SET position = $1, event = '', attempts = 0, last_error = '', next_at = NULL, updated_at = $2 WHERE name = $3 AND position < $1`,
		a.Position, micros(t.now), a.Lease.Consumer)
	if err != nil {
		return err
	}
	if a.Settled != "" {
		if _, err := t.exec(`DELETE FROM consumer_dead WHERE consumer = $1 AND event = $2`, a.Lease.Consumer, string(a.Settled)); err != nil {
			return err
		}
	}
	if a.Dead != nil {
		if err := t.bury(*a.Dead); err != nil {
			return err
		}
	}
	if g := a.Gap; g != nil {
		_, err = t.exec(`UPDATE consumers SET gaps = gaps + 1, gap_after = $1, gap_to = $2, gap_at = $3 WHERE name = $4`, g.After, g.To, micros(utc(g.At)), a.Lease.Consumer)
	}
	return err
}

// normalAdvance is a copy whose words are redacted and bounded.
func (s *Store) normalAdvance(a *mgx.ConsumerAdvance) *mgx.ConsumerAdvance {
	if a == nil || a.Dead == nil {
		return a
	}
	out, dead := *a, *a.Dead
	dead.Consumer, dead.LastError = a.Lease.Consumer, s.redactor(dead.Workspace).redactText(dead.LastError)
	out.Dead = &dead
	return &out
}

func ofConsumer(l mgx.ConsumerLease) lease { return lease{l.Consumer, l.Owner, l.Term, l.Until} }

func noConsumer(name string) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no consumer %q; see: mgx consumers", name)
}

func scanConsumer(row scanner) (c mgx.Consumer, err error) {
	var until, next, gapAt sql.NullInt64
	var gap mgx.ConsumerGap
	var created, updated int64
	err = row.Scan(&c.Name, &c.Position, &c.Lease.Owner, &until, &c.Lease.Term, &c.Failing, &c.Attempts, &c.LastError, &next,
		&gap.Count, &gap.After, &gap.To, &gapAt, &created, &updated, &c.Head, &c.Pending, &c.Dead)
	c.Removed = gap.To
	c.Lag, c.NextAt = max(0, c.Head-c.Position), fromMicros(next)
	c.Lease.Consumer, c.Lease.Until = c.Name, fromMicros(until)
	c.CreatedAt, c.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	if gap.At = fromMicros(gapAt); gap.Count > 0 {
		c.Gap = &gap
	}
	return c, err
}
