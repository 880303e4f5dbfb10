package store

import (
	"context"
	"time"

	"mgx"
)

// How a search goes back through the log: in windows of positions, each wider than
// the one before it, up to a bound for one answer.
const (
	firstWindow = 512
	widest      = 16_384
	mostLooked  = 65_536
	newestSize  = 8 << 20 // bytes of data in one answer
	disorder    = 10 * time.Minute
)

// NewestEvents returns matching events, the newest first, and the position before
// which to go on; 0: nothing is further back. It looks at a bounded part of the log,
// so an answer may hold fewer than there are, even none, and say where to go on.
func (s *Store) NewestEvents(ctx context.Context, q mgx.EventSearch) (found []mgx.Event, next int64, err error) {
	if _, err := s.searched(q); err != nil {
		return nil, 0, err
	}
	end, floor, err := s.bounds(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	limit, size := bounded(q.Limit, MaxListed), 0
	first := end
	wide := int64(firstWindow)
	if q.Of != "" && q.Column() == "run" { // has an index
		wide = end - floor
	}
	for ; end > floor && first-end < mostLooked; wide = min(4*wide, widest) {
		begin := max(floor, end-wide)
		last, err := s.window(ctx, q, begin, end, limit-len(found), func(e mgx.Event) bool {
			found, size = append(found, e), size+len(e.Data)
			return size < newestSize
		})
		if err != nil {
			return nil, 0, err
		}
		if len(found) == limit || size >= newestSize {
			return found, rest(last, floor), nil
		}
		end = begin
	}
	return found, rest(end, floor), nil
}

// rest is where a search goes on that has looked at everything from a position on.
func rest(looked, floor int64) int64 {
	if looked <= floor {
		return 0
	}
	return looked
}

// window reads the matching events from one position to before another, the newest
// first, until take has enough, and returns the position of the last.
func (s *Store) window(ctx context.Context, q mgx.EventSearch, begin, end int64, limit int, take func(mgx.Event) bool) (last int64, err error) {
	w, err := s.searched(q)
	if err != nil {
		return 0, err
	}
	w.is("position >=", begin)
	w.is("position <", end)
	last = end
	from := ` FROM events` + w.String() + ` ORDER BY position DESC LIMIT ` + w.arg(limit)
	err = s.events(ctx, from, w.args, func(e mgx.Event) bool {
		last = e.Position
		return take(e)
	})
	return last, s.explain(err)
}

// bounds are the positions between which a search looks: before the one that it
// names, as far as the times of the log tell, and from the first on. Events are a
// little out of the order of their times, for which there is room.
func (s *Store) bounds(ctx context.Context, q mgx.EventSearch) (end, floor int64, err error) {
	head, err := s.Head(ctx)
	if err != nil {
		return 0, 0, err
	}
	if end, floor = head+1, 1; q.Before > 0 {
		end = min(end, q.Before)
	}
	if !q.Until.IsZero() {
		at, err := s.positionAt(ctx, q.Until.Add(disorder).UnixMicro(), end)
		if err != nil {
			return 0, 0, err
		}
		end = at
	}
	if !q.Since.IsZero() {
		if floor, err = s.positionAt(ctx, q.Since.Add(-disorder).UnixMicro(), end); err != nil {
			return 0, 0, err
		}
	}
	return end, max(1, floor), nil
}

// positionAt is about the first position from which on events are of a time or
// later, not above end: a search by halves.
func (s *Store) positionAt(ctx context.Context, at, end int64) (int64, error) {
	low, high := int64(1), end
	for low < high {
		middle := low + (high-low)/2
		// A position may be none any more: the next that there is says as much.
		then, found, err := get(ctx, s, scanCount, `SELECT time FROM events WHERE position >= $1 AND position < $2 ORDER BY position LIMIT 1`, middle, high)
		if err != nil {
			return 0, err
		}
		if !found || then >= at {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

// searched is the condition of a search, but for positions.
func (s *Store) searched(q mgx.EventSearch) (*where, error) {
	w := &where{}
	w.is("workspace =", string(q.Workspace))
	if q.NoAudit {
		w.is("stream <>", string(mgx.AuditStream(q.Workspace)))
	}
	if q.Of != "" {
		w.is(q.Column()+" =", q.Of)
	}
	if !q.Since.IsZero() {
		w.is("time >=", q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		w.is("time <", q.Until.UnixMicro())
	}
	holds := func(text string) string {
		return `data ` + s.dialect.like + ` ` + w.arg(`%`+likeText(text)+`%`) + ` ESCAPE '\'`
	}
	if q.User != "" {
		w.conds = append(w.conds, `(run IN (SELECT run FROM executions WHERE workspace = $1 AND parent = '' AND run <> '' AND user_id = `+w.arg(string(q.User))+`) OR `+holds(`"`+jsonText(string(q.User))+`"`)+`)`)
	}
	if q.Text != "" {
		w.conds = append(w.conds, holds(jsonText(q.Text)))
	}
	return w, w.globs("type", q.Types)
}

// EventOf returns an event of a workspace by its id (CodeNotFound).
func (s *Store) EventOf(ctx context.Context, ws mgx.WorkspaceID, id mgx.EventID) (mgx.Event, error) {
	e, found, err := get(ctx, s, scanEvent, s.dialect.findEvent, string(id))
	if err == nil && (!found || e.Workspace != ws) {
		err = mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no event %q in this workspace", string(id))
	}
	return e, err
}
