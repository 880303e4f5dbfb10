package store

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"mgx"
)

// How the log is numbered on PostgreSQL. Changes put their events into the
// outbox; one sequencer among all processes moves them into the log, a batch in
// one transaction, and tells everybody with one NOTIFY, or a hint by the Waker.
//
// It holds a lease with a term and, on its connection, an advisory lock on that
// term. When its process dies the server lets go of the lock, and whoever asks
// next takes over at once; when it stalls or its machine is cut off, the lease
// runs out. A batch is moved only while the term still stands.
const (
	sequencerLease = 6 * time.Second
	sequencerCheck = 300 * time.Millisecond // how often others look whether it is theirs
	sequencerIdle  = 2 * time.Second        // how often it renews the lease without work
	batchRows      = 1000

	tidyRows    = 10_000      // moved between two cleanings of the outbox
	tidyEvery   = time.Minute // or as long, when there was less
	receiptsAge = time.Hour   // far longer than anybody asks for a receipt
)

const takeSequencer = `WITH taken AS (
		UPDATE sequencer SET owner = $1, term = term + 1, until = ` + serverTime + ` + $2
		WHERE name = 'log' AND (until < ` + serverTime + ` OR pg_try_advisory_xact_lock(` + lockSpace + `, term::int)) RETURNING term
	) SELECT term, pg_advisory_lock(` + lockSpace + `, term::int) IS NULL FROM taken`

const moveBatch = `WITH held AS (
		SELECT position FROM sequencer WHERE name = 'log' AND owner = $1 AND term = $2 FOR UPDATE
	), batch AS (
		DELETE FROM outbox WHERE n = ANY (ARRAY(SELECT n FROM outbox WHERE EXISTS (SELECT FROM held) ORDER BY n LIMIT $3)) RETURNING *
	), moved AS (
		INSERT INTO events (position, ` + storedFields + `)
		SELECT held.position + row_number() OVER (ORDER BY n), ` + storedFields + ` FROM batch, held
		RETURNING position, stream, sequence, class, time
	), bounds AS (
		INSERT INTO partitions AS p (class, month, first, last)
		SELECT class, ` + monthColumn + `, MIN(position), MAX(position) FROM moved WHERE class <> -1 GROUP BY 1, 2
		ON CONFLICT (class, month) DO UPDATE SET last = excluded.last
	), head AS (
		UPDATE sequencer s SET position = s.position + c.moved, until = ` + serverTime + ` + $4
		FROM (SELECT COUNT(*) AS moved FROM moved) c, held WHERE s.name = 'log' RETURNING s.position, c.moved
	), told AS (
		SELECT CASE WHEN moved > 0 AND $5 THEN pg_notify('` + eventsChannel + `', position::text) END FROM head
	) SELECT head.position, moved.position, moved.stream, moved.sequence FROM head CROSS JOIN told LEFT JOIN moved ON true`

const (
	eventsChannel = "mgx_events" // the log has grown to this position
	outboxChannel = "mgx_outbox" // there is something to number
)

// sequence competes for the sequencer's role and plays it, until ctx ends.
func (d *server) sequence(ctx context.Context) {
	s := &sequencer{d: d, owner: mgx.NewID[string]("seq")}
	for ctx.Err() == nil {
		s.session(ctx)
		sleep(ctx, sequencerCheck)
	}
}

type sequencer struct {
	d     *server
	owner string
	term  int64

	tidied time.Time
	ahead  month     // partitions are made up to here
	looked time.Time // when that was tried last
}

// session works on one connection, until it or the context ends.
func (s *sequencer) session(ctx context.Context) {
	conn, err := pgx.ConnectConfig(ctx, s.d.config)
	if err != nil {
		return
	}
	defer hangUp(conn)
	for ctx.Err() == nil {
		leads, err := s.take(ctx, conn)
		if err == nil && leads {
			err = s.lead(ctx, conn)
		}
		if err != nil {
			return
		}
		sleep(ctx, sequencerCheck)
	}
}

func (s *sequencer) take(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var locked bool
	err := conn.QueryRow(ctx, takeSequencer, s.owner, sequencerLease.Microseconds()).Scan(&s.term, &locked)
	if err == pgx.ErrNoRows {
		return false, nil
	}
	return err == nil, err
}

// lead moves batches for as long as the term stands.
func (s *sequencer) lead(ctx context.Context, conn *pgx.Conn) error {
	s.d.leads.Store(true)
	defer s.d.leads.Store(false)
	idle := time.NewTicker(sequencerIdle)
	defer idle.Stop()
	var dead int64
	for {
		if err := s.prepare(ctx, conn); err != nil {
			return err
		}
		moved, stands, err := s.move(ctx, conn)
		if sqlState(err) == noPartition {
			if err := s.makeRoom(ctx, conn); err != nil {
				return err
			}
			moved, stands, err = s.move(ctx, conn)
		}
		if err != nil || !stands {
			return err
		}
		if dead += moved; dead > tidyRows || dead > 0 && moved == 0 && time.Since(s.tidied) > tidyEvery {
			if err := s.tidy(ctx, conn); err != nil {
				return err
			}
			dead = 0
		}
		if moved > 0 {
			continue
		}
		select {
		case <-s.d.poke:
		case <-idle.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *sequencer) move(ctx context.Context, conn *pgx.Conn) (moved int64, stands bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sequencerLease)
	defer cancel()
	notify := !s.d.wakes.up()
	rows, err := conn.Query(ctx, moveBatch, s.owner, s.term, batchRows, sequencerLease.Microseconds(), notify)
	if err != nil {
		return 0, false, err
	}
	defer rows.Close()
	var head int64
	found := map[eventKey]int64{}
	for rows.Next() {
		var position, sequence *int64
		var stream *string
		if err := rows.Scan(&head, &position, &stream, &sequence); err != nil {
			return 0, false, err
		}
		stands = true
		if position != nil {
			found[eventKey{mgx.StreamID(*stream), *sequence}] = *position
		}
	}
	if rows.Err() == nil && stands {
		s.d.advance(head) // whoever sees a change done has been told of it
		s.d.fill(found)
		if len(found) > 0 && !s.d.wakes.tell(Grown) && !notify {
			s.d.wakes.insist() // it went down meanwhile
		}
	}
	return int64(len(found)), stands, rows.Err()
}

// tidy cleans up what passes through the database. Each batch looks for the first
// rows of the outbox, and would walk over all that were ever there; autovacuum
// comes too late for that.
func (s *sequencer) tidy(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, `VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF) outbox`); err != nil {
		return err
	}
	if time.Since(s.tidied) < tidyEvery {
		return nil
	}
	s.tidied = time.Now()
	_, err := conn.Exec(ctx, `DELETE FROM receipts WHERE at < `+serverTime+` - $1`, receiptsAge.Microseconds())
	return err
}

// hint tells the sequencer, wherever it is, that there is something to number:
// one transaction without data for however many changes were committed since
// the last. (A NOTIFY in each change would make their commits wait in a row.)
// Where there is a Waker, that is the second choice.
func (d *server) hint(ctx context.Context) {
	for {
		tell := hintOutbox
		select {
		case <-d.hints:
			if d.wakes.tell(Unnumbered) {
				continue
			}
		case <-d.wakes.insists:
			tell = hintBoth
			d.wakes.insisted.Add(1)
		case <-ctx.Done():
			return
		}
		if _, err := d.db.ExecContext(ctx, tell); err != nil {
			sleep(ctx, sequencerCheck)
		}
	}
}

const (
	hintOutbox = `SELECT pg_notify('` + outboxChannel + `', '')`
	hintBoth   = `SELECT pg_notify('` + outboxChannel + `', ''), pg_notify('` + eventsChannel + `', position::text) FROM sequencer WHERE name = 'log'`
)

// listen hears how far the log has grown and what is to be numbered. It asks by
// itself whenever it has a new connection, or heard nothing for a while.
func (d *server) listen(ctx context.Context) {
	for ctx.Err() == nil {
		d.listenOnce(ctx)
		if sleep(ctx, sequencerCheck) {
			d.look(ctx)
		}
	}
}

func (d *server) listenOnce(ctx context.Context) {
	conn, err := pgx.ConnectConfig(ctx, d.config)
	if err != nil {
		return
	}
	defer hangUp(conn)
	if _, err := conn.Exec(ctx, `LISTEN `+eventsChannel+`; LISTEN `+outboxChannel); err != nil {
		return
	}
	d.look(ctx)
	for {
		waiting, cancel := context.WithTimeout(ctx, listenQuiet)
		n, err := conn.WaitForNotification(waiting)
		quiet := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case quiet:
			d.look(ctx)
		case err != nil:
			return
		case n.Channel == outboxChannel:
			signal(d.poke)
		default:
			if head, err := strconv.ParseInt(n.Payload, 10, 64); err == nil {
				d.advance(head)
			}
		}
	}
}

const listenQuiet = 5 * time.Second

// hangUp closes a connection, also one whose server answers no more.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn.Close(ctx)
}

// look asks how far the log has grown, and has the outbox looked at.
func (d *server) look(ctx context.Context) {
	var head int64
	if err := d.reads.QueryRowContext(ctx, postgresDialect.lastPosition).Scan(&head); err == nil {
		d.advance(head)
	}
	signal(d.poke)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
