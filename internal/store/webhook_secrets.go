package store

import (
	"context"
	"time"

	"mgx"
)

// maxSecrets bounds the secrets that one endpoint signs with at the same time.
const maxSecrets = 5

// WebhookSecrets returns what an endpoint's messages are signed with now, the
// newest first. They go to whoever signs and nowhere else.
func (s *Store) WebhookSecrets(ctx context.Context, id mgx.WebhookID) ([]string, error) {
	return list(ctx, s, func(row scanner) (secret string, err error) { return secret, row.Scan(&secret) },
		`SELECT secret FROM webhook_secrets WHERE webhook = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY created_at DESC, secret`, string(id), micros(mgx.Now()))
}

// RotateWebhookSecret adds a secret. Those before it go on signing for as long
// as overlap, and are then deleted.
func (s *Store) RotateWebhookSecret(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID, secret string, overlap time.Duration) error {
	return s.act(ctx, by, "webhook.rotate", func(t *tx, a *act) error {
		a.resource = string(id)
		if err := t.stands(by); err != nil {
			return err
		}
		n, err := t.exec(`UPDATE webhooks SET `+touched("$1")+` WHERE workspace = $2 AND id = $3`, micros(t.now), string(ws), string(id))
		if err = orNoWebhook(id, n, err); err != nil {
			return err
		}
		until := micros(t.now.Add(overlap))
		if _, err := t.exec(`UPDATE webhook_secrets SET expires_at = $1 WHERE webhook = $2 AND (expires_at IS NULL OR expires_at > $1)`, until, string(id)); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM webhook_secrets WHERE webhook = $1 AND expires_at <= $2`, string(id), micros(t.now)); err != nil {
			return err
		}
		var alive int
		if _, err := t.row(`SELECT COUNT(*) FROM webhook_secrets WHERE webhook = $1`, []any{string(id)}, &alive); err != nil {
			return err
		}
		if alive >= maxSecrets {
			return mgx.Errorf(mgx.KindUsage, "rotated_too_often", "webhook %s has %d secrets that are still valid; wait until the oldest expires, or revoke them all with --revoke", id, alive)
		}
		return t.addSecret(id, secret)
	})
}

func (t *tx) addSecret(id mgx.WebhookID, secret string) error {
	_, err := t.exec(`INSERT INTO webhook_secrets (webhook, created_at, secret, expires_at) VALUES ($1, $2, $3, NULL)`, string(id), micros(t.now), secret)
	return err
}
