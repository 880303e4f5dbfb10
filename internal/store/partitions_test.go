package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
	"mgx/internal/store/storetest"
)

// Whether old events go row by row or with their partition, nobody can tell. A few
// histories each time: each needs a database of its own.
func TestRetentionIsTheSameOnBoth(t *testing.T) {
	t.Parallel()
	n := 0
	checkFew(t, often(3, 20), func(rt *rapid.T) {
		n++
		file, address := filepath.Join(t.TempDir(), fmt.Sprint(n), "mgx.db"), newDatabase(t)
		opener := func(place string) func(func(*store.Options)) storetest.RetentionStore {
			return func(set func(*store.Options)) storetest.RetentionStore {
				var o store.Options
				set(&o)
				s, err := store.Open(context.Background(), place, o)
				if err != nil {
					rt.Fatal(err)
				}
				return s
			}
		}
		storetest.Same(rt, opener(file), opener(address))
	})
}

// A class and a month have a table of their own; the next month's is there before
// it begins, and one for any other time when an event of that time comes.
func TestPartitionsAreMade(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	at := time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)
	o := store.Options{Keep: keep, Now: func() time.Time { return at }}
	s := open(t, address, o)
	sc := newScope()
	of := func(typ mgx.EventType, at time.Time) mgx.Event {
		e := sc.Event(typ, mgx.ToolCallData{CallID: "x"})
		e.Stream, e.Time = "s", at
		return e
	}
	commit(t, s, mgx.Change{Events: []mgx.Event{
		of(mgx.ToolCalled, at), of(mgx.ToolReturned, at), of(mgx.ToolReturned, at.AddDate(0, -1, 0)), of(mgx.ToolReturned, at.AddDate(0, 1, 0)),
		of("not.known", at),
		of(mgx.ToolCalled, at.AddDate(-1, 0, 0)), of(mgx.ToolCalled, at.AddDate(1, 0, 0)), // would be over at once, would wait for a year
	}})
	numbered(t, s, 7)
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	want := "events_0_202611=1 events_30_202611=1 events_60_202610=1 events_60_202611=1 events_60_202612=1 events_left=2"
	if got := partitionsOf(t, address); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s.Close()
	at = at.AddDate(0, 0, 15) // and soon there is another month
	open(t, address, o)
	await(t, func() bool {
		return partitionsOf(t, address) == "events_0_202611=1 events_0_202612=0 events_30_202611=1 events_30_202612=0 events_60_202610=1 events_60_202611=1 events_60_202612=1 events_left=2"
	})
}

// partitionsOf lists the tables that the log lies in, and how many events each has.
func partitionsOf(t testing.TB, address string) string {
	t.Helper()
	return strings.ReplaceAll(pgtest.SQL(t, address, `SELECT relname || '=' || (xpath('/row/n/text()', query_to_xml('SELECT COUNT(*) AS n FROM ' || relname, false, true, '')))[1]
		FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY relname`), "\n", " ")
}

// nonEmpty leaves out those that are made ahead, in the last week of a month.
func nonEmpty(partitions string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(partitions), func(p string) bool { return strings.HasSuffix(p, "=0") }), " ")
}

// numbered waits until the log has grown to a position: a change is committed before
// it is, should the sequencer be slow.
func numbered(t testing.TB, s *store.Store, position int64) {
	t.Helper()
	await(t, func() bool {
		head, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return head >= position
	})
}

func await(t testing.TB, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-t.Context().Done():
			t.Fatal("it never came")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Of a partition that goes, everything is there until all of it is gone: also when
// whoever removes it has to wait for one who reads, or gives up half-way.
func TestPartitionGoesAtOnce(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	s := open(t, address, store.Options{Keep: keep})
	ended, going := begin(t, s), begin(t, s)
	for range 20 {
		commit(t, s, mgx.Change{Events: []mgx.Event{ended.Event(mgx.ToolCalled, mgx.ToolCallData{}), going.Event(mgx.ToolCalled, mgx.ToolCallData{}), note(ended, "x")}})
	}
	commit(t, s, mgx.Change{Events: []mgx.Event{ended.Event(mgx.TaskCompleted, mgx.TaskCompletedData{})}})
	numbered(t, s, 63)
	head, _ := s.Head(t.Context())
	now := monthEnd(mgx.Now()).Add(31 * day)
	whole := func() {
		t.Helper()
		events, err := s.Events(t.Context(), store.EventQuery{})
		if err != nil || len(events) != int(head) {
			t.Errorf("%d events of %d, %v", len(events), head, err)
		}
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reader, err := db.Begin() // as a backup does
	if err == nil {
		_, err = reader.Exec(`LOCK TABLE events IN ACCESS SHARE MODE`)
	}
	if err != nil {
		t.Fatal(err)
	}
	waits := func() bool {
		return pgtest.SQL(t, address, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`) == "t"
	}
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := s.Retain(ctx, now, store.Retention{Keep: keep})
		gaveUp <- err
	}()
	await(t, waits)
	whole()
	cancel()
	if err := <-gaveUp; err == nil {
		t.Error("it has not given up")
	}
	whole()
	done := make(chan store.Retained)
	go func() {
		r, err := s.Retain(t.Context(), now, store.Retention{Keep: keep})
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	await(t, waits)
	reader.Rollback()
	if r := <-done; r.Removed != 20 || r.Emptied != 0 {
		t.Errorf("%+v", r)
	}
	head -= 20
	whole()
	left := nonEmpty(partitionsOf(t, address))
	if strings.Contains(left, "events_30_") || !strings.Contains(left, "events_left=20") {
		t.Errorf("what is left lies in %s", left)
	}
}

// A log that is split is split again where it is restored, and is one table in a
// file.
func TestRestorePartitions(t *testing.T) {
	t.Parallel()
	address, again, file := pgtest.NewDatabase(t), pgtest.NewDatabase(t), place(t)
	s := open(t, address, store.Options{Keep: keep})
	sc, other := begin(t, s), begin(t, s)
	elsewhere := note(sc, "of a run, in another stream")
	elsewhere.Stream = mgx.StreamID(sc.Task)
	commit(t, s, mgx.Change{Events: []mgx.Event{sc.Event(mgx.ToolCalled, mgx.ToolCallData{}), sc.Event(mgx.ToolReturned, mgx.ToolResultData{}), elsewhere, sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{}), note(other, "x")}})
	numbered(t, s, 7)
	if _, err := s.Retain(t.Context(), monthEnd(mgx.Now()).Add(31*day), store.Retention{Keep: keep}); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if _, err := s.WriteBackup(t.Context(), &backup, store.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	want, _ := s.Events(t.Context(), store.EventQuery{})
	for _, place := range []string{again, file} {
		if _, err := store.Restore(t.Context(), bytes.NewReader(backup.Bytes()), place, store.RestoreOptions{}); err != nil {
			t.Fatal(err)
		}
		s := open(t, place, store.Options{Keep: keep})
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if got, err := s.Events(t.Context(), store.EventQuery{}); err != nil || len(got) != len(want) {
			t.Errorf("%d events of %d, %v", len(got), len(want), err)
		}
		if of, err := s.Events(t.Context(), store.EventQuery{Run: sc.Run}); err != nil || len(of) != 4 {
			t.Errorf("%d events of the run, %v", len(of), err)
		}
	}
	if got, want := nonEmpty(partitionsOf(t, again)), nonEmpty(partitionsOf(t, address)); got != want {
		t.Errorf("restored into %s, not %s", got, want)
	}
}
