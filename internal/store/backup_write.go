package store

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"mgx"
)

// backupTables are what a backup holds of either database, in the order in which
// they can be filled again. What is left out follows from these, or is of one
// process or one database only.
var backupTables = []backupTable{
	{"events", "position"},
	{"baselines", "stream"},
	{"tasks", "id"},
	{"runs", "id"},
	{"executions", "id"},
	{"steps", "execution, ord"},
	{"signals", "id"},
	{"ledger", "id"},
	{"budgets", "id"},
	{"budget_periods", "budget, starts_at"},
	{"webhooks", "id"},
	{"webhook_secrets", "webhook, created_at, secret"},
	{"webhook_deliveries", "webhook, event"},
	{"webhook_attempts", "webhook, event, ord"},
	{"users", "id"},
	{"identities", "issuer, subject"},
	{"workspaces", "id"},
	{"members", "workspace, user_id"},
	{"roles", "workspace, name"},
	{"sessions", "id"},
	{"session_tokens", "digest"},
	{"invitations", "id"},
	{"api_keys", "id"},
	{"audit_hashes", "workspace, idx"},
	{"audit_checkpoints", "workspace, size"},
	{"workspace_keys", "workspace, version"},
	{"secrets", "workspace, name, version"},
	{"project_settings", "workspace, project, name"},
	{"projects", "workspace, id"},
	{"settings", "workspace, name"},
	{"erasures", "subject"},
	{"attempts", "id"},
	{"revisions", "workspace, kind, id"},
	{"kept_answers", "workspace, actor, route, key"},
	{"consumers", "name"},
	{"consumer_dead", "consumer, event"},
}

// lastTable are tables that are no more, with the schema that did away with them.
var lastTable = map[string]int{"gateway_keys": 12, "sign_ins": 22}

// backupTable is a table and the order of its rows, in columns.
type backupTable struct{ name, order string }

// BackupOptions say what a backup holds besides the database.
type BackupOptions struct {
	Program string // version of the program, for the record
	// Files adds the files of one run; it is called for each, by id, with what
	// is recorded of it at the moment of the backup. Nil: none.
	Files func(RunFiles) error
}

// RunFiles is a run whose files can be added to a backup.
type RunFiles struct {
	Run   mgx.Run
	Trees func() ([]string, error)                                     // ids of every tree of its files that is recorded
	Add   func(name string, mode fs.FileMode, content io.Reader) error // name: slash-separated, below the data directory
}

// Backup writes a backup of the database, as it is at one moment, to a new
// file (0600). The database may be in use meanwhile, also by other processes,
// and is not held up. The file appears under its name only when it is whole and
// on disk; one that exists is never overwritten. It can be restored into either
// kind of database; see [Restore].
func (s *Store) Backup(ctx context.Context, path string, o BackupOptions) (Manifest, error) {
	if err := Vacant(path); err != nil {
		return Manifest{}, err
	}
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-*")
	if err != nil {
		return Manifest{}, s.explainBackup(path, err)
	}
	defer os.Remove(part.Name())
	out := bufio.NewWriterSize(part, 1<<20)
	m, err := s.WriteBackup(ctx, out, o)
	if err == nil {
		err = out.Flush()
	}
	if e := part.Close(); err == nil {
		err = e
	}
	if err != nil {
		return Manifest{}, s.explainBackup(path, err)
	}
	return m, publish(part.Name(), path)
}

// explainBackup tells errors of the new file from those of the database.
func (s *Store) explainBackup(path string, err error) error {
	if own, ok := errors.AsType[*mgx.Error](err); ok {
		return own
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return diskFull(path, err)
		}
		return mgx.Errorf(mgx.KindConfig, "backup_failed", "the backup %s cannot be written: %w", path, file)
	}
	return s.explain(err)
}

// WriteBackup writes a backup to a stream; one that ends with an error is none.
func (s *Store) WriteBackup(ctx context.Context, to io.Writer, o BackupOptions) (Manifest, error) {
	ctx = mgx.ForInstallation(ctx)
	tx, err := s.moment(ctx)
	if err != nil {
		return Manifest{}, s.explain(err)
	}
	defer tx.Rollback()
	b := backup{ctx: ctx, tx: tx, dialect: s.dialect}
	m, err := b.manifest(o.Program)
	if err != nil {
		return m, err
	}
	if b.to, err = newBackupWriter(to, m); err != nil {
		return m, err
	}
	for _, t := range m.Tables {
		if err := b.table(t.Name); err != nil {
			return m, err
		}
	}
	if o.Files != nil {
		if err := b.files(o.Files); err != nil {
			return m, err
		}
	}
	m.Rows, m.Files = b.to.rows, b.to.files
	return m, b.to.close()
}

// backup reads one moment of a database.
type backup struct {
	ctx     context.Context
	tx      *sql.Tx
	dialect *dialect
	to      *backupWriter
	last    int64 // position written
}

func (b *backup) manifest(program string) (Manifest, error) {
	m := Manifest{Format: backupFormat, CreatedAt: mgx.Now(), Program: program}
	var err error
	if m.Schema, err = b.dialect.schemaVersion(b.ctx, b.tx); err != nil {
		return m, err
	}
	if err := b.tx.QueryRowContext(b.ctx, `SELECT id FROM epoch`).Scan(&m.Epoch); err != nil {
		return m, err
	}
	for _, t := range backupTables {
		columns, err := columnsOf(b.ctx, b.tx, t.name)
		if err != nil {
			return m, err
		}
		m.Tables = append(m.Tables, BackupTable{t.name, columns})
	}
	return m, nil
}

// columnsOf lists a table's columns in the database's order.
func columnsOf(ctx context.Context, tx session, table string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT * FROM `+table+` WHERE 1 = 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return rows.Columns()
}

func (b *backup) table(name string) error {
	query := `SELECT * FROM ` + name
	for _, t := range backupTables {
		switch {
		case t.name != name:
		case name == "events":
			query = `SELECT position, ` + storedFields + ` FROM ` + b.dialect.allEvents + ` ORDER BY position`
		default:
			query += ` ORDER BY ` + t.order
		}
	}
	if err := b.to.begin(name); err != nil {
		return err
	}
	rows, err := b.tx.QueryContext(b.ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for rows.Next() {
		for i := range values {
			values[i], into[i] = nil, &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if name == "events" {
			b.number(values)
		}
		if err := b.to.row(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// number gives events that are committed and not numbered yet the positions
// they would have got had nothing else come.
func (b *backup) number(values []any) {
	if p, ok := values[0].(int64); ok && p < unnumbered {
		b.last = p
		return
	}
	b.last++
	values[0] = b.last
}

// unnumbered is above every position.
const unnumbered = 1 << 60

// files offers every run, a page at a time.
func (b *backup) files(add func(RunFiles) error) error {
	for after := mgx.RunID(""); ; {
		page, err := b.runs(after)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, run := range page {
			err := add(RunFiles{
				Run:   run,
				Trees: func() ([]string, error) { return treesOf(b.ctx, b.tx, b.dialect, run) },
				Add: func(name string, mode fs.FileMode, content io.Reader) error {
					if err := validBackupName(name); err != nil {
						return err
					}
					return b.to.file(name, mode, content)
				},
			})
			if err != nil {
				return err
			}
			after = run.ID
		}
	}
}

func (b *backup) runs(after mgx.RunID) (page []mgx.Run, err error) {
	rows, err := b.tx.QueryContext(b.ctx, `SELECT state FROM runs WHERE id > $1 ORDER BY id LIMIT 100`, string(after))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

// treesOf lists the trees of a run's files that its row and its events name.
func treesOf(ctx context.Context, tx session, d *dialect, run mgx.Run) ([]string, error) {
	seen := map[string]bool{"": true}
	var trees []string
	add := func(tree string) {
		if !seen[tree] {
			seen[tree] = true
			trees = append(trees, tree)
		}
	}
	add(run.Tree)
	rows, err := tx.QueryContext(ctx, `SELECT `+eventColumns+` FROM `+d.allEvents+` WHERE stream = $1 AND type IN ($2, $3)`,
		string(run.ID), string(mgx.RunCheckpointed), string(mgx.ToolReturned))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEvent(rows)
		if err != nil {
			return nil, err
		}
		var d struct {
			Tree string `json:"tree"`
		}
		if err := e.Decode(&d); err != nil {
			return nil, err
		}
		add(d.Tree)
	}
	return trees, rows.Err()
}
