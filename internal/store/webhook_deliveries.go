package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

const maxAttemptsKept = 50 // of one delivery; the oldest go first

const deliveryColumns = `webhook, event, type, stream, position, status, attempts, next_at, last_error, created_at, updated_at`

// AddDeliveries turns a stretch of the log, up to and with cursor, into
// deliveries of the given events, which are in position order. Of each stream
// only the first that is pending is due; the others wait for it. More than
// DeliveriesLeft are refused together (mgx.CodeQuotaReached).
func (s *Store) AddDeliveries(ctx context.Context, l mgx.WebhookLease, events []mgx.Event, cursor int64) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.holdsWebhook(l); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE webhooks SET position = $1 WHERE id = $2 AND position < $1`, cursor, string(l.Webhook)); err != nil {
			return err
		}
		if err := t.deliver(l.Webhook, len(events)); err != nil {
			return err
		}
		for _, e := range events {
			if err := t.addDelivery(l.Webhook, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) addDelivery(id mgx.WebhookID, e mgx.Event) error {
	var one int
	behind, err := t.row(`SELECT 1 FROM webhook_deliveries WHERE webhook = $1 AND stream = $2 AND status = 'pending' LIMIT 1`, []any{string(id), string(e.Stream)}, &one)
	if err != nil {
		return err
	}
	due := t.now
	if behind {
		due = time.Time{}
	}
	_, err = t.exec(`INSERT INTO webhook_deliveries (`+deliveryColumns+`) VALUES ($1, $2, $3, $4, $5, 'pending', 0, $6, '', $7, $8) ON CONFLICT (webhook, event) DO NOTHING`,
		string(id), string(e.ID), string(e.Type), string(e.Stream), e.Position, micros(due), micros(t.now), micros(t.now))
	return err
}

// DueDeliveries lists what is to be sent now, by position.
func (s *Store) DueDeliveries(ctx context.Context, id mgx.WebhookID, now time.Time, limit int) ([]mgx.WebhookDelivery, error) {
	return list(ctx, s, scanDelivery, `SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE webhook = $1 AND status = 'pending' AND next_at <= $2 ORDER BY next_at, position LIMIT $3`,
		string(id), utc(now).UnixMicro(), bounded(limit, MaxListed))
}

// NextDelivery returns when, after a time, the next attempt of an endpoint
// becomes due; false: none does by itself.
func (s *Store) NextDelivery(ctx context.Context, id mgx.WebhookID, after time.Time) (at time.Time, ok bool, err error) {
	next, _, err := get(ctx, s, func(row scanner) (n sql.NullInt64, err error) { return n, row.Scan(&n) },
		`SELECT MIN(next_at) FROM webhook_deliveries WHERE webhook = $1 AND status = 'pending' AND next_at > $2`, string(id), utc(after).UnixMicro())
	return fromMicros(next), next.Valid, err
}

// PendingDeliveries counts what is left to make.
func (s *Store) PendingDeliveries(ctx context.Context, id mgx.WebhookID) (n int, err error) {
	n, _, err = get(ctx, s, func(row scanner) (n int, err error) { return n, row.Scan(&n) },
		`SELECT COUNT(*) FROM webhook_deliveries WHERE webhook = $1 AND status = 'pending'`, string(id))
	return n, err
}

// RecordDelivery records an attempt and what follows from it, if the lease is
// still held. A delivery that is done with makes the next of its stream due. It
// reports whether the endpoint was disabled by that.
func (s *Store) RecordDelivery(ctx context.Context, l mgx.WebhookLease, o mgx.WebhookOutcome) (disabled bool, err error) {
	var told *mgx.Change // nil: nothing is to be told
	if o.Raise != nil {
		change, err := s.normal(mgx.Change{Events: []mgx.Event{*o.Raise}})
		if err != nil {
			return false, err
		}
		told = &change
	}
	hides := s.redactor(o.Workspace)
	o.Attempt.Error, o.Attempt.Response = hides.redactText(o.Attempt.Error), hides.redactText(o.Attempt.Response)
	err = s.writeChange(ctx, told, func(t *tx) error {
		if err := t.holdsWebhook(l); err != nil {
			return err
		}
		if disabled, err = t.noteHealth(l.Webhook, o); err != nil {
			return err
		}
		if disabled && told != nil {
			if t.events, err = collect(told.Events, t.append); err != nil {
				return err
			}
		}
		if err := t.addAttempt(l.Webhook, o.Attempt); err != nil {
			return err
		}
		due := o.Attempt.NextAt
		if o.Status != mgx.DeliveryPending {
			due = time.Time{}
		}
		n, err := t.exec(`UPDATE webhook_deliveries SET status = $1, attempts = attempts + 1, next_at = $2, last_error = $3, updated_at = $4 WHERE webhook = $5 AND event = $6 AND status = 'pending'`,
			string(o.Status), micros(due), o.Attempt.Error, micros(t.now), string(l.Webhook), string(o.Attempt.Event))
		if err != nil || n == 0 || o.Status == mgx.DeliveryPending {
			return err
		}
		return t.nextOfStream(l.Webhook, o.Attempt.Event)
	})
	return disabled && err == nil, err
}

// noteHealth keeps since when an endpoint has been failing, and disables it if
// that follows.
func (t *tx) noteHealth(id mgx.WebhookID, o mgx.WebhookOutcome) (disabled bool, err error) {
	switch {
	case o.Unsent:
		return false, nil
	case o.Attempt.Error == "":
		_, err = t.exec(`UPDATE webhooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL`, string(id))
		return false, err
	}
	_, err = t.exec(`UPDATE webhooks SET failing_since = $1 WHERE id = $2 AND failing_since IS NULL`, micros(utc(o.Attempt.At)), string(id))
	if err != nil || o.Disable == "" {
		return false, err
	}
	w := &where{args: []any{o.Disable, micros(t.now)}}
	w.is("id =", string(id))
	w.is("enabled =", 1)
	if !o.FailingSince.IsZero() {
		w.is("failing_since <=", o.FailingSince.UnixMicro())
	}
	n, err := t.exec(`UPDATE webhooks SET enabled = 0, disabled_why = $1, `+touched("$2")+w.String(), w.args...)
	return n > 0, err
}

func (t *tx) addAttempt(id mgx.WebhookID, a mgx.WebhookAttempt) error {
	var last int64
	if _, err := t.row(`SELECT COALESCE(MAX(ord), 0) FROM webhook_attempts WHERE webhook = $1 AND event = $2`, []any{string(id), string(a.Event)}, &last); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO webhook_attempts (webhook, event, ord, at, duration, status, error, response, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		string(id), string(a.Event), last+1, micros(utc(a.At)), int64(a.Duration), a.Status, a.Error, a.Response, micros(a.NextAt))
	if err == nil && last >= maxAttemptsKept {
		_, err = t.exec(`DELETE FROM webhook_attempts WHERE webhook = $1 AND event = $2 AND ord <= $3`, string(id), string(a.Event), last+1-maxAttemptsKept)
	}
	return err
}

// nextOfStream makes the first that is pending in the stream of a delivery due.
func (t *tx) nextOfStream(id mgx.WebhookID, done mgx.EventID) error {
	_, err := t.exec(`UPDATE webhook_deliveries SET next_at = $1 WHERE webhook = $2 AND status = 'pending' AND next_at IS NULL AND event = (
		SELECT n.event FROM webhook_deliveries n WHERE n.webhook = $2 AND n.status = 'pending'
			AND n.stream = (SELECT d.stream FROM webhook_deliveries d WHERE d.webhook = $2 AND d.event = $3) ORDER BY n.position LIMIT 1)`,
		micros(t.now), string(id), string(done))
	return err
}

// RetryDelivery gives a dead letter, or a delivery that waits for its next
// attempt, all its attempts again, the first one now.
func (s *Store) RetryDelivery(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID, event mgx.EventID) error {
	n, err := s.retry(ctx, ws, id, `(status = 'dead' OR status = 'pending' AND next_at IS NOT NULL) AND event = $3`, string(event))
	if err == nil && n == 0 {
		err = mgx.Errorf(mgx.KindUsage, "nothing_to_retry", "delivery %s of webhook %s is not a dead letter and does not wait for a retry; see: mgx webhooks deliveries %s", event, id, id)
	}
	return err
}

// RetryDead does that for every dead letter of an endpoint and returns how many
// there were.
func (s *Store) RetryDead(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID) (int64, error) {
	return s.retry(ctx, ws, id, `status = $3`, string(mgx.DeliveryDead))
}

func (s *Store) retry(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID, which, arg string) (n int64, err error) {
	err = s.write(ctx, func(t *tx) error {
		// Whoever delivers looks again at an endpoint that was changed.
		held, err := t.exec(`UPDATE webhooks SET `+touched("$1")+` WHERE workspace = $2 AND id = $3`, micros(t.now), string(ws), string(id))
		if err = orNoWebhook(id, held, err); err != nil {
			return err
		}
		n, err = t.exec(`UPDATE webhook_deliveries SET status = 'pending', attempts = 0, next_at = $1, updated_at = $1 WHERE webhook = $2 AND `+which,
			micros(t.now), string(id), arg)
		if err != nil || n == 0 {
			return err
		}
		// Of each stream only the first may be due.
		_, err = t.exec(`UPDATE webhook_deliveries SET next_at = NULL WHERE webhook = $1 AND status = 'pending' AND next_at IS NOT NULL AND EXISTS (
			SELECT 1 FROM webhook_deliveries b WHERE b.webhook = $1 AND b.stream = webhook_deliveries.stream AND b.status = 'pending' AND b.position < webhook_deliveries.position)`,
			string(id))
		return err
	})
	return n, err
}

// Deliveries lists an endpoint's deliveries, the newest event first, at most
// MaxListed of them.
func (s *Store) Deliveries(ctx context.Context, q mgx.DeliveryQuery) ([]mgx.WebhookDelivery, error) {
	if _, err := s.Webhook(ctx, q.Workspace, q.Webhook); err != nil {
		return nil, err
	}
	w := &where{}
	w.is("webhook =", string(q.Webhook))
	in(w, "status", q.Statuses)
	if q.Failed {
		w.conds = append(w.conds, `last_error <> ''`)
	}
	if q.Before > 0 {
		w.is("position <", q.Before)
	}
	return list(ctx, s, scanDelivery, `SELECT `+deliveryColumns+` FROM webhook_deliveries`+w.String()+` ORDER BY position DESC LIMIT `+w.arg(bounded(q.Limit, MaxListed)), w.args...)
}

// Attempts lists what came of a delivery so far, oldest first.
func (s *Store) Attempts(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID, event mgx.EventID) ([]mgx.WebhookAttempt, error) {
	if _, err := s.Webhook(ctx, ws, id); err != nil {
		return nil, err
	}
	return list(ctx, s, scanAttempt, `SELECT event, at, duration, status, error, response, next_at FROM webhook_attempts WHERE webhook = $1 AND event = $2 ORDER BY ord`,
		string(id), string(event))
}

// PruneDeliveries forgets what an endpoint has dealt with: what was delivered,
// and dead letters, each when it is older than its time or beyond the newest
// keep. It returns how many dead letters are gone.
func (s *Store) PruneDeliveries(ctx context.Context, l mgx.WebhookLease, delivered, dead time.Time, keep int) (lost int64, err error) {
	err = s.write(ctx, func(t *tx) error {
		if err := t.holdsWebhook(l); err != nil {
			return err
		}
		if _, err := t.prune(l.Webhook, mgx.DeliveryDelivered, delivered, keep); err != nil {
			return err
		}
		if lost, err = t.prune(l.Webhook, mgx.DeliveryDead, dead, keep); err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM webhook_attempts WHERE webhook = $1 AND NOT EXISTS (
			SELECT 1 FROM webhook_deliveries d WHERE d.webhook = webhook_attempts.webhook AND d.event = webhook_attempts.event)`, string(l.Webhook))
		if err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM webhook_secrets WHERE webhook = $1 AND expires_at <= $2`, string(l.Webhook), micros(t.now))
		return err
	})
	return lost, err
}

func (t *tx) prune(id mgx.WebhookID, status mgx.DeliveryStatus, before time.Time, keep int) (int64, error) {
	return t.exec(`DELETE FROM webhook_deliveries WHERE webhook = $1 AND status = $2 AND (updated_at < $3 OR position < COALESCE((
		SELECT n.position FROM webhook_deliveries n WHERE n.webhook = $1 AND n.status = $2 ORDER BY n.position DESC LIMIT 1 OFFSET $4), 0))`,
		string(id), string(status), utc(before).UnixMicro(), keep-1)
}

func scanDelivery(row scanner) (d mgx.WebhookDelivery, err error) {
	var next sql.NullInt64
	var created, updated int64
	err = row.Scan(&d.Webhook, &d.Event, &d.Type, &d.Stream, &d.Position, &d.Status, &d.Attempts, &next, &d.LastError, &created, &updated)
	d.NextAt, d.CreatedAt, d.UpdatedAt = fromMicros(next), time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	return d, err
}

func scanAttempt(row scanner) (a mgx.WebhookAttempt, err error) {
	var at int64
	var next sql.NullInt64
	err = row.Scan(&a.Event, &at, &a.Duration, &a.Status, &a.Error, &a.Response, &next)
	a.At, a.NextAt = time.UnixMicro(at).UTC(), fromMicros(next)
	return a, err
}
