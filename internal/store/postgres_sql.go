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
	allEvents: `(SELECT position, ` + storedFields + ` FROM events UNION ALL SELECT 4611686018427387904 + n, ` + storedFields + ` FROM outbox) all_events`,
	pick:      pickUnlocked,

	shareBudgets: `SELECT pg_advisory_xact_lock_shared(` + lockSpace + `)`,
	alterBudgets: `SELECT pg_advisory_xact_lock(` + lockSpace + `)`,
	lockRead:     ` FOR NO KEY UPDATE`,
	lockStream:   lockStream,
	readBudgets:  readBudgetsAtOnce,
	readCounters: lockCounters,

	shareWorkspace: `SELECT pg_advisory_xact_lock_shared(hashtextextended($1, ` + lockSpace + `))`,
	closeWorkspace: `SELECT pg_advisory_xact_lock(hashtextextended($1, ` + lockSpace + `))`,

	lastPosition: `SELECT position FROM sequencer WHERE name = 'log'`,
	// What is not in the log yet is the end of the stream.
	lastOfStream: `SELECT sequence - (SELECT COUNT(*) FROM outbox WHERE stream = $1) FROM streams WHERE id = $1`,
	logOf:        streamLog,
	unsplit:      leftTable,

	// A partition that goes is gone for earlier moments, too: so it must not go.
	hold:      `LOCK TABLE events IN ACCESS SHARE MODE`,
	like:      "ILIKE",
	search:    `SELECT task FROM task_words WHERE terms @@ CAST(CAST($1 AS TEXT) AS TSQUERY) AND workspace = $2 LIMIT $3`,
	searchAnd: ` & `, searchQuote: `'`, searchOpen: `:*`,
	elements: func(p string) string { return `SELECT json_array_elements_text(CAST(` + p + ` AS JSON))` },
	snapshot: sql.LevelRepeatableRead,
	checks:   []func(*verifier) error{checkStreams, checkPartitions},
}

// lockSpace is our advisory lock on budgets, and the first half of others; the second is 0 for
// migrations, a term for the sequencer that holds it, and below 0 for partitions.
const (
	lockSpace      = `1836345443`
	lockPartitions = -1 // to make them
	lockRetention  = -2 // to let them go
)

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

// checkPartitions makes sure of what readers go by: where partitions begin and
// end, from when to when streams and runs have events in them, and how far the log
// has grown.
func checkPartitions(v *verifier) error {
	for _, c := range []struct{ problem, query string }{
		{"the sequencer does not stand at the log's last position, but at %s", `SELECT position::text FROM sequencer WHERE name = 'log' AND position <> (SELECT COALESCE(MAX(position), 0) FROM events)`},
		{"partition %s has other positions than is known", `SELECT e.class || '_' || e.month FROM (
				SELECT class, ` + monthColumn + ` AS month, MIN(position) AS first, MAX(position) AS last FROM events WHERE class <> -1 GROUP BY 1, 2) e
			LEFT JOIN partitions p ON p.class = e.class AND p.month = e.month WHERE p.first IS NULL OR p.first > e.first OR p.last < e.last LIMIT 1`},
		{"%s has events of other times than is known", `SELECT e.id FROM (
				SELECT stream AS id, time FROM events WHERE class <> -1 UNION ALL SELECT run, time FROM events WHERE class <> -1 AND run <> '' AND run <> stream) e
			LEFT JOIN streams s ON s.id = e.id WHERE s.since IS NULL OR s.since > e.time OR s.until < e.time LIMIT 1`},
	} {
		if err := v.note(v.none(c.problem, c.query)); err != nil {
			return err
		}
	}
	return nil
}
