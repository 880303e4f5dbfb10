package store

import (
	"context"

	"mgx"
)

// Epoch names this log: positions are only comparable within one. It stays the
// same for as long as the database lives, and a restored copy has another.
func (s *Store) Epoch(ctx context.Context) (string, error) {
	var id string
	err := s.reads.QueryRowContext(ctx, `SELECT id FROM epoch`).Scan(&id)
	return id, s.explain(err)
}

// Earliest returns the position from which on no event has been removed. Whoever
// has read the log up to just before it, or further, misses nothing by going on.
func (s *Store) Earliest(ctx context.Context) (int64, error) {
	ctx = mgx.ForInstallation(ctx)
	removed, err := s.Removed(ctx, "", "")
	return removed + 1, err
}

// Removed returns the greatest position of an event that was removed, of one
// workspace and one stream if given; 0: none was.
func (s *Store) Removed(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID) (position int64, err error) {
	w := &where{}
	if ws != "" {
		w.is("workspace =", string(ws))
	}
	if stream != "" {
		w.is("stream =", string(stream))
	}
	err = s.reads.QueryRowContext(ctx, `SELECT COALESCE(MAX(position), 0) FROM baselines`+w.String(), w.args...).Scan(&position)
	return position, s.explain(err)
}
