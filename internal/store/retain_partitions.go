package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"mgx"
)

// How a partition goes whose class and month are over. What must stay in it moves
// to leftTable, a few rows at a time: events of runs and tasks that have not ended,
// and of types that are kept for longer now. Then the baselines of the streams
// that are left in it are folded up to its end. So far nobody notices anything. The
// rest is one transaction: the last events of streams move, emptied; the
// baselines count what goes; the table goes. It is not DETACH CONCURRENTLY, which
// cannot be part of a transaction, and then rows would be gone that are not counted
// or counted that are not gone.
const (
	foldBatch  = 100                    // streams folded in one transaction
	shortWait  = 200 * time.Millisecond // for readers of the partition, who queue behind us meanwhile
	shortTries = 20
)

// errAgain says that a partition has got rows that must stay, or readers do not let
// go of it.
var errAgain = errors.New("the partition is in use")

// leaving is a partition that is over.
type leaving struct {
	partition
	s    *Store
	args []any // of goes: types that may go, and runs and tasks that have not ended
}

// goes is the condition on a row e that it may go: $1 and $2 are l.args.
const goes = `(e.type = ANY($1::text[]) AND NOT e.run = ANY($2::text[]) AND NOT e.task = ANY($2::text[]))`

// retain lets every partition go that is over.
func (d *server) retain(ctx context.Context, s *Store, p policy, dry bool, done *Retained) error {
	all, err := list(ctx, s, func(row scanner) (p partition, err error) { return p, row.Scan(&p.class, &p.month) },
		`SELECT split_part(c.relname, '_', 2)::bigint, split_part(c.relname, '_', 3)::bigint FROM pg_inherits class
			JOIN pg_inherits i ON i.inhparent = class.inhrelid JOIN pg_class c ON c.oid = i.inhrelid WHERE class.inhparent = 'events'::regclass ORDER BY 1, 2`)
	if err != nil {
		return err
	}
	open := []string{}
	for id := range p.open {
		open = append(open, id)
	}
	for _, part := range all {
		if part.class <= 0 || !over(part.month, part.class, p.now) {
			continue
		}
		types := []string{}
		for typ := range p.keep {
			if p.lets(part.class, typ, part.month) {
				types = append(types, string(typ))
			}
		}
		l := leaving{partition: part, s: s, args: []any{types, open}}
		if dry {
			err = l.count(ctx, done)
		} else {
			err = l.leave(ctx, d, done)
		}
		if err != nil && sqlState(err) != missingTable { // another process was faster
			return s.explain(err)
		}
	}
	return nil
}

// inLog are the streams with the sequence of the last event that is in the log.
const inLog = `(SELECT s.id, s.sequence - COALESCE(o.n, 0) AS last FROM streams s LEFT JOIN (SELECT stream, COUNT(*) AS n FROM outbox GROUP BY stream) o ON o.stream = s.id)`

func (l *leaving) count(ctx context.Context, done *Retained) error {
	var removed, emptied int64
	err := l.s.reads.QueryRowContext(ctx, `SELECT COUNT(*) FILTER (WHERE e.sequence < s.last), COUNT(*) FILTER (WHERE e.sequence >= s.last AND e.data <> $3)
		FROM `+l.table()+` e JOIN `+inLog+` s ON s.id = e.stream WHERE `+goes, append(slices.Clone(l.args), string(mgx.Tombstone))...).Scan(&removed, &emptied)
	done.Removed += removed
	done.Emptied += emptied
	return err
}

// leave prepares until the partition can be dropped.
func (l *leaving) leave(ctx context.Context, d *server, done *Retained) error {
	for tries := 0; ; tries++ {
		err := l.move(ctx)
		if err == nil {
			err = l.foldRest(ctx)
		}
		if err == nil {
			err = l.drop(ctx, d, done)
		}
		if err != errAgain && sqlState(err) != lockTimeout && !collided(err) {
			return err
		}
		if tries == shortTries {
			return mgx.Errorf(mgx.KindConfig, CodeBusy, "old events are being read for too long, by a backup or a check, to be removed now; nothing was lost: try again later")
		}
		if !sleep(ctx, shortWait) {
			return ctx.Err()
		}
	}
}

// move takes what must stay to the part of the log that is not split.
func (l *leaving) move(ctx context.Context) error {
	for moved := int64(1); moved > 0; {
		err := l.s.write(ctx, func(t *tx) (err error) {
			moved, err = t.exec(`WITH stay AS (
					DELETE FROM `+l.table()+` WHERE position = ANY (ARRAY(SELECT e.position FROM `+l.table()+` e WHERE NOT `+goes+` LIMIT `+itoa(retainBatch)+`)) RETURNING *
				) INSERT INTO `+leftTable+` (`+eventColumns+`) SELECT `+eventColumns+` FROM stay`, l.args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// behind are streams with events in the partition that their baseline does not
// reach.
func (l *leaving) behind() string {
	return `(SELECT e.stream, e.workspace, e.last FROM (SELECT stream, MIN(workspace) AS workspace, MAX(sequence) AS last FROM ` + l.table() + ` GROUP BY stream) e
		LEFT JOIN baselines b ON b.stream = e.stream WHERE COALESCE(b.sequence, 0) < e.last)`
}

// foldRest brings the baselines of all streams in the partition up to its end.
func (l *leaving) foldRest(ctx context.Context) error {
	for {
		page, err := list(ctx, l.s, func(row scanner) (e aged, err error) { return e, row.Scan(&e.stream, &e.workspace, &e.sequence) },
			`SELECT * FROM `+l.behind()+` e ORDER BY stream LIMIT `+itoa(foldBatch))
		if err != nil || len(page) == 0 {
			return err
		}
		err = l.s.write(ctx, func(t *tx) error {
			for _, e := range page {
				b, err := t.lockBaseline(e.stream, e.workspace)
				if err == nil {
					err = t.advance(e.stream, &b, e.sequence)
				}
				if err == nil {
					err = t.saveBaseline(e.stream, b)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// drop counts what goes and lets the table go, in one transaction.
func (l *leaving) drop(ctx context.Context, d *server, done *Retained) error {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	t, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer t.Rollback()
	removed, emptied, err := l.take(ctx, t)
	if err == nil {
		err = l.detach(ctx, t)
	}
	if err == nil {
		err = t.Commit()
	}
	if err == nil {
		done.Removed += removed
		done.Emptied += emptied
	}
	return err
}

// take moves and counts.
func (l *leaving) take(ctx context.Context, t *sql.Tx) (removed, emptied int64, err error) {
	// Nobody changes the table from now on, and everybody can read it.
	for _, query := range []string{
		`SET LOCAL lock_timeout = ` + itoa(roomWait.Milliseconds()),
		`SELECT pg_advisory_xact_lock(` + lockSpace + `, ` + itoa(lockRetention) + `)`,
		`LOCK TABLE ` + l.table() + ` IN SHARE ROW EXCLUSIVE MODE`,
	} {
		if _, err := t.ExecContext(ctx, query); err != nil {
			return 0, 0, err
		}
	}
	var again bool
	err = t.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM `+l.table()+` e WHERE NOT `+goes+`) OR EXISTS `+l.behind(), l.args...).Scan(&again)
	if err == nil && again {
		err = errAgain
	}
	if err != nil {
		return 0, 0, err
	}
	err = t.QueryRowContext(ctx, `WITH lasts AS (
			DELETE FROM `+l.table()+` WHERE position = ANY (ARRAY(SELECT e.position FROM `+l.table()+` e JOIN `+inLog+` s ON s.id = e.stream WHERE e.sequence >= s.last)) RETURNING *
		), kept AS (
			INSERT INTO `+leftTable+` (position, id, workspace, stream, sequence, type, version, time, project, task, run, agent, execution, correlation, causation, traceparent, data)
			SELECT position, id, workspace, stream, sequence, type, version, time, project, task, run, agent, execution, correlation, causation, traceparent, $1 FROM lasts
		), freed AS (
			UPDATE runs r SET stored = r.stored - octet_length(lasts.data) + octet_length(CAST($1 AS TEXT)) FROM lasts WHERE r.id = lasts.stream
		) SELECT COUNT(*) FROM lasts WHERE data <> $1`, string(mgx.Tombstone)).Scan(&emptied)
	if err != nil {
		return 0, 0, err
	}
	err = t.QueryRowContext(ctx, `WITH gone AS (SELECT stream, COUNT(*) AS n, MAX(position) AS position, SUM(octet_length(data)) AS bytes FROM `+l.table()+` GROUP BY stream), freed AS (
			UPDATE runs r SET stored = r.stored - gone.bytes FROM gone WHERE r.id = gone.stream
		), counted AS (
			UPDATE baselines b SET removed = b.removed + gone.n, position = GREATEST(b.position, gone.position) FROM gone WHERE b.stream = gone.stream
		) SELECT COALESCE(SUM(n), 0) FROM gone`).Scan(&removed)
	return removed, emptied, err
}

// detach lets the table go. It does not wait for long for those who read it: others
// would wait behind it.
func (l *leaving) detach(ctx context.Context, t *sql.Tx) error {
	for _, query := range []string{
		`DELETE FROM partitions WHERE class = ` + itoa(l.class) + ` AND month = ` + itoa(int64(l.month)),
		`SET LOCAL lock_timeout = ` + itoa(shortWait.Milliseconds()),
		`ALTER TABLE events_` + itoa(l.class) + ` DETACH PARTITION ` + l.table(),
		`DROP TABLE ` + l.table(),
	} {
		if _, err := t.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	return nil
}
