package store

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"mgx"
)

// troubleKept is for how long the database counts as troubled after a write that
// it did not take.
const troubleKept = 5 * time.Second

// lastTrouble is the last write that failed for reasons of the database.
type lastTrouble struct{ at atomic.Pointer[troubled] }

type troubled struct {
	err  error
	when time.Time
}

var troubles = []string{CodeDiskFull, CodeReadOnly, CodeCorrupt, CodeDisk, CodeBusy, CodeUnavailable, CodeRefused}

// note passes a write's error on, and remembers it if it is the database's.
func (l *lastTrouble) note(err error) error {
	if err != nil && slices.ContainsFunc(troubles, func(code string) bool { return mgx.IsCode(err, code) }) {
		l.at.Store(&troubled{err, time.Now()})
	}
	return err
}

func (l *lastTrouble) recent() error {
	if t := l.at.Load(); t != nil && time.Since(t.when) < troubleKept {
		return t.err
	}
	return nil
}

// rewrite changes nothing, and is a write all the same.
const rewrite = `UPDATE epoch SET id = id`

// TryWrite finds out whether the database takes writes: by making one, and by how
// those of the last seconds went, since a disk may have room for one and not for
// another.
func (s *Store) TryWrite(ctx context.Context) error {
	if s.opts.ReadOnly {
		return readOnly(s.name)
	}
	if err := s.explain(s.try(ctx)); err != nil {
		return err
	}
	return s.trouble.recent()
}

func (d *sqliteFile) try(ctx context.Context) error {
	return d.do(ctx, nil, func(t *tx) error {
		_, err := t.exec(rewrite)
		return err
	})
}

func (d *server) try(ctx context.Context) error {
	_, err := d.db.ExecContext(ctx, rewrite)
	return err
}
