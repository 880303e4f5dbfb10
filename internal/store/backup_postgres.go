package store

import (
	"context"

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
