package store_test

import (
	"fmt"
	"strconv"
	"testing"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// A page costs what it holds, also of a log that has grown since the server has last
// counted how much there is, and so does one of little among much.
func TestPagesCostWhatTheyHold(t *testing.T) {
	t.Parallel()
	const events, rare, page = 6000, 1000, 100 // each rare-th is of another workspace and type
	address := newDatabase(t)
	s := open(t, address, store.Options{})
	pgtest.SQL(t, address, `ALTER TABLE events_left SET (autovacuum_enabled = false)`)
	common, other := newScope(), newScope()
	other.Workspace = "ws_other"
	for from := 1; from <= events; from += 1000 {
		var c mgx.Change
		for n := from; n < from+1000; n++ {
			e := note(common, fmt.Sprint(n))
			if n%rare == 0 {
				e = other.Event("rare.kind", mgx.NotedData{Text: fmt.Sprint(n)})
			}
			e.Stream, e.Run = "s", ""
			if e.Workspace == other.Workspace {
				e.Stream = "o"
			}
			c.Events = append(c.Events, e)
		}
		commit(t, s, c)
	}
	numbered(t, s, events)
	s.Close()
	before := lookedAt(t, address)
	s = open(t, address, store.Options{ReadOnly: true})
	for _, c := range []struct {
		q    store.EventQuery
		want int
	}{
		{store.EventQuery{Workspace: common.Workspace, Limit: page}, events - events/rare},
		{store.EventQuery{Workspace: other.Workspace, Limit: page}, events / rare},
		{store.EventQuery{Types: []string{"rare.*"}, Limit: page}, events / rare},
	} {
		got, last := 0, int64(0)
		for e, err := range s.EachEvent(t.Context(), c.q) {
			if err != nil || e.Position <= last {
				t.Fatalf("%+v: position %d after %d, %v", c.q, e.Position, last, err)
			}
			got, last = got+1, e.Position
		}
		if got != c.want {
			t.Errorf("%+v: %d events instead of %d", c.q, got, c.want)
		}
	}
	s.Close()
	if looked := lookedAt(t, address) - before; looked < 3*events || looked > 10*events {
		t.Errorf("the server looked at %d rows for three readers of %d", looked, events)
	}
}

// lookedAt is how many rows the server has looked at in the log, once all who did so
// have left: it counts as they leave.
func lookedAt(t *testing.T, address string) int {
	t.Helper()
	await(t, func() bool {
		return pgtest.SQL(t, address, `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`) == "0"
	})
	n, err := strconv.Atoi(pgtest.SQL(t, address, `SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'events_left'`))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
