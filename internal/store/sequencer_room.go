package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Partitions are made by who fills them. A class that has events gets those of the
// next month a week before it begins; the first events of a class, and events
// whose time is another one, get theirs when they come.
const (
	aheadOf  = 7 * day
	roomWait = 3 * time.Second // for others who make or drop a partition
)

// prepare makes the partitions of this month and soon the next, for the classes
// that there are.
func (s *sequencer) prepare(ctx context.Context, conn *pgx.Conn) error {
	now := s.d.clock()
	soon := monthOf(now.Add(aheadOf))
	if s.ahead == soon || time.Since(s.looked) < tidyEvery {
		return nil
	}
	s.looked = time.Now()
	err := s.create(ctx, conn, `SELECT DISTINCT class, m::bigint FROM partitions, unnest(ARRAY[$1, $2]::bigint[]) AS m`, int64(monthOf(now)), int64(soon))
	switch {
	case err == nil:
		s.ahead = soon
	case sqlState(err) == lockTimeout: // it is not needed yet
		err = nil
	}
	return err
}

// makeRoom makes the partitions of what is numbered next.
func (s *sequencer) makeRoom(ctx context.Context, conn *pgx.Conn) error {
	s.ahead = 0 // there may be another class now
	return s.create(ctx, conn, `SELECT DISTINCT class, `+monthColumn+` FROM (SELECT class, time FROM outbox ORDER BY n LIMIT $1) o WHERE class <> -1`, batchRows)
}

// create makes the partitions that a query lists, but for those that are there.
func (s *sequencer) create(ctx context.Context, conn *pgx.Conn, query string, args ...any) error {
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	wanted, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p partition, err error) { return p, row.Scan(&p.class, &p.month) })
	if err != nil {
		return err
	}
	for _, p := range wanted {
		if _, err := conn.Exec(ctx, createPartition(p.class, p.month, s.d.mason.part)); err != nil {
			return err
		}
	}
	return nil
}
