package store

import (
	"context"
	"time"

	"mgx"
)

// ActiveWebhooks lists every endpoint of every workspace that is enabled, for
// whoever delivers. It does not count what is pending and dead.
func (s *Store) ActiveWebhooks(ctx context.Context) ([]mgx.Webhook, error) {
	return list(ctx, s, scanWebhook, `SELECT `+webhookColumns+`, 0, 0 FROM webhooks WHERE enabled = 1 ORDER BY id LIMIT $1`, MaxListed)
}

// ClaimWebhook takes the lease of an endpoint that stands as the caller saw it,
// until the given time; false: somebody else was faster, or it is gone. The
// caller has made sure that the lease it saw has run out or that its owner is
// dead.
func (s *Store) ClaimWebhook(ctx context.Context, seen mgx.WebhookLease, owner string, until time.Time) (lease mgx.WebhookLease, ok bool, err error) {
	lease = mgx.WebhookLease{Webhook: seen.Webhook, Owner: owner, Term: seen.Term + 1, Until: utc(until)}
	err = s.write(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE webhooks SET owner = $1, term = $2, lease_until = $3 WHERE id = $4 AND owner = $5 AND term = $6 AND enabled = 1 AND (lease_until IS NULL OR lease_until = $7)`,
			owner, lease.Term, micros(lease.Until), string(seen.Webhook), seen.Owner, seen.Term, seen.Until.UnixMicro())
		ok = n == 1
		return err
	})
	return lease, ok && err == nil, err
}

// RenewWebhooks extends every lease that an owner holds.
func (s *Store) RenewWebhooks(ctx context.Context, owner string, until time.Time) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE webhooks SET lease_until = $1 WHERE owner = $2`, micros(utc(until)), owner)
		return err
	})
}

// ReleaseWebhook gives a lease back, if it is still held, and notes how far the
// log was read.
func (s *Store) ReleaseWebhook(ctx context.Context, l mgx.WebhookLease, cursor int64) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE webhooks SET owner = '', lease_until = NULL WHERE id = $1 AND owner = $2 AND term = $3`, string(l.Webhook), l.Owner, l.Term)
		if err != nil || n == 0 {
			return err
		}
		_, err = t.exec(`UPDATE webhooks SET position = $1 WHERE id = $2 AND position < $1`, cursor, string(l.Webhook))
		return err
	})
}

// holdsWebhook refuses a change under a lease that was lost. It writes the row,
// which keeps it from others until the transaction ends.
func (t *tx) holdsWebhook(l mgx.WebhookLease) error {
	n, err := t.exec(`UPDATE webhooks SET term = $1 WHERE id = $2 AND owner = $3 AND term = $1`, l.Term, string(l.Webhook), l.Owner)
	if err == nil && n == 0 {
		err = mgx.Errorf(mgx.KindStopped, mgx.CodeFenced, "%s no longer has the lease of webhook %s: it was taken over, given back or removed", l.Owner, l.Webhook)
	}
	return err
}
