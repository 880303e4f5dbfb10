package store

import (
	"context"
	"time"

	"mgx"
)

const (
	keyColumns    = `workspace, version, wrapped, created_at`
	secretColumns = `workspace, name, version, key_version, box, created_by, created_at`
)

// WorkspaceKeys lists the keys of a workspace, oldest first.
func (s *Store) WorkspaceKeys(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.WorkspaceKey, error) {
	return list(ctx, s, scanKey, `SELECT `+keyColumns+` FROM workspace_keys WHERE workspace = $1 ORDER BY version`, string(ws))
}

// KeyedWorkspaces lists the workspaces that have a key.
func (s *Store) KeyedWorkspaces(ctx context.Context) ([]mgx.WorkspaceID, error) {
	return list(ctx, s, func(row scanner) (ws mgx.WorkspaceID, err error) { return ws, row.Scan(&ws) },
		`SELECT DISTINCT workspace FROM workspace_keys ORDER BY workspace`)
}

func scanKey(row scanner) (k mgx.WorkspaceKey, err error) {
	var at int64
	err = row.Scan(&k.Workspace, &k.Version, &k.Wrapped, &at)
	k.CreatedAt = time.UnixMicro(at).UTC()
	return k, err
}

// AddWorkspaceKey stores a key, with the acts that say so. It is refused with
// CodeConflict unless its version is the next.
func (s *Store) AddWorkspaceKey(ctx context.Context, k mgx.WorkspaceKey, acts ...mgx.Event) error {
	return s.acting(ctx, acts, func(t *tx) error {
		var last int64
		if _, err := t.row(`SELECT COALESCE(MAX(version), 0) FROM workspace_keys WHERE workspace = $1`, []any{string(k.Workspace)}, &last); err != nil {
			return err
		}
		if last+1 != k.Version {
			return mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "workspace %s has a key of version %d by now", k.Workspace, last)
		}
		_, err := t.exec(`INSERT INTO workspace_keys (`+keyColumns+`) VALUES ($1, $2, $3, $4)`, string(k.Workspace), k.Version, k.Wrapped, micros(utc(k.CreatedAt)))
		return err
	})
}

// RewrapWorkspaceKey replaces how a key is wrapped.
func (s *Store) RewrapWorkspaceKey(ctx context.Context, k mgx.WorkspaceKey, acts ...mgx.Event) error {
	return s.acting(ctx, acts, func(t *tx) error {
		n, err := t.exec(`UPDATE workspace_keys SET wrapped = $1 WHERE workspace = $2 AND version = $3`, k.Wrapped, string(k.Workspace), k.Version)
		if err == nil && n == 0 {
			err = mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "key %d of workspace %s is gone", k.Version, k.Workspace)
		}
		return err
	})
}

// DropWorkspaceKeys removes the keys below a version. It is refused with
// CodeConflict while something is sealed with one of them.
func (s *Store) DropWorkspaceKeys(ctx context.Context, ws mgx.WorkspaceID, below int64, acts ...mgx.Event) error {
	return s.acting(ctx, acts, func(t *tx) error {
		if _, err := t.exec(`DELETE FROM workspace_keys WHERE workspace = $1 AND version < $2`, string(ws), below); err != nil {
			return err
		}
		var sealed int64
		if _, err := t.row(`SELECT COUNT(*) FROM secrets WHERE workspace = $1 AND key_version < $2`, []any{string(ws), below}, &sealed); err != nil {
			return err
		}
		if sealed > 0 {
			return mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "%d secrets of workspace %s are sealed with older keys", sealed, ws)
		}
		return nil
	})
}

// Secrets lists the newest version of each secret of a workspace, by name.
func (s *Store) Secrets(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.SealedSecret, error) {
	return list(ctx, s, scanSecret, `SELECT `+secretColumns+` FROM secrets s WHERE workspace = $1
		AND version = (SELECT MAX(version) FROM secrets n WHERE n.workspace = s.workspace AND n.name = s.name) ORDER BY name`, string(ws))
}

// AllSecrets lists every version of each secret of a workspace.
func (s *Store) AllSecrets(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.SealedSecret, error) {
	return list(ctx, s, scanSecret, `SELECT `+secretColumns+` FROM secrets WHERE workspace = $1 ORDER BY name, version`, string(ws))
}

// Secret returns the newest version of a secret.
func (s *Store) Secret(ctx context.Context, ws mgx.WorkspaceID, name string) (mgx.SealedSecret, error) {
	found, ok, err := get(ctx, s, scanSecret, `SELECT `+secretColumns+` FROM secrets WHERE workspace = $1 AND name = $2 ORDER BY version DESC LIMIT 1`, string(ws), name)
	if err == nil && !ok {
		err = noSecret(name)
	}
	return found, err
}

func noSecret(name string) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no secret %s; see: mgx secrets", name)
}

func scanSecret(row scanner) (s mgx.SealedSecret, err error) {
	var at int64
	err = row.Scan(&s.Workspace, &s.Name, &s.Version, &s.Key, &s.Box, &s.CreatedBy, &at)
	s.CreatedAt = time.UnixMicro(at).UTC()
	return s, err
}

// AddSecret stores a version of a secret. It is refused with CodeConflict unless
// its version is the next and the key that sealed it is there still.
func (s *Store) AddSecret(ctx context.Context, n mgx.SealedSecret, acts ...mgx.Event) error {
	return s.acting(ctx, acts, func(t *tx) error {
		var last int64
		if _, err := t.row(`SELECT COALESCE(MAX(version), 0) FROM secrets WHERE workspace = $1 AND name = $2`, []any{string(n.Workspace), n.Name}, &last); err != nil {
			return err
		}
		key, err := t.row(`SELECT version FROM workspace_keys WHERE workspace = $1 AND version = $2`+t.d.lockRead, []any{string(n.Workspace), n.Key}, new(int64))
		if err != nil {
			return err
		}
		if last+1 != n.Version || !key {
			return mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "secret %s has changed meanwhile", n.Name)
		}
		if last == 0 {
			if err := t.room(n.Workspace, mgx.QuotaSecrets); err != nil {
				return err
			}
		}
		_, err = t.exec(`INSERT INTO secrets (`+secretColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			string(n.Workspace), n.Name, n.Version, n.Key, n.Box, string(n.CreatedBy), micros(utc(n.CreatedAt)))
		return err
	})
}

// ResealSecret replaces how a version is sealed, if it is sealed with the key that
// the caller opened it with; else CodeConflict.
func (s *Store) ResealSecret(ctx context.Context, n mgx.SealedSecret, was int64) error {
	return s.write(ctx, func(t *tx) error {
		changed, err := t.exec(`UPDATE secrets SET key_version = $1, box = $2 WHERE workspace = $3 AND name = $4 AND version = $5 AND key_version = $6`,
			n.Key, n.Box, string(n.Workspace), n.Name, n.Version, was)
		if err == nil && changed == 0 {
			err = mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "secret %s has changed meanwhile", n.Name)
		}
		return err
	})
}

// RemoveSecret removes all versions of a secret.
func (s *Store) RemoveSecret(ctx context.Context, ws mgx.WorkspaceID, name string, acts ...mgx.Event) error {
	return s.acting(ctx, acts, func(t *tx) error {
		n, err := t.exec(`DELETE FROM secrets WHERE workspace = $1 AND name = $2`, string(ws), name)
		if err == nil && n == 0 {
			err = noSecret(name)
		}
		return err
	})
}
