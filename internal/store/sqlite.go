package store

import (
	"context"
	"database/sql"
	"iter"
	"sync"

	"mgx"
)

// sqliteFile drives a SQLite file. It tells changes by this process through a
// beacon, and those by any through SQLite's data version, which is only
// comparable on one connection.
type sqliteFile struct {
	*beacon
	path   string
	mode   string // how readers open it
	reads  *statements
	writes *writer // nil when read-only

	versionMu sync.Mutex
	versions  *sql.Conn
}

var sqliteDialect = dialect{
	migrations: migrationsIn("sqlite"),
	begin:      []string{`BEGIN IMMEDIATE`},
	schema:     `SELECT COALESCE(SUM(name = 'mgx_schema'), 0), COUNT(*) FROM sqlite_schema WHERE type = 'table'`,
	insert:     insertNow,
	like:       "LIKE",
	search:     `SELECT task FROM task_words WHERE number IN (SELECT rowid FROM task_index WHERE task_index MATCH $1 LIMIT $3) AND workspace = $2`,
	searchAnd:  ` AND `, searchQuote: `"`, searchOpen: `*`,
	elements:  func(p string) string { return `SELECT value FROM json_each(` + p + `)` },
	numbers:   true,
	findEvent: `SELECT ` + eventColumns + ` FROM events WHERE id = $1`,
	head:      `SELECT sequence, workspace FROM events WHERE stream = $1 ORDER BY sequence DESC LIMIT 1`,
	allEvents: `events`,

	lastPosition: `SELECT COALESCE(MAX(position), 0) FROM events`,
	lastOfStream: `SELECT COALESCE(MAX(sequence), 0) FROM events WHERE stream = $1`,
	logOf:        func(*tx, mgx.StreamID) (string, error) { return `events`, nil },
	unsplit:      `events`,

	pick:       pickFirst,
	lockStream: func(*tx, mgx.StreamID) error { return nil },
	readBudgets: func(t *tx, keys []budgetKey) error {
		return each(keys, func(k budgetKey) error {
			return t.readBudgets(`SELECT `+budgetColumns+` FROM budgets WHERE workspace = $1 AND scope = $2 AND scope_id = $3 ORDER BY period`, string(k.workspace), string(k.scope), k.id)
		})
	},
	readCounters: func(t *tx, keys []counterKey) error {
		return each(keys, func(k counterKey) error {
			return t.readCounterRows(`SELECT `+counterColumns+` FROM budget_periods WHERE budget = $1 AND starts_at = $2`, string(k.budget), k.start)
		})
	},
	checks: []func(*verifier) error{checkFile, checkReferences},
}

// insertNow stores an event in the log.
func insertNow(t *tx, e mgx.Event) (bool, error) {
	stored, err := t.exec(`INSERT INTO events (`+storedFields+`, position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
		ON CONFLICT (id) DO NOTHING`, append(t.storedArgs(e), e.Position)...)
	return stored > 0, err
}

func openSQLite(ctx context.Context, path string, o Options) (*Store, error) {
	if o.ReadOnly {
		return openReadOnly(ctx, path, o)
	}
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	w, err := openWriter(ctx, path, o)
	if err != nil {
		return nil, err
	}
	s, err := openReaders(ctx, path, "mode=rw", o)
	if err != nil {
		w.release()
		return nil, err
	}
	d := s.driver.(*sqliteFile)
	d.writes, w.committed = w, d.notify
	w.start()
	return s, nil
}

func (d *sqliteFile) do(ctx context.Context, _ *mgx.Change, f func(*tx) error) error {
	return d.writes.do(ctx, f)
}

func (d *sqliteFile) spans(context.Context, EventQuery, int) iter.Seq2[span, error] {
	return func(yield func(span, error) bool) { yield(span{from: `events`}, nil) }
}

func (d *sqliteFile) outdated(error) bool { return false }

func (d *sqliteFile) explain(err error) error { return explain(d.path, err) }

func (d *sqliteFile) version(ctx context.Context) (v int64, err error) {
	d.versionMu.Lock()
	defer d.versionMu.Unlock()
	err = d.versions.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&v)
	return v, err
}

func (d *sqliteFile) close() error {
	var err error
	if d.writes != nil {
		err = d.writes.close()
	}
	d.versionMu.Lock()
	defer d.versionMu.Unlock()
	d.versions.Close()
	return err
}
