package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"mgx"
)

// ActiveWebhooks lists every endpoint of every workspace that is enabled, for
// whoever delivers. It does not count what is pending and dead.
func (s *Store) ActiveWebhooks(ctx context.Context) ([]mgx.Webhook, error) {
	ctx = mgx.ForInstallation(ctx)
	return list(ctx, s, scanWebhook, `SELECT `+webhookColumns+`, 0, 0 FROM webhooks WHERE enabled = 1 ORDER BY id LIMIT $1`, MaxListed)
}

// ClaimWebhook takes the lease of an endpoint that stands as the caller saw it,
// until the given time; false: somebody else was faster, or it is gone. The
// caller has made sure that the lease it saw has run out or that its owner is
// dead.
func (s *Store) ClaimWebhook(ctx context.Context, seen mgx.WebhookLease, owner string, until time.Time) (l mgx.WebhookLease, ok bool, err error) {
	ctx = mgx.ForInstallation(ctx)
	l = mgx.WebhookLease{Webhook: seen.Webhook, Owner: owner, Term: seen.Term + 1, Until: utc(until)}
	err = s.write(ctx, func(t *tx) error {
		ok, err = leasedWebhooks.claim(t, ofWebhook(seen), owner, until, ` AND enabled = 1`)
		return err
	})
	return l, ok && err == nil, err
}

// RenewWebhooks extends every lease that an owner holds, and notes how far it has
// read the log for the endpoints that are named.
func (s *Store) RenewWebhooks(ctx context.Context, owner string, until time.Time, read map[mgx.WebhookID]int64) error {
	ctx = mgx.ForInstallation(ctx)
	return s.write(ctx, func(t *tx) error {
		if _, err := t.exec(`UPDATE webhooks SET lease_until = $1 WHERE owner = $2`, micros(utc(until)), owner); err != nil {
			return err
		}
		for _, id := range slices.Sorted(maps.Keys(read)) {
			if _, err := t.exec(`UPDATE webhooks SET position = $1 WHERE id = $2 AND owner = $3 AND position < $1`, read[id], string(id), owner); err != nil {
				return err
			}
		}
		return nil
	})
}

// ReleaseWebhook gives a lease back, if it is still held, and notes how far the
// log was read.
func (s *Store) ReleaseWebhook(ctx context.Context, l mgx.WebhookLease, cursor int64) error {
	ctx = mgx.ForInstallation(ctx)
	return s.write(ctx, func(t *tx) error {
		held, err := leasedWebhooks.release(t, ofWebhook(l))
		if err != nil || !held {
			return err
		}
		_, err = t.exec(`UPDATE webhooks SET position = $1 WHERE id = $2 AND position < $1`, cursor, string(l.Webhook))
		return err
	})
}

func (t *tx) holdsWebhook(l mgx.WebhookLease) error { return leasedWebhooks.hold(t, ofWebhook(l)) }

func ofWebhook(l mgx.WebhookLease) lease { return lease{string(l.Webhook), l.Owner, l.Term, l.Until} }
