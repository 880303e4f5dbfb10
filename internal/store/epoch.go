package store

import "context"

// Epoch names this log: positions are only comparable within one. It stays the
// same for as long as the database lives, and a restored copy has another.
func (s *Store) Epoch(ctx context.Context) (string, error) {
	var id string
	err := s.reads.QueryRowContext(ctx, `SELECT id FROM epoch`).Scan(&id)
	return id, s.explain(err)
}

// Earliest returns the position from which on no event has been removed. Whoever
// has read the log up to just before it, or further, misses nothing by going on.
func (s *Store) Earliest(ctx context.Context) (position int64, err error) {
	err = s.reads.QueryRowContext(ctx, `SELECT COALESCE(MAX(position), 0) + 1 FROM baselines`).Scan(&position)
	return position, s.explain(err)
}
