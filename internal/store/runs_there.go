package store

import (
	"context"

	"mgx"
)

// HasRun reports whether there is a run, of whatever workspace, erased or not.
func (s *Store) HasRun(ctx context.Context, id mgx.RunID) (bool, error) {
	n, _, err := get(mgx.ForInstallation(ctx), s, scanCount, `SELECT COUNT(*) FROM runs WHERE id = $1`, string(id))
	return n > 0, err
}
