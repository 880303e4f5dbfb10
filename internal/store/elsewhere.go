package store

import (
	"context"
	"strings"

	"mgx"
)

// owned are tables whose rows have ids that begin with these words.
var owned = map[string]string{
	"run": "runs", "task": "tasks", "exec": "executions", "key": "api_keys", "whk": "webhooks", "bgt": "budgets", "inv": "invitations",
}

// Elsewhere says of which other workspace than one something is, by its id. It is for
// the installation, which wants to know who tries the ids of others.
func (s *Store) Elsewhere(ctx context.Context, ws mgx.WorkspaceID, id string) (other mgx.WorkspaceID, found bool, err error) {
	ctx = mgx.ForInstallation(ctx)
	prefix, _, _ := strings.Cut(id, "_")
	table, known := owned[prefix]
	if !known {
		return "", false, nil
	}
	return get(ctx, s, func(row scanner) (other mgx.WorkspaceID, err error) { return other, row.Scan(&other) },
		`SELECT workspace FROM `+table+` WHERE id = $1 AND workspace <> $2 LIMIT 1`, id, string(ws))
}
