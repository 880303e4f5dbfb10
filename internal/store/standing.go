package store

import (
	"context"
	"strings"
	"time"

	"mgx"
)

// Standing is how a database stands, for the people who keep it.
type Standing struct {
	Kind   string // sqlite, postgres
	Server string // its version
	Schema int    // the last migration that was made
	Known  int    // the last that this program knows

	Ready   int64     // executions that can go on
	Due     int64     // of those and of the waiting, whose time has come
	Waiting int64     // executions that wait for a time, a signal or a person
	Oldest  time.Time // since when the longest due is; zero: none is

	Checkpoint time.Time // when an audit log was signed last; zero: never
}

// TryVersion finds out whether the schema is the one that this program knows: a
// newer program may have changed it under a process that still runs.
func (s *Store) TryVersion(ctx context.Context) error {
	ctx = mgx.ForInstallation(ctx)
	have, err := s.dialect.schemaVersion(ctx, s.reads)
	if err != nil {
		return s.explain(err)
	}
	return s.dialect.checkVersion(s.name, have, true)
}

// Standing reads how the database stands.
func (s *Store) Standing(ctx context.Context) (Standing, error) {
	ctx = mgx.ForInstallation(ctx)
	st := Standing{Kind: "sqlite", Known: len(s.dialect.migrations)}
	version := `SELECT sqlite_version()`
	if _, apart := s.driver.(*server); apart {
		st.Kind, version = "postgres", `SELECT current_setting('server_version')`
	}
	if err := s.reads.QueryRowContext(ctx, version).Scan(&st.Server); err != nil {
		return st, s.explain(err)
	}
	var err error
	if st.Schema, err = s.dialect.schemaVersion(ctx, s.reads); err != nil {
		return st, s.explain(err)
	}
	var oldest, signed int64
	err = s.reads.QueryRowContext(ctx, `SELECT
		COALESCE(SUM(CASE WHEN status = 'ready' THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN status = 'waiting' THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN wake_at <= $1 THEN 1 ELSE 0 END), 0), COALESCE(MIN(CASE WHEN wake_at <= $1 THEN wake_at END), 0),
		(SELECT COALESCE(MAX(created_at), 0) FROM audit_checkpoints)
		FROM executions WHERE status IN ('ready', 'waiting')`, mgx.Now().UnixMicro()).Scan(&st.Ready, &st.Waiting, &st.Due, &oldest, &signed)
	st.Oldest, st.Checkpoint = timeOf(oldest), timeOf(signed)
	return st, s.explain(err)
}

// timeOf reads a time that may be none.
func timeOf(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// lastActs is among how many entries of an audit log LastAct looks.
const lastActs = 10_000

// LastAct is when an act was done last, as far as the last 10,000 entries of a
// workspace's audit log tell; zero: not lately.
func (s *Store) LastAct(ctx context.Context, ws mgx.WorkspaceID, action string) (time.Time, error) {
	at, _, err := get(ctx, s, scanCount, `SELECT COALESCE(MAX(time), 0) FROM events WHERE stream = $1 AND data LIKE $2 ESCAPE '!'
		AND sequence > (SELECT COALESCE(MAX(sequence), 0) - $3 FROM events WHERE stream = $1)`,
		string(mgx.AuditStream(ws)), `%"action":"`+strings.ReplaceAll(action, "_", "!_")+`","resource":%`, lastActs)
	return timeOf(at), err
}
