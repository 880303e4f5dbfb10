package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"mgx"
)

// pipe is the connection of one transaction. A round trip costs more than a
// statement, so what can go together does: the beginning with the locks, and
// everything that nobody reads back with the commit.
type pipe struct {
	conn  *sql.Conn
	begun bool
	queue []queued

	become string // SQL that makes us a tenant's, for a workspace; "": nothing does
	who    tenant // for whom the next statement is
	now    tenant // for whom the server takes us
}

// queued is a statement that goes with the commit.
type queued struct {
	query string
	args  []any
	who   tenant
}

// as runs f on behalf of somebody.
func (p *pipe) as(who tenant, f func() error) error {
	if p.become == "" {
		return f()
	}
	was := p.who
	p.who = who
	defer func() { p.who = was }()
	return f()
}

// asInstallation runs f, a part of the store's own work, within what a tenant asked.
func (t *tx) asInstallation(f func() error) error {
	if p, ok := t.conn.(*pipe); ok {
		return p.as(tenant{}, f)
	}
	return f()
}

// identity is what tells the server who we are until the end of the transaction.
func (p *pipe) identity(who tenant) (query string, args []any) {
	if !who.within {
		return `RESET ROLE`, nil
	}
	return p.become, []any{string(who.workspace)}
}

// begin also makes us whom the next statement is for.
func (p *pipe) begin(ctx context.Context) error {
	if !p.begun {
		p.begun = true
		if _, err := p.conn.ExecContext(ctx, `BEGIN`); err != nil {
			return err
		}
	}
	if p.who == p.now {
		return nil
	}
	query, args := p.identity(p.who)
	_, err := p.conn.ExecContext(ctx, query, args...)
	if err == nil {
		p.now = p.who
	}
	return err
}

func (p *pipe) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	return p.conn.ExecContext(ctx, query, args...)
}

func (p *pipe) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	return p.conn.QueryContext(ctx, query, args...)
}

func (p *pipe) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := p.begin(ctx); err != nil { // the row says so: nothing is asked as somebody else
		failed, stop := context.WithCancelCause(ctx)
		stop(err)
		ctx = failed
	}
	return p.conn.QueryRowContext(ctx, query, args...)
}

func (p *pipe) later(query string, args ...any) {
	p.queue = append(p.queue, queued{query, args, p.who})
}

// send runs a batch in one round trip.
func (p *pipe) send(ctx context.Context, b *pgx.Batch) error {
	return p.conn.Raw(func(c any) error { return c.(*stdlib.Conn).Conn().SendBatch(ctx, b).Close() })
}

var errNotCommitted = errors.New("the server rolled the transaction back")

// commit sends what was queued, and the commit.
func (p *pipe) commit(ctx context.Context) error {
	if !p.begun && len(p.queue) == 0 {
		return nil
	}
	var all pgx.Batch
	for _, q := range p.queue {
		if q.who != p.now {
			query, args := p.identity(q.who)
			all.Queue(query, args...)
			p.now = q.who
		}
		all.Queue(q.query, q.args...)
	}
	committed := false
	all.Queue(`COMMIT`).Exec(func(tag pgconn.CommandTag) error {
		committed = tag.String() == "COMMIT"
		return nil
	})
	err := p.send(ctx, &all)
	if err == nil && !committed {
		err = errNotCommitted
	}
	return err
}

// locks are the rows that the outcome of some changes hangs on: the streams they
// append to, expect something of or reserve money for, their executions, the
// rows of the ledger that they may settle, and what counts against budgets.
// Everybody locks in this order, so nobody waits in a circle. Rows that are read
// later are read as they are then: each statement sees what was committed before
// it (READ COMMITTED).
type locks struct {
	p                           *pipe
	log                         *log
	money                       *money
	streams, executions, events []string
	entries                     []string // of the ledger
	left                        []string // executions that may leave some open
}

// lockRows takes the locks of changes that are to be applied together.
func lockRows(t *tx, p *pipe, jobs []*job) error {
	l := locks{p: p, log: t.log, money: t.money}
	for _, j := range jobs {
		if j.change != nil {
			l.add(*j.change)
		}
	}
	l.streams, l.executions = unique(l.streams), unique(l.executions)
	l.entries, l.left = unique(l.entries), unique(l.left)
	if err := l.take(t.ctx); err != nil {
		return err
	}
	if len(t.log.heads) < len(l.streams) {
		// What is not there cannot be locked: streams that are new get their rows.
		_, err := p.ExecContext(t.ctx, `INSERT INTO streams (id, workspace, sequence) SELECT id, '', 0 FROM unnest($1::text[]) AS id ORDER BY id ON CONFLICT DO NOTHING`, l.streams)
		if err == nil {
			err = l.take(t.ctx)
		}
		if err != nil {
			return err
		}
	}
	return lockMoney(t, jobs)
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func (l *locks) add(c mgx.Change) {
	for _, v := range c.Expect {
		l.streams = append(l.streams, string(v.Stream))
	}
	for _, e := range c.Events {
		l.streams, l.events = append(l.streams, string(e.Stream)), append(l.events, string(e.ID))
		if e.Run != "" { // whose row says when it has events
			l.streams = append(l.streams, string(e.Run))
		}
	}
	if r := c.Reserve; r != nil {
		l.entries = append(l.entries, r.ID)
		if r.Run != "" {
			l.streams = append(l.streams, string(r.Run))
		}
	}
	for _, g := range c.Settle {
		l.entries = append(l.entries, g.ID)
	}
	if c.Lease != nil {
		l.executions = append(l.executions, string(c.Lease.Execution))
	}
	for _, r := range c.Steps {
		l.executions = append(l.executions, string(r.Execution))
	}
	for _, g := range c.Signals {
		l.executions = append(l.executions, string(g.Execution))
	}
	if u := c.Update; u != nil {
		l.executions = append(l.executions, string(u.Execution))
		if u.Release || u.Status.Ended() {
			l.left = append(l.left, string(u.Execution))
		}
	}
	if c.Cancel != nil {
		l.executions = append(l.executions, string(c.Cancel.Execution))
	}
}

func (l *locks) take(ctx context.Context) error {
	if len(l.streams)+len(l.executions)+len(l.entries) == 0 {
		return nil
	}
	var b pgx.Batch
	if !l.p.begun {
		b.Queue(`BEGIN`)
	}
	if len(l.entries)+len(l.left) > 0 && !l.money.locked {
		b.Queue(postgresDialect.shareBudgets)
		l.money.locked = true
	}
	if len(l.streams) > 0 {
		b.Queue(`SELECT id, sequence, workspace FROM streams WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`, l.streams).Query(l.readStreams)
		b.Queue(`SELECT id, state FROM runs WHERE id = ANY($1)`, l.streams).Query(l.readRuns)
	}
	if len(l.events) > 0 {
		b.Queue(`SELECT id FROM event_ids WHERE id = ANY($1)`, l.events).Query(l.readEvents)
	}
	if len(l.executions) > 0 {
		b.Queue(`SELECT FROM executions WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`, l.executions)
	}
	if len(l.entries)+len(l.left) > 0 {
		b.Queue(`SELECT `+ledgerColumns+` FROM ledger WHERE id = ANY($1) OR settled IS NULL AND execution = ANY($2) ORDER BY id FOR NO KEY UPDATE`, l.entries, l.left).Query(l.readEntries)
	}
	l.p.begun = true
	return l.p.send(ctx, &b)
}

func (l *locks) readStreams(rows pgx.Rows) error {
	for rows.Next() {
		var id, workspace string
		var h head
		if err := rows.Scan(&id, &h.sequence, &workspace); err != nil {
			return err
		}
		h.workspace = mgx.WorkspaceID(workspace)
		l.log.heads[mgx.StreamID(id)] = h
	}
	return rows.Err()
}

func (l *locks) readRuns(rows pgx.Rows) error {
	for rows.Next() {
		var id, state string
		if err := rows.Scan(&id, &state); err != nil {
			return err
		}
		h, locked := l.log.heads[mgx.StreamID(id)]
		if !locked {
			continue
		}
		run, err := decodeRun(state)
		if err != nil {
			return err
		}
		h.run = run
		l.log.heads[mgx.StreamID(id)] = h
	}
	return rows.Err()
}

func (l *locks) readEvents(rows pgx.Rows) error {
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		l.log.known[mgx.EventID(id)] = nil
	}
	return rows.Err()
}

// insertEvents puts events where the sequencer finds them, in their order. An id
// that exists, which can only happen to somebody who uses one for two streams at
// once, is a collision, and found when the change is tried again.
const insertEvents = `WITH fresh AS (
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[],
			$10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::bigint[]) WITH ORDINALITY AS f(` + storedFields + `, ord)
	), known AS (INSERT INTO event_ids (id, stream, sequence) SELECT id, stream, sequence FROM fresh)
	INSERT INTO outbox (` + storedFields + `) SELECT ` + storedFields + ` FROM fresh ORDER BY ord`

// saveEvents stores the events of the transaction, in statements of a size that
// the server can hold.
func (t *tx) saveEvents() {
	size, from := 0, 0
	for i, e := range t.log.fresh {
		if size += len(e.Data); size > maxPage {
			t.insertEvents(t.log.fresh[from:i])
			size, from = len(e.Data), i
		}
	}
	t.insertEvents(t.log.fresh[from:])
}

func (t *tx) insertEvents(events []mgx.Event) {
	if len(events) == 0 {
		return
	}
	columns := t.storedArgs(mgx.Event{})
	for i, v := range columns {
		if _, number := v.(int64); number {
			columns[i] = make([]int64, 0, len(events))
		} else {
			columns[i] = make([]string, 0, len(events))
		}
	}
	for _, e := range events {
		for i, v := range t.storedArgs(e) {
			switch column := columns[i].(type) {
			case []int64:
				columns[i] = append(column, v.(int64))
			case []string:
				columns[i] = append(column, v.(string))
			}
		}
	}
	t.put(insertEvents, columns...)
}

// saveStreams writes where the streams stand now, and from when to when they and
// the runs have events.
func (t *tx) saveStreams() {
	if len(t.log.fresh) == 0 {
		return
	}
	times := map[mgx.StreamID][2]int64{}
	for _, e := range t.log.fresh {
		widen(times, e.Stream, e.Time.UnixMicro())
		if e.Run != "" {
			widen(times, mgx.StreamID(e.Run), e.Time.UnixMicro())
		}
	}
	var ids, workspaces []string
	var sequences, since, until []int64
	for _, id := range slices.Sorted(maps.Keys(times)) {
		h := t.log.heads[id]
		ids, workspaces, sequences = append(ids, string(id)), append(workspaces, string(h.workspace)), append(sequences, h.sequence)
		since, until = append(since, times[id][0]), append(until, times[id][1])
	}
	t.put(`UPDATE streams s SET sequence = n.sequence, workspace = n.workspace, since = LEAST(s.since, n.since), until = GREATEST(s.until, n.until)
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS n(id, workspace, sequence, since, until) WHERE s.id = n.id`,
		ids, workspaces, sequences, since, until)
}

func widen(times map[mgx.StreamID][2]int64, id mgx.StreamID, at int64) {
	if span, known := times[id]; known {
		times[id] = [2]int64{min(span[0], at), max(span[1], at)}
	} else {
		times[id] = [2]int64{at, at}
	}
}
