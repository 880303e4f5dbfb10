package store

import (
	"context"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"mgx"
)

// What a workspace keeps is counted run by run, in the row that an append writes
// anyway (runs.stored, runs.attached): a counter of the workspace would have all its
// appends wait for each other. Whoever wants the sum adds up, and may use it for a
// while.

// storedBytes adds up what the runs of a workspace keep.
const storedBytes = `SELECT CAST(COALESCE(SUM(stored + attached), 0) AS BIGINT) FROM runs WHERE workspace = $1`

// attached are the bytes of the files that a run was given.
func attached(r *mgx.Run) (n int64) {
	for _, a := range r.Settings.Attachments {
		n += a.Size
	}
	return n
}

// lengthOf is what values of a row take, in bytes.
func lengthOf(input string, others ...any) int64 {
	n := len(input)
	for _, v := range others {
		s, _ := v.(string) // nil: NULL
		n += len(s)
	}
	return int64(n)
}

// keeps notes that a run keeps more bytes, besides those of its stream's events.
func (t *tx) keeps(run mgx.RunID, n int64) {
	id := mgx.StreamID(run)
	if h := t.log.heads[id]; h.run != nil {
		h.added += n
		t.log.set(id, h)
	}
}

// dataLength is the length of an event's data, which nobody else changes until the
// commit; 0 when it is not there.
func (t *tx) dataLength(table string, stream mgx.StreamID, sequence int64) (n int64, err error) {
	_, err = t.row(`SELECT octet_length(data) FROM `+table+` WHERE stream = $1 AND sequence = $2`+t.d.lockRead, []any{string(stream), sequence}, &n)
	return n, err
}

// freed notes that a stream's events take less, if it is that of a run.
func (t *tx) freed(stream mgx.StreamID, n int64) error {
	if n == 0 || !strings.HasPrefix(string(stream), runPrefix) {
		return nil
	}
	_, err := t.exec(`UPDATE runs SET stored = stored - $1 WHERE id = $2`, n, string(stream))
	return err
}

// recount has a run's row count what is there, and returns what is not there yet.
func (t *tx) recount(id mgx.RunID) (queued int64, err error) {
	for _, e := range t.log.fresh {
		if e.Stream == mgx.StreamID(id) {
			queued += int64(len(e.Data))
		}
	}
	_, err = t.exec(`UPDATE runs SET stored = COALESCE((SELECT SUM(octet_length(data)) FROM `+t.d.allEvents+` WHERE stream = $1), 0) + COALESCE((SELECT SUM(`+stepLength+`)
		FROM executions x JOIN steps s ON s.execution = x.id WHERE x.run = $1 AND x.run <> ''), 0) WHERE id = $1`, string(id))
	return queued, err
}

const stepLength = `octet_length(s.input) + COALESCE(octet_length(s.output), 0) + COALESCE(octet_length(s.failure), 0)`

// checkStored compares what the rows of runs count with what is there.
func checkStored(v *verifier) error {
	return v.none("run %s counts other bytes than it keeps", `SELECT r.id FROM runs r
		LEFT JOIN (SELECT stream, SUM(octet_length(data)) AS bytes FROM `+v.d.allEvents+` GROUP BY stream) e ON e.stream = r.id
		LEFT JOIN (SELECT x.run, SUM(`+stepLength+`) AS bytes FROM executions x JOIN steps s ON s.execution = x.id WHERE x.run <> '' GROUP BY x.run) j ON j.run = r.id
		WHERE r.stored <> COALESCE(e.bytes, 0) + COALESCE(j.bytes, 0) LIMIT 1`)
}

const (
	sumFor   = 10 * time.Second // after which what other processes did is seen
	sumsKept = 10_000           // workspaces
)

// sums remembers what workspaces keep, and may.
type sums struct {
	mu sync.Mutex
	of map[mgx.WorkspaceID]sum

	asking sync.Mutex // one asks, and the others have its answer
}

type sum struct {
	at    time.Time
	limit int64 // math.MaxInt64: there is none, and nobody counted
	bytes int64
}

// take counts bytes if there is room for one more at least; known says that it is not
// too long ago that somebody looked.
func (c *sums) take(ws mgx.WorkspaceID, bytes int64) (limit int64, taken, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u, there := c.of[ws]
	known = there && time.Since(u.at) < sumFor
	if taken = known && u.bytes < u.limit && bytes <= u.limit-u.bytes; taken {
		u.bytes += bytes
		c.of[ws] = u
	}
	return u.limit, taken, known
}

func (c *sums) put(ws mgx.WorkspaceID, u sum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil || len(c.of) >= sumsKept {
		c.of = map[mgx.WorkspaceID]sum{}
	}
	c.of[ws] = u
}

// add counts what is about to be committed. If it is not after all, that is
// forgotten with the rest.
func (c *sums) add(ws mgx.WorkspaceID, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u, ok := c.of[ws]; ok {
		u.bytes += n
		c.of[ws] = u
	}
}

func (c *sums) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of = nil
}

// TakeRoom refuses what is about to be kept for a workspace when it has nothing left
// of its quota of bytes, or less than that needs, and else counts it. What other
// processes have stored within the last ten seconds may not be counted yet.
func (s *Store) TakeRoom(ctx context.Context, ws mgx.WorkspaceID, bytes int64) error {
	for {
		if limit, taken, known := s.opts.sums.take(ws, bytes); known {
			if !taken {
				return mgx.QuotaReached(ws, mgx.QuotaStoredBytes, limit)
			}
			return nil
		}
		if err := s.sum(mgx.ForInstallation(ctx), ws); err != nil {
			return err
		}
	}
}

// sum asks what a workspace may keep and, where there is a limit, what it does.
func (s *Store) sum(ctx context.Context, ws mgx.WorkspaceID) error {
	c := s.opts.sums
	c.asking.Lock()
	defer c.asking.Unlock()
	if _, _, known := c.take(ws, 0); known {
		return nil
	}
	u := sum{at: time.Now(), limit: math.MaxInt64}
	value, set, err := get(ctx, s, scanText, `SELECT value FROM settings WHERE workspace = $1 AND name = $2`, string(ws), quotaPrefix+string(mgx.QuotaStoredBytes))
	if err == nil && set {
		if u.limit, err = strconv.ParseInt(value, 10, 64); err != nil {
			return badRow("settings", err)
		}
		u.bytes, err = s.stored(ctx, ws)
	}
	if err == nil {
		c.put(ws, u)
	}
	return err
}

// stored is what a workspace keeps, in the database and beside it.
func (s *Store) stored(ctx context.Context, ws mgx.WorkspaceID) (int64, error) {
	n, _, err := get(ctx, s, scanCount, storedBytes, string(ws))
	if err == nil && s.opts.Beside != nil {
		var files int64
		files, err = s.opts.Beside(ws)
		n += files
	}
	return n, err
}

// beginsIn refuses runs that begin where nothing more is to be kept. Those that have
// begun go on.
func (s *Store) beginsIn(ctx context.Context, all []mgx.Execution) error {
	for _, e := range all {
		if e.Parent == "" && e.Run != "" {
			if err := s.TakeRoom(ctx, e.Workspace, 0); err != nil {
				return err
			}
		}
	}
	return nil
}
