package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"mgx"
)

// Retention says for how long events are kept at least, by type. A type that it
// does not name is kept for ever.
type Retention struct {
	Keep map[mgx.EventType]time.Duration
	Dry  bool // count only
}

// Retained says what a Retain did, or would do.
type Retained struct {
	Removed  int64 `json:"removed"`  // events
	Emptied  int64 `json:"emptied"`  // events that are the last of their stream: they stay, without their data
	Earliest int64 `json:"earliest"` // position from which on nothing was ever removed
}

const retainBatch = 500 // events in one transaction

// Retain removes events that have been kept for as long as their type asks for,
// counted from the end of the month in which they happened, so that whole months
// go (classes.go). On PostgreSQL a partition goes at once, and what belongs to none
// goes, as everything on SQLite, a bounded number in each transaction. Events of runs and tasks that have not
// ended stay however old they are, and so does the last event of every stream,
// whose data goes. No sequence or position is given out again. It may be called
// by several processes at once, and goes on where one was interrupted.
//
// Rows of runs and tasks, journals, money and the files of runs are not events:
// they stay until they are erased.
func (s *Store) Retain(ctx context.Context, now time.Time, r Retention) (done Retained, err error) {
	ctx = mgx.ForInstallation(ctx)
	if len(r.Keep) > 0 {
		err = s.retain(ctx, now, r, &done)
		s.opts.sums.forget()
	}
	if err == nil {
		done.Earliest, err = s.Earliest(ctx)
	}
	return done, err
}

func (s *Store) retain(ctx context.Context, now time.Time, r Retention, done *Retained) error {
	open, err := s.unended(ctx)
	if err != nil {
		return err
	}
	p := policy{now: now, keep: r.Keep, open: open}
	if d, split := s.driver.(*server); split {
		if err := d.retain(ctx, s, p, r.Dry, done); err != nil {
			return err
		}
	}
	shortest := slices.MinFunc(slices.Collect(maps.Values(r.Keep)), cmp.Compare[time.Duration])
	for after := int64(0); ; {
		page, err := s.aged(ctx, after, now.Add(-shortest))
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].position
		page = slices.DeleteFunc(page, func(e aged) bool {
			return !p.lets(e.class, e.typ, monthOf(e.time)) || open[e.run] || open[e.task]
		})
		if err := s.retire(ctx, page, r.Dry, done); err != nil {
			return err
		}
	}
}

// unended are the ids of the runs that have not ended, and of their tasks.
func (s *Store) unended(ctx context.Context) (map[string]bool, error) {
	open := map[string]bool{}
	w := &where{}
	in(w, "status", []mgx.RunStatus{mgx.RunDone, mgx.RunFailed, mgx.RunRefused, mgx.RunCancelled})
	rows, err := list(ctx, s, func(row scanner) (ids [2]string, err error) { return ids, row.Scan(&ids[0], &ids[1]) },
		`SELECT id, task FROM runs WHERE NOT (`+w.conds[0]+`)`, w.args...)
	for _, ids := range rows {
		open[ids[0]], open[ids[1]] = true, true
	}
	delete(open, "")
	return open, err
}

// aged is an old event, without its data.
type aged struct {
	position, sequence int64
	stream             mgx.StreamID
	workspace          mgx.WorkspaceID
	typ                mgx.EventType
	time               time.Time
	run, task          string
	class              int64
	empty              bool // without data already
}

func (s *Store) aged(ctx context.Context, after int64, before time.Time) ([]aged, error) {
	return list(ctx, s, func(row scanner) (e aged, err error) {
		var at int64
		err = row.Scan(&e.position, &e.sequence, &e.stream, &e.workspace, &e.typ, &at, &e.run, &e.task, &e.class, &e.empty)
		e.time = time.UnixMicro(at)
		return e, err
	}, `SELECT position, sequence, stream, workspace, type, time, run, task, class, data = $1 FROM `+s.dialect.unsplit+` WHERE position > $2 AND time < $3 ORDER BY position LIMIT $4`,
		string(mgx.Tombstone), after, before.UnixMicro(), retainBatch)
}

// retire removes a page of events, in one transaction.
func (s *Store) retire(ctx context.Context, page []aged, dry bool, done *Retained) error {
	byStream := map[mgx.StreamID][]aged{}
	for _, e := range page {
		byStream[e.stream] = append(byStream[e.stream], e)
	}
	if dry {
		return s.count(ctx, byStream, done)
	}
	var batch Retained
	err := s.write(ctx, func(t *tx) error {
		batch = Retained{}
		for _, stream := range slices.Sorted(maps.Keys(byStream)) { // everybody locks in this order
			if err := t.retire(stream, byStream[stream], &batch); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		done.Removed += batch.Removed
		done.Emptied += batch.Emptied
	}
	return err
}

func (s *Store) count(ctx context.Context, byStream map[mgx.StreamID][]aged, done *Retained) error {
	for stream, old := range byStream {
		last, _, err := get(ctx, s, func(row scanner) (n int64, err error) { return n, row.Scan(&n) }, s.dialect.lastOfStream, string(stream))
		if err != nil {
			return err
		}
		for _, e := range old {
			switch {
			case e.sequence < last:
				done.Removed++
			case !e.empty:
				done.Emptied++
			}
		}
	}
	return nil
}

// retire removes events of one stream, which are in order.
func (t *tx) retire(stream mgx.StreamID, old []aged, done *Retained) error {
	var last int64
	if _, err := t.row(t.d.lastOfStream, []any{string(stream)}, &last); err != nil {
		return err
	}
	old = slices.DeleteFunc(old, func(e aged) bool { return e.sequence >= last && e.empty })
	if len(old) == 0 {
		return nil
	}
	b, err := t.lockBaseline(stream, old[0].workspace)
	if err != nil {
		return err
	}
	if err := t.advance(stream, &b, old[len(old)-1].sequence); err != nil {
		return err
	}
	freed := int64(0)
	for _, e := range old {
		had, err := t.dataLength(t.d.unsplit, stream, e.sequence)
		if err != nil {
			return err
		}
		if freed += had; e.sequence >= last {
			n, err := t.exec(`UPDATE `+t.d.unsplit+` SET data = $1 WHERE stream = $2 AND sequence = $3`, string(mgx.Tombstone), string(stream), e.sequence)
			if err != nil {
				return err
			}
			done.Emptied += n
			freed -= n * int64(len(mgx.Tombstone))
			continue
		}
		n, err := t.exec(`DELETE FROM `+t.d.unsplit+` WHERE stream = $1 AND sequence = $2`, string(stream), e.sequence)
		if err != nil {
			return err
		}
		done.Removed += n
		b.removed += n
		b.position = max(b.position, e.position)
	}
	if err := t.freed(stream, freed); err != nil {
		return err
	}
	return t.saveBaseline(stream, b)
}
