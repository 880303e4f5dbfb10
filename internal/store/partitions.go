package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"mgx"
)

// partition is a class and month of the log on PostgreSQL: a table of its own,
// with the positions between which its events lie.
type partition struct {
	class       int64
	month       month
	first, last int64
}

func (p partition) table() string { return fmt.Sprintf("events_%d_%06d", p.class, p.month) }

// leftTable holds what is not split: events from before the log was, those of no
// class, and those that stayed when their partition went.
const leftTable = "events_left"

// createPartition is SQL that makes a partition, and its class, unless they are
// there. The table is made first and then attached, which readers do not notice;
// making it as a partition would lock them out of the whole log. Before that it is
// behind the wall.
func createPartition(class int64, m month, wall func(table string) string) string {
	p := partition{class: class, month: m}
	parent := fmt.Sprintf("events_%d", class)
	return fmt.Sprintf(`DO $$ BEGIN
	PERFORM set_config('lock_timeout', '%[8]d', true);
	PERFORM pg_advisory_xact_lock(%[1]s, %[2]d);
	IF to_regclass('%[3]s') IS NULL THEN
		CREATE TABLE %[3]s (LIKE events INCLUDING DEFAULTS) PARTITION BY RANGE (time);
		%[9]s
		ALTER TABLE events ATTACH PARTITION %[3]s FOR VALUES IN (%[4]d);
	END IF;
	IF to_regclass('%[5]s') IS NULL THEN
		CREATE TABLE %[5]s (LIKE events INCLUDING DEFAULTS, CONSTRAINT %[5]s_pkey PRIMARY KEY (position));
		CREATE UNIQUE INDEX %[5]s_stream ON %[5]s (stream, sequence);
		CREATE INDEX %[5]s_run ON %[5]s (run, position) WHERE run <> '';
		%[10]s
		ALTER TABLE %[3]s ATTACH PARTITION %[5]s FOR VALUES FROM (%[6]d) TO (%[7]d);
	END IF;
END $$`, lockSpace, lockPartitions, parent, class, p.table(), m.begins().UnixMicro(), m.ends().UnixMicro(), roomWait.Milliseconds(),
		wall(parent), wall(p.table()))
}

// monthColumn is the month of a row's time, as SQL.
const monthColumn = `(extract(year FROM to_timestamp(time / 1000000) AT TIME ZONE 'UTC') * 100 + extract(month FROM to_timestamp(time / 1000000) AT TIME ZONE 'UTC'))::bigint`

// missingTable and noPartition are what the server says when a partition is gone,
// and when there is none for a row.
const (
	missingTable = "42P01"
	noPartition  = "23514"
	lockTimeout  = "55P03"
)

// partitions is what a process knows of the log's partitions. What was read when
// the log had reached a position stays true for all positions up to there: events
// are added at the log's end only, so the bounds of a partition grow beyond them.
// Events that move out of a partition, before it goes, move to leftTable, where
// every reader looks.
type partitions struct {
	reads *sql.DB

	mu    sync.Mutex
	head  int64 // read up to here
	known map[string]partition
	begun int64 // how often everything was forgotten
}

// at returns what is known, in the order of first positions, and up to where.
func (p *partitions) at() (head int64, all []partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all = slices.SortedFunc(maps.Values(p.known), func(a, b partition) int { return int(a.first - b.first) })
	return p.head, all
}

// read asks how far the log has grown, and where.
func (p *partitions) read(ctx context.Context) error {
	for {
		p.mu.Lock()
		since, begun := p.head, p.begun
		p.mu.Unlock()
		head, grown, err := p.ask(ctx, since)
		if err != nil || p.add(begun, head, grown) {
			return err
		}
	}
}

func (p *partitions) ask(ctx context.Context, since int64) (head int64, grown []partition, err error) {
	rows, err := p.reads.QueryContext(ctx, `SELECT s.position, p.class, p.month, p.first, p.last FROM sequencer s
		LEFT JOIN partitions p ON p.last > $1 WHERE s.name = 'log'`, since)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var class, m, first, last sql.NullInt64
		if err := rows.Scan(&head, &class, &m, &first, &last); err != nil {
			return 0, nil, err
		}
		if class.Valid {
			grown = append(grown, partition{class.Int64, month(m.Int64), first.Int64, last.Int64})
		}
	}
	return head, grown, rows.Err()
}

// add reports whether the answer still follows from what is known.
func (p *partitions) add(begun, head int64, grown []partition) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if begun != p.begun {
		return false
	}
	if p.known == nil {
		p.known = map[string]partition{}
	}
	for _, g := range grown {
		if g.last >= p.known[g.table()].last {
			p.known[g.table()] = g
		}
	}
	p.head = max(p.head, head)
	return true
}

// forget makes the next read a read of everything: a partition is gone.
func (p *partitions) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.head, p.known, p.begun = 0, nil, p.begun+1
}

// spans divides the log after a position into spans of few partitions and few
// positions each, for a query that wants limit events: at first what is enough if
// every event matches, then more and more. Left to itself the server, which may
// not have counted yet how much there is in a table that grows, would for each page
// sort everything after it. How far the log has grown is asked only when what is
// known does not suffice.
func (d *server) spans(ctx context.Context, q EventQuery, limit int) iter.Seq2[span, error] {
	return func(yield func(span, error) bool) {
		from := q.AfterPosition
		head, all := d.partitions.at()
		fresh := from+int64(limit) > head
		wide, many := max(int64(limit), narrowest), 1
		indexed := q.Stream != "" || q.Run != ""
		if indexed || len(q.Types) > 0 {
			wide, many = 8*wide, 8
		}
		for {
			if fresh {
				if err := d.partitions.read(ctx); err != nil {
					yield(span{}, err)
					return
				}
				head, all = d.partitions.at()
			}
			mine, err := d.relevant(ctx, q, all)
			if err != nil {
				yield(span{}, err)
				return
			}
			for from < head {
				most := head
				if !indexed {
					most = min(head, from+wide)
				}
				s := window(mine, from, min(head, from+int64(limit)), most, many)
				if !yield(s, nil) {
					return
				}
				from, wide, many = s.upTo, 4*wide, 2*many
			}
			if fresh {
				return
			}
			fresh = true
		}
	}
}

const narrowest = 256 // positions in a span

// window is the span that begins after a position and has the partitions up to a
// bound, and beyond that for as long as they are few.
func window(all []partition, after, least, most int64, many int) span {
	s := span{after: after, upTo: most}
	var tables []string
	for _, p := range all { // in the order of first
		switch {
		case p.last <= after:
			continue
		case p.first > most:
			return s.over(tables)
		case p.first > least && len(tables) >= many:
			s.upTo = p.first - 1
			return s.over(tables)
		}
		tables = append(tables, p.table())
	}
	return s.over(tables)
}

func (s span) over(tables []string) span {
	s.from = logOf(tables)
	return s
}

// logOf is the log as far as it lies in some partitions.
func logOf(tables []string) string {
	var b strings.Builder
	b.WriteString(`(SELECT ` + eventColumns + ` FROM ` + leftTable)
	for _, t := range tables {
		b.WriteString(` UNION ALL SELECT ` + eventColumns + ` FROM ` + t)
	}
	b.WriteString(`) log`)
	return b.String()
}

// relevant leaves out the partitions of other months than those of the stream or
// the run that a query is about.
func (d *server) relevant(ctx context.Context, q EventQuery, all []partition) ([]partition, error) {
	id := string(q.Stream)
	if id == "" {
		id = string(q.Run)
	}
	if id == "" {
		return all, nil
	}
	var since, until sql.NullInt64
	err := d.reads.QueryRowContext(ctx, `SELECT since, until FROM streams WHERE id = $1`, id).Scan(&since, &until)
	if err != nil && err != sql.ErrNoRows {
		return nil, err
	}
	if !since.Valid {
		return nil, nil
	}
	first, last := monthOf(fromMicros(since)), monthOf(fromMicros(until))
	return slices.DeleteFunc(slices.Clone(all), func(p partition) bool { return p.month < first || p.month > last }), nil
}

// streamLog is the log as far as a stream's events can lie in it, for a
// transaction that reads the stream.
func streamLog(t *tx, stream mgx.StreamID) (string, error) {
	rows, err := t.conn.QueryContext(t.ctx, `SELECT p.class, p.month, s.since, s.until FROM streams s JOIN partitions p ON s.since IS NOT NULL WHERE s.id = $1`, string(stream))
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var p partition
		var since, until sql.NullInt64
		if err := rows.Scan(&p.class, &p.month, &since, &until); err != nil {
			return "", err
		}
		if p.month >= monthOf(fromMicros(since)) && p.month <= monthOf(fromMicros(until)) {
			tables = append(tables, p.table())
		}
	}
	return logOf(tables), rows.Err()
}
