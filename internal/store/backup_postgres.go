package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"mgx"
)

// afterRestore fills what PostgreSQL keeps beside the log: which events there
// are, where each stream stands, and up to where the log is numbered.
var afterRestore = []string{
	`INSERT INTO event_ids (id, stream, sequence) SELECT id, stream, sequence FROM events`,
	`INSERT INTO streams (id, workspace, sequence) SELECT stream, MAX(workspace), MAX(sequence) FROM events GROUP BY stream`,
	`UPDATE sequencer SET position = (SELECT COALESCE(MAX(position), 0) FROM events)`,
}

// afterRestorePartitions is the same for a log that is split.
var afterRestorePartitions = []string{
	`INSERT INTO partitions (class, month, first, last) SELECT class, ` + monthColumn + `, MIN(position), MAX(position) FROM events WHERE class <> -1 GROUP BY 1, 2`,
	`UPDATE streams s SET since = e.since, until = e.until FROM (SELECT stream, MIN(time) AS since, MAX(time) AS until FROM events GROUP BY stream) e WHERE e.stream = s.id`,
	`INSERT INTO streams AS s (id, workspace, sequence, since, until) SELECT run, '', 0, MIN(time), MAX(time) FROM events WHERE run <> '' GROUP BY run
		ON CONFLICT (id) DO UPDATE SET since = LEAST(s.since, excluded.since), until = GREATEST(s.until, excluded.until)`,
}

// splitSince is the schema that split the log.
const splitSince = 7

func (r *backupReader) after() []string {
	if r.Schema < splitSince {
		return afterRestore
	}
	return append(slices.Clone(afterRestore), afterRestorePartitions...)
}

// rooms makes the partitions that restored events need, before they come.
type rooms struct {
	ctx         context.Context
	conn        *sql.Conn
	class, time int // columns
	made        map[string]bool
}

// Bounds on what a backup may ask for.
const (
	maxRooms = 5000
	maxClass = 36525 // days
)

func (r *rooms) make(row []any) error {
	class, ok := row[r.class].(int64)
	at, also := row[r.time].(int64)
	if !ok || !also || class < classByType || class > maxClass {
		return damaged(errors.New("an event has no class or no time"))
	}
	if class == classByType {
		return nil
	}
	p := partition{class: class, month: monthOf(time.UnixMicro(at))}
	if r.made[p.table()] {
		return nil
	}
	if p.month < 197001 || p.month > 999912 || len(r.made) == maxRooms {
		return damaged(errors.New("events have too many classes, or times that cannot be"))
	}
	r.made[p.table()] = true
	_, err := r.conn.ExecContext(r.ctx, createPartition(p.class, p.month, noWall))
	return err
}

// restorePostgres fills an empty database in one transaction.
func restorePostgres(ctx context.Context, r *backupReader, address string, o RestoreOptions) error {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return mgx.Errorf(mgx.KindConfig, codeUnusable, "the address of the database cannot be used; it must read postgres://user@host:port/database")
	}
	d := &server{name: shortAddress(address), config: session0(config)}
	d.db = stdlib.OpenDB(*d.config)
	defer func() { d.db.Close() }()
	return d.explain(d.restore(ctx, r, o))
}

func (d *server) restore(ctx context.Context, r *backupReader, o RestoreOptions) error {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := d.suits(ctx, conn); err != nil {
		return err
	}
	// Nothing else that is under way may be taken for an empty database.
	have, err := postgresDialect.schemaVersion(ctx, conn)
	if err == nil && have != schemaNone {
		err = notEmpty(d.name)
	}
	if err != nil {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`) // of what is not committed
	if err := r.fill(ctx, conn, &postgresDialect, o); err != nil {
		return err
	}
	if err := r.ready(o); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, `COMMIT`)
	return err
}
