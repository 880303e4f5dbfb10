package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

// MaxGatewayKeys bounds the keys of one workspace that are not revoked.
const MaxGatewayKeys = 1000

const gatewayKeyColumns = `id, workspace, user_id, name, digest, models, budget, period, created_at, expires_at, revoked_at, last_used_at`

// CreateGatewayKey stores a key.
func (s *Store) CreateGatewayKey(ctx context.Context, k mgx.GatewayKey) error {
	if k.ID == "" || k.Workspace == "" || k.User == "" || len(k.Digest) != 64 {
		return mgx.Errorf(mgx.KindInternal, "bad_key", "a key needs an id, a workspace, a user and a digest")
	}
	var budget any
	if k.Budget != nil {
		budget = int64(*k.Budget)
	}
	return s.write(ctx, func(t *tx) error {
		var alive int
		if _, err := t.row(`SELECT COUNT(*) FROM gateway_keys WHERE workspace = $1 AND revoked_at IS NULL`, []any{string(k.Workspace)}, &alive); err != nil {
			return err
		}
		if alive >= MaxGatewayKeys {
			return mgx.Errorf(mgx.KindUsage, "too_many_keys", "a workspace has at most %d keys; revoke one first", MaxGatewayKeys)
		}
		_, err := t.exec(`INSERT INTO gateway_keys (`+gatewayKeyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, NULL)`,
			string(k.ID), string(k.Workspace), string(k.User), k.Name, k.Digest, names(k.Models), budget, k.Period, micros(t.now), micros(k.ExpiresAt))
		return err
	})
}

// GatewayKey returns a key of any workspace by its id: the one look-up that
// does not name a workspace, since the key is what says which it is.
func (s *Store) GatewayKey(ctx context.Context, id mgx.KeyID) (mgx.GatewayKey, error) {
	k, found, err := get(ctx, s, scanGatewayKey, `SELECT `+gatewayKeyColumns+` FROM gateway_keys WHERE id = $1`, string(id))
	if err == nil && !found {
		err = noGatewayKey(id)
	}
	return k, err
}

// GatewayKeys lists the keys of a workspace, oldest first, revoked ones too.
func (s *Store) GatewayKeys(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.GatewayKey, error) {
	return list(ctx, s, scanGatewayKey, `SELECT `+gatewayKeyColumns+` FROM gateway_keys WHERE workspace = $1 ORDER BY id`, string(ws))
}

// RevokeGatewayKey makes a key worthless for good. Doing it again changes nothing.
func (s *Store) RevokeGatewayKey(ctx context.Context, ws mgx.WorkspaceID, id mgx.KeyID) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE gateway_keys SET revoked_at = COALESCE(revoked_at, $1) WHERE workspace = $2 AND id = $3`, micros(t.now), string(ws), string(id))
		if err == nil && n == 0 {
			err = noGatewayKey(id)
		}
		return err
	})
}

// TouchGatewayKey notes that a key was used at a time.
func (s *Store) TouchGatewayKey(ctx context.Context, id mgx.KeyID, at time.Time) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE gateway_keys SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`, micros(at), string(id))
		return err
	})
}

func noGatewayKey(id mgx.KeyID) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no key %s; see: mgx keys", id)
}

func scanGatewayKey(row scanner) (k mgx.GatewayKey, err error) {
	var models sql.NullString
	var budget, expires, revoked, used sql.NullInt64
	var created int64
	err = row.Scan(&k.ID, &k.Workspace, &k.User, &k.Name, &k.Digest, &models, &budget, &k.Period, &created, &expires, &revoked, &used)
	if err != nil {
		return k, err
	}
	if budget.Valid {
		amount := mgx.Money(budget.Int64)
		k.Budget = &amount
	}
	k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt = time.UnixMicro(created).UTC(), fromMicros(expires), fromMicros(revoked), fromMicros(used)
	k.Models, err = fromNames(models)
	return k, err
}
