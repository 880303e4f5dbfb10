package store

import (
	"database/sql"
	"maps"
	"slices"

	"mgx"
)

var postgresDialect = dialect{
	migrations: migrationsIn("postgres"),
	begin:      []string{`BEGIN`, `SELECT pg_advisory_xact_lock(` + lockSpace + `, 0)`},
	schema: `SELECT COUNT(*) FILTER (WHERE relname = 'mgx_schema'), COUNT(*) FROM pg_class
		WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace`,
	insertEvent: `WITH fresh AS (INSERT INTO event_ids (id, stream, sequence) VALUES ($1, $3, $4) ON CONFLICT (id) DO NOTHING RETURNING id)
		INSERT INTO outbox (` + eventFields + `) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 FROM fresh`,
	findEvent: `SELECT e.* FROM event_ids i JOIN (SELECT ` + eventColumns + ` FROM events UNION ALL SELECT 0, ` + eventFields + ` FROM outbox) e
		ON e.stream = i.stream AND e.sequence = i.sequence WHERE i.id = $1`,
	head: `SELECT sequence, workspace FROM streams WHERE id = $1`,
	// What is not numbered yet comes after everything that is.
	allEvents: `(SELECT ` + eventColumns + ` FROM events UNION ALL SELECT 4611686018427387904 + n, ` + eventFields + ` FROM outbox) all_events`,
	lock:      lockRows,
	pick:      pickUnlocked,
	snapshot:  sql.LevelRepeatableRead,
	checks:    []func(*verifier) error{checkStreams},
}

// lockSpace is the first half of our advisory locks; the second is 0 for
// migrations and a term for the sequencer that holds it.
const lockSpace = `1836345443`

// lockRows locks the rows that a change's outcome hangs on: the streams it
// appends to, expects something of or reserves money for, then its executions.
// Everybody locks in this order, so nobody waits in a circle. Rows that are read
// later are read as they are then: each statement sees what was committed before
// it (READ COMMITTED).
func lockRows(t *tx, c mgx.Change) error {
	if err := t.lockStreams(streamsOf(c)); err != nil {
		return err
	}
	ids := executionsOf(c)
	if len(ids) == 0 {
		return nil
	}
	_, err := t.conn.ExecContext(t.caller, `SELECT FROM executions WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`, ids)
	return err
}

func streamsOf(c mgx.Change) []string {
	all := map[string]bool{}
	for _, v := range c.Expect {
		all[string(v.Stream)] = true
	}
	for _, e := range c.Events {
		all[string(e.Stream)] = true
	}
	if r := c.Reserve; r != nil && r.Cap != nil && r.Run != "" {
		all[string(r.Run)] = true
	}
	return slices.Sorted(maps.Keys(all))
}

func executionsOf(c mgx.Change) []string {
	all := map[string]bool{}
	if c.Lease != nil {
		all[string(c.Lease.Execution)] = true
	}
	for _, r := range c.Steps {
		all[string(r.Execution)] = true
	}
	for _, g := range c.Signals {
		all[string(g.Execution)] = true
	}
	if c.Update != nil {
		all[string(c.Update.Execution)] = true
	}
	if c.Cancel != nil {
		all[string(c.Cancel.Execution)] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// lockStreams locks streams and remembers where they stand. Those that are new
// get their rows first: what is not there cannot be locked.
func (t *tx) lockStreams(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := t.readLocked(ids); err != nil || len(t.log.locked) == len(ids) {
		return err
	}
	_, err := t.conn.ExecContext(t.caller, `INSERT INTO streams (id, workspace, sequence) SELECT id, '', 0 FROM unnest($1::text[]) AS id ORDER BY id ON CONFLICT DO NOTHING`, ids)
	if err == nil {
		err = t.readLocked(ids)
	}
	return err
}

func (t *tx) readLocked(ids []string) error {
	rows, err := t.conn.QueryContext(t.caller, `SELECT id, sequence, workspace FROM streams WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`, ids)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, workspace string
		var h head
		if err := rows.Scan(&id, &h.sequence, &workspace); err != nil {
			return err
		}
		h.workspace = mgx.WorkspaceID(workspace)
		t.log.locked[mgx.StreamID(id)] = h
	}
	return rows.Err()
}

// saveStreams writes where the streams stand now.
func (t *tx) saveStreams() error {
	var ids, workspaces []string
	var sequences []int64
	for id := range t.log.saved {
		h := t.log.heads[id]
		ids, workspaces, sequences = append(ids, string(id)), append(workspaces, string(h.workspace)), append(sequences, h.sequence)
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := t.exec(`UPDATE streams s SET sequence = n.sequence, workspace = n.workspace
		FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n(id, workspace, sequence) WHERE s.id = n.id`, ids, workspaces, sequences)
	return err
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
