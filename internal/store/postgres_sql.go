package store

import (
	"database/sql"

	"mgx"
)

var postgresDialect = dialect{
	migrations: migrationsIn("postgres"),
	begin:      []string{`BEGIN`, `SELECT pg_advisory_xact_lock(` + lockSpace + `, 0)`},
	schema: `SELECT COUNT(*) FILTER (WHERE relname = 'mgx_schema'), COUNT(*) FROM pg_class
		WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace`,
	insert: queueEvent,
	findEvent: `SELECT e.* FROM event_ids i JOIN (SELECT ` + eventColumns + ` FROM events UNION ALL SELECT 0, ` + eventFields + ` FROM outbox) e
		ON e.stream = i.stream AND e.sequence = i.sequence WHERE i.id = $1`,
	head: `SELECT sequence, workspace FROM streams WHERE id = $1`,
	// What is not numbered yet comes after everything that is.
	allEvents: `(SELECT ` + eventColumns + ` FROM events UNION ALL SELECT 4611686018427387904 + n, ` + eventFields + ` FROM outbox) all_events`,
	pick:      pickUnlocked,
	snapshot:  sql.LevelRepeatableRead,
	checks:    []func(*verifier) error{checkStreams},
}

// lockSpace is the first half of our advisory locks; the second is 0 for
// migrations and a term for the sequencer that holds it.
const lockSpace = `1836345443`

// queueEvent has an event stored with the commit, unless it is already.
func queueEvent(t *tx, e mgx.Event) (bool, error) {
	if _, known := t.log.known[e.ID]; known {
		return false, nil
	}
	t.log.known[e.ID] = &e
	t.log.fresh = append(t.log.fresh, e)
	t.wrote = true
	return true, nil
}

// picks is how many free candidates a claim looks at.
const picks = 32

// pickUnlocked locks the first free candidate that nobody else is claiming or
// changing right now, so that many workers do not queue for the same one.
func pickUnlocked(t *tx, r mgx.ClaimRequest) (mgx.ExecutionID, error) {
	free, dead, err := t.free(r)
	if err != nil || len(free) == 0 {
		return "", err
	}
	var id string
	_, err = t.row(`SELECT id FROM executions WHERE id = ANY($1) AND status IN ('ready', 'waiting') AND wake_at <= $2
		AND (owner = '' OR lease_until IS NULL OR lease_until <= $2 OR owner = ANY($3))
		ORDER BY wake_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED`, []any{free, r.Now.UnixMicro(), dead}, &id)
	return mgx.ExecutionID(id), err
}

// free lists the first candidates that are free, and the owners found dead.
func (t *tx) free(r mgx.ClaimRequest) (ids, dead []string, err error) {
	query, args := candidates(r)
	rows, err := t.conn.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	dead = []string{}
	for len(ids) < picks && rows.Next() {
		var id, owner string
		var until sql.NullInt64
		if err := rows.Scan(&id, &owner, &until); err != nil {
			return nil, nil, err
		}
		if owner == "" || !fromMicros(until).After(r.Now) {
			ids = append(ids, id)
		} else if !r.Alive(owner) {
			ids, dead = append(ids, id), append(dead, owner)
		}
	}
	return ids, dead, rows.Err()
}

// checkStreams compares where streams say they stand with what they hold.
func checkStreams(v *verifier) error {
	return v.none("stream %s does not stand at its last event", `SELECT s.id FROM streams s
		FULL JOIN (SELECT stream, MAX(sequence) AS last, MIN(workspace) AS workspace FROM `+v.d.allEvents+` GROUP BY stream) e ON e.stream = s.id
		WHERE s.id IS NULL OR s.sequence <> COALESCE(e.last, 0) OR e.last > 0 AND s.workspace <> e.workspace LIMIT 1`)
}
