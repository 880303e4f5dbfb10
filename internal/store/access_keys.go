package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

const apiKeyColumns = `id, workspace, user_id, name, digest, models, budget, period, created_at, expires_at, revoked_at, last_used_at, scopes, role, old_digest, old_until`

// CreateKey stores a key, if whoever makes it is still what they were when they were
// permitted to.
func (s *Store) CreateKey(ctx context.Context, by mgx.Doer, k mgx.APIKey) error {
	if k.ID == "" || k.Workspace == "" || k.User == "" || len(k.Digest) != 64 || len(k.Scopes) == 0 {
		return mgx.Errorf(mgx.KindInternal, "bad_key", "a key needs an id, a workspace, a user, scopes and a digest")
	}
	var budget any
	if k.Budget != nil {
		budget = int64(*k.Budget)
	}
	return s.act(ctx, by, "key.create", func(t *tx, a *act) error {
		if err := t.stands(by); err != nil {
			return err
		}
		if err := t.room(k.Workspace, mgx.QuotaKeys); err != nil {
			return err
		}
		k.CreatedAt = t.now
		a.resource, a.after = string(k.ID), k
		_, err := t.exec(`INSERT INTO api_keys (`+apiKeyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, NULL, $11, $12, '', NULL)`,
			string(k.ID), string(k.Workspace), string(k.User), k.Name, k.Digest, names(k.Models), budget, k.Period, micros(t.now), micros(k.ExpiresAt), mustJSON(k.Scopes), k.Role)
		return err
	})
}

// Key returns a key of any workspace by its id: the one look-up that does not
// name a workspace, since the key is what says which it is.
func (s *Store) Key(ctx context.Context, id mgx.KeyID) (mgx.APIKey, error) {
	k, found, err := get(ctx, s, scanAPIKey, `SELECT `+apiKeyColumns+` FROM api_keys WHERE id = $1`, string(id))
	if err == nil && !found {
		err = noKey(id)
	}
	return k, err
}

// Keys lists the keys of a workspace, oldest first, revoked ones too: of one
// person, or of all.
func (s *Store) Keys(ctx context.Context, ws mgx.WorkspaceID, user mgx.UserID, after mgx.KeyID, limit int) ([]mgx.APIKey, error) {
	w := &where{}
	w.is("workspace =", string(ws))
	w.is("id >", string(after))
	if user != "" {
		w.is("user_id =", string(user))
	}
	return list(ctx, s, scanAPIKey, `SELECT `+apiKeyColumns+` FROM api_keys`+w.String()+` ORDER BY id LIMIT `+w.arg(bounded(limit, MaxListed)), w.args...)
}

// RevokeKey makes a key worthless for good. Doing it again changes nothing.
func (s *Store) RevokeKey(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.KeyID) error {
	return s.act(ctx, by, "key.delete", func(t *tx, a *act) error {
		a.resource = string(id)
		n, err := t.exec(`UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $1) WHERE workspace = $2 AND id = $3`, micros(t.now), string(ws), string(id))
		if err == nil && n == 0 {
			err = noKey(id)
		}
		return err
	})
}

// RotateKey gives a key that is not revoked another digest. The one before it is
// good for as long as overlap.
func (s *Store) RotateKey(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.KeyID, digest string, overlap time.Duration) error {
	return s.act(ctx, by, "key.rotate", func(t *tx, a *act) error {
		if err := t.stands(by); err != nil {
			return err
		}
		a.resource, a.after = string(id), map[string]string{"overlap": overlap.String()}
		n, err := t.exec(`UPDATE api_keys SET old_digest = digest, old_until = $1, digest = $2 WHERE workspace = $3 AND id = $4 AND revoked_at IS NULL`,
			micros(t.now.Add(overlap)), digest, string(ws), string(id))
		if err == nil && n == 0 {
			err = noKey(id)
		}
		return err
	})
}

// TouchKey notes that a key was used at a time.
func (s *Store) TouchKey(ctx context.Context, id mgx.KeyID, at time.Time) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`, micros(at), string(id))
		return err
	})
}

func noKey(id mgx.KeyID) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no key %s; see: mgx keys", id)
}

func scanAPIKey(row scanner) (k mgx.APIKey, err error) {
	var models sql.NullString
	var budget, expires, revoked, used, old sql.NullInt64
	var created int64
	var scopes string
	err = row.Scan(&k.ID, &k.Workspace, &k.User, &k.Name, &k.Digest, &models, &budget, &k.Period, &created, &expires, &revoked, &used, &scopes, &k.Role, &k.OldDigest, &old)
	if err != nil {
		return k, err
	}
	if budget.Valid {
		amount := mgx.Money(budget.Int64)
		k.Budget = &amount
	}
	k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt, k.OldUntil = fromTime(created), fromMicros(expires), fromMicros(revoked), fromMicros(used), fromMicros(old)
	if k.Models, err = fromNames(models); err == nil {
		k.Scopes, err = fromNames(sql.NullString{String: scopes, Valid: true})
	}
	return k, err
}
