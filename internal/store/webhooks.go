package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

const webhookColumns = `id, workspace, url, description, types, channels, enabled, disabled_why, failing_since, position, owner, lease_until, term, created_at, updated_at`

// webhookCounts come after webhookColumns.
const webhookCounts = `,
	(SELECT COUNT(*) FROM webhook_deliveries d WHERE d.webhook = webhooks.id AND d.status = 'pending'),
	(SELECT COUNT(*) FROM webhook_deliveries d WHERE d.webhook = webhooks.id AND d.status = 'dead')`

// CreateWebhook stores an endpoint with the secret it signs with. A negative
// Cursor means that only events from now on are sent; one beyond the log is refused.
func (s *Store) CreateWebhook(ctx context.Context, by mgx.Doer, w mgx.Webhook, secret string) error {
	if w.ID == "" || w.Workspace == "" || w.URL == "" || secret == "" {
		return mgx.Errorf(mgx.KindInternal, "bad_webhook", "a webhook needs an id, a workspace, an address and a secret")
	}
	head, err := s.Head(ctx)
	switch {
	case err != nil:
		return err
	case w.Cursor > head:
		return mgx.Errorf(mgx.KindUsage, "bad_position", "a webhook begins after a position that there is, and the log ends at %d; without one it begins there", head)
	case w.Cursor < 0:
		w.Cursor = head
	}
	return s.act(ctx, by, "webhook.create", func(t *tx, a *act) error {
		a.resource, a.after = string(w.ID), filtersOf(w)
		if err := t.stands(by); err != nil {
			return err
		}
		if err := t.room(w.Workspace, mgx.QuotaWebhooks); err != nil {
			return err
		}
		var all int
		err := t.asInstallation(func() error {
			_, err := t.row(`SELECT COUNT(*) FROM webhooks`, nil, &all)
			return err
		})
		if err != nil {
			return err
		}
		if all >= MaxListed {
			return mgx.Errorf(mgx.KindUsage, "too_many_webhooks", "all workspaces together have at most %d webhooks; remove one first", MaxListed)
		}
		now := micros(t.now)
		_, err = t.exec(`INSERT INTO webhooks (`+webhookColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, 1, '', NULL, $7, '', NULL, 0, $8, $9)`,
			string(w.ID), string(w.Workspace), w.URL, w.Description, names(w.Types), names(w.Channels), w.Cursor, now, now)
		if err != nil {
			return err
		}
		return t.addSecret(w.ID, secret)
	})
}

// filtersOf is what the audit log shows of an endpoint.
func filtersOf(w mgx.Webhook) map[string]any {
	return map[string]any{"url": mgx.ShownAddress(w.URL), "types": w.Types, "channels": w.Channels}
}

// Webhook returns one endpoint of a workspace.
func (s *Store) Webhook(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID) (mgx.Webhook, error) {
	w, found, err := get(ctx, s, scanWebhook, `SELECT `+webhookColumns+webhookCounts+` FROM webhooks WHERE workspace = $1 AND id = $2`, string(ws), string(id))
	if err == nil && !found {
		err = noWebhook(id)
	}
	return w, err
}

// Webhooks lists the endpoints of a workspace, oldest first.
func (s *Store) Webhooks(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.Webhook, error) {
	return list(ctx, s, scanWebhook, `SELECT `+webhookColumns+webhookCounts+` FROM webhooks WHERE workspace = $1 ORDER BY id`, string(ws))
}

// UpdateWebhook replaces the address, the description and the filters of an
// endpoint. What has become a delivery already stays one.
func (s *Store) UpdateWebhook(ctx context.Context, by mgx.Doer, w mgx.Webhook) error {
	return s.act(ctx, by, "webhook.update", func(t *tx, a *act) error {
		if err := t.stands(by); err != nil {
			return err
		}
		var before string
		if _, err := t.row(`SELECT url FROM webhooks WHERE workspace = $1 AND id = $2`, []any{string(w.Workspace), string(w.ID)}, &before); err != nil {
			return err
		}
		after := filtersOf(w)
		if before != w.URL { // which does not show where the hosts are the same
			after["url_changed"] = true
		}
		a.resource, a.after = string(w.ID), after
		n, err := t.exec(`UPDATE webhooks SET url = $1, description = $2, types = $3, channels = $4, `+touched("$5")+` WHERE workspace = $6 AND id = $7`,
			w.URL, w.Description, names(w.Types), names(w.Channels), micros(t.now), string(w.Workspace), string(w.ID))
		return orNoWebhook(w.ID, n, err)
	})
}

// EnableWebhook makes an endpoint go on where it stopped, or, with skip, from
// now on: what happened meanwhile is then never sent, and what was left to make
// is given up.
func (s *Store) EnableWebhook(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID, skip bool) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	return s.act(ctx, by, "webhook.enable", func(t *tx, a *act) error {
		a.resource = string(id)
		n, err := t.exec(`UPDATE webhooks SET enabled = 1, disabled_why = '', failing_since = NULL, `+touched("$1")+` WHERE workspace = $2 AND id = $3`,
			micros(t.now), string(ws), string(id))
		if err = orNoWebhook(id, n, err); err != nil || !skip {
			return err
		}
		if _, err := t.exec(`UPDATE webhooks SET position = $1 WHERE id = $2 AND position < $1`, head, string(id)); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE webhook_deliveries SET status = 'dead', next_at = NULL, last_error = 'skipped', updated_at = $1 WHERE webhook = $2 AND status = 'pending'`,
			micros(t.now), string(id))
		return err
	})
}

// DisableWebhook stops deliveries until the endpoint is enabled again.
func (s *Store) DisableWebhook(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID, why string) error {
	return s.act(ctx, by, "webhook.disable", func(t *tx, a *act) error {
		a.resource = string(id)
		n, err := t.exec(`UPDATE webhooks SET enabled = 0, disabled_why = $1, `+touched("$2")+` WHERE workspace = $3 AND id = $4`,
			why, micros(t.now), string(ws), string(id))
		return orNoWebhook(id, n, err)
	})
}

// RemoveWebhook deletes an endpoint with its secrets and everything about its
// deliveries.
func (s *Store) RemoveWebhook(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID) error {
	return s.act(ctx, by, "webhook.remove", func(t *tx, a *act) error {
		a.resource = string(id)
		// The update holds the row, so that no delivery is added meanwhile.
		n, err := t.exec(`UPDATE webhooks SET enabled = 0 WHERE workspace = $1 AND id = $2`, string(ws), string(id))
		if err = orNoWebhook(id, n, err); err != nil {
			return err
		}
		for _, table := range []string{"webhook_attempts", "webhook_deliveries", "webhook_secrets"} {
			if _, err := t.exec(`DELETE FROM `+table+` WHERE webhook = $1`, string(id)); err != nil {
				return err
			}
		}
		_, err = t.exec(`DELETE FROM webhooks WHERE id = $1`, string(id))
		return err
	})
}

// touched sets when the settings were changed last, so that it never stands
// still: whoever delivers looks again at an endpoint for which it moved.
func touched(now string) string {
	return `updated_at = CASE WHEN updated_at < ` + now + ` THEN ` + now + ` ELSE updated_at + 1 END`
}

func noWebhook(id mgx.WebhookID) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no webhook %s; see: mgx webhooks", id)
}

func orNoWebhook(id mgx.WebhookID, n int64, err error) error {
	if err == nil && n == 0 {
		err = noWebhook(id)
	}
	return err
}

func scanWebhook(row scanner) (w mgx.Webhook, err error) {
	var types, channels sql.NullString
	var failing, until sql.NullInt64
	var enabled, created, updated int64
	err = row.Scan(&w.ID, &w.Workspace, &w.URL, &w.Description, &types, &channels, &enabled, &w.DisabledWhy, &failing, &w.Cursor,
		&w.Lease.Owner, &until, &w.Lease.Term, &created, &updated, &w.Pending, &w.Dead)
	if err != nil {
		return w, err
	}
	w.Enabled, w.FailingSince = enabled == 1, fromMicros(failing)
	w.Lease.Webhook, w.Lease.Until = w.ID, fromMicros(until)
	w.CreatedAt, w.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	if w.Types, err = fromNames(types); err == nil {
		w.Channels, err = fromNames(channels)
	}
	return w, err
}
