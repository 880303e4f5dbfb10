package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// BenchmarkAppend appends durable events of 64 runs from 64 writers, with every
// run's row folded, and prints how that compares with what the same disk does
// for one row and one commit at a time, measured in the same run.
func BenchmarkAppend(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) { benchmarkAppend(b, open(b, place(b), store.Options{}), singleCommits) })
	b.Run("PostgreSQL", func(b *testing.B) {
		address := pgtest.NewDatabase(b)
		benchmarkAppend(b, open(b, address, store.Options{}), func(b *testing.B) float64 { return singleCommitsPostgres(b, address) })
	})
}

func benchmarkAppend(b *testing.B, s *store.Store, peer func(*testing.B) float64) {
	const writers = 64
	scopes := make([]mgx.Scope, writers)
	for i := range scopes {
		scopes[i] = begin(b, s)
	}
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, sc := range scopes {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if _, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{note(sc, "something to remember")}}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.StopTimer()
	b.ReportMetric(rate, "events/s")
	b.ReportMetric(rate/peer(b), "x-single-commits")
}

// singleCommitsPostgres is the same for a server: one connection, one row a commit.
func singleCommitsPostgres(b *testing.B, address string) float64 {
	db, err := sql.Open("pgx", address)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE t (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data TEXT)`); err != nil {
		b.Fatal(err)
	}
	return commitRows(b, db)
}

// singleCommits is how many commits of one small row the disk does in a second,
// without any of our code.
func singleCommits(b *testing.B) float64 {
	db, err := sql.Open("sqlite", b.TempDir()+"/raw.db?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, data TEXT)`); err != nil {
		b.Fatal(err)
	}
	return commitRows(b, db)
}

func commitRows(b *testing.B, db *sql.DB) float64 {
	const rows = 500
	start := time.Now()
	for range rows {
		if _, err := db.Exec(`INSERT INTO t (data) VALUES ($1)`, "something to remember"); err != nil {
			b.Fatal(err)
		}
	}
	return rows / time.Since(start).Seconds()
}

// BenchmarkStep records steps as the workflow engine does: under a lease, each
// with two events, one run after the other.
func BenchmarkStep(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		benchmarkStep(b, func() *store.Store { return open(b, place(b), store.Options{}) }, singleCommits)
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		peer := func(b *testing.B) float64 { return singleCommitsPostgres(b, pgtest.NewDatabase(b)) }
		benchmarkStep(b, func() *store.Store { return open(b, pgtest.NewDatabase(b), store.Options{}) }, peer)
	})
}

func benchmarkStep(b *testing.B, create func() *store.Store, peer func(*testing.B) float64) {
	for _, runs := range []int{1, 16} {
		b.Run(fmt.Sprintf("runs=%d", runs), func(b *testing.B) {
			s := create()
			leases := make(map[mgx.Scope]*mgx.Lease, runs)
			for range runs {
				sc := begin(b, s)
				e, ok, err := s.Claim(context.Background(), mgx.ClaimRequest{Owner: "w", TTL: time.Hour, Now: mgx.Now(), Only: sc.Execution})
				if err != nil || !ok {
					b.Fatal(ok, err)
				}
				leases[sc] = &mgx.Lease{Execution: sc.Execution, Owner: "w", Term: e.Term}
			}
			b.ResetTimer()
			var next atomic.Int64
			var wg sync.WaitGroup
			for sc, l := range leases {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						name := fmt.Sprint("step/", i)
						_, err := s.Commit(context.Background(), mgx.Change{
							Lease: l,
							Events: []mgx.Event{
								sc.Event(mgx.WorkflowStepStarted, mgx.StepStartedData{Step: name, Kind: mgx.StepWork, Attempt: 1}),
								sc.Event(mgx.WorkflowStepCompleted, mgx.StepCompletedData{Step: name, Kind: mgx.StepWork, Status: "done", Attempts: 1}),
							},
							Steps: []mgx.StepRecord{{Execution: sc.Execution, Name: name, Kind: mgx.StepWork, Attempts: 1, Output: []byte(`{"ok":true}`)}},
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			rate := float64(b.N) / b.Elapsed().Seconds()
			b.StopTimer()
			b.ReportMetric(rate, "steps/s")
			b.ReportMetric(rate/peer(b), "x-single-commits")
		})
	}
}

// BenchmarkCatchUp reads the log from its beginning, in pages, and prints how that
// compares with the database's own tools for the same columns in one go, measured in
// the same run: COPY of a server, and rows that nobody looks at of a file.
func BenchmarkCatchUp(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		place := place(b)
		benchmarkCatchUp(b, open(b, place, store.Options{}), func() error { return rowsUnread(place) })
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		address := pgtest.NewDatabase(b)
		benchmarkCatchUp(b, open(b, address, store.Options{}), func() error { return copied(address) })
	})
}

func benchmarkCatchUp(b *testing.B, s *store.Store, peer func() error) {
	sc := begin(b, s)
	const rows = 20_000
	for range rows / 1000 {
		var c mgx.Change
		for range 1000 {
			c.Events = append(c.Events, note(sc, "something to remember"))
		}
		commit(b, s, c)
	}
	read := 0
	var own, others time.Duration
	for b.Loop() {
		start := time.Now()
		for _, err := range s.EachEvent(context.Background(), store.EventQuery{Workspace: sc.Workspace, Limit: 1000}) {
			if err != nil {
				b.Fatal(err)
			}
			read++
		}
		own += time.Since(start)
		start = time.Now()
		if err := peer(); err != nil {
			b.Fatal(err)
		}
		others += time.Since(start)
	}
	b.ReportMetric(0, "ns/op") // of both
	b.ReportMetric(float64(read)/own.Seconds(), "rows/s")
	b.ReportMetric(others.Seconds()/own.Seconds(), "x-peer")
}

const allColumns = `SELECT position, id, workspace, stream, sequence, type, version, time, project, task, run, agent, execution, correlation, causation, traceparent, data FROM events ORDER BY position`

func copied(address string) error {
	conn, err := pgx.Connect(context.Background(), address)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.PgConn().CopyTo(context.Background(), io.Discard, `COPY (`+allColumns+`) TO STDOUT`)
	return err
}

func rowsUnread(path string) error {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.Query(allColumns)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

func BenchmarkOpen(b *testing.B) {
	path := place(b)
	create(b, path)
	for b.Loop() {
		s, err := store.Open(context.Background(), path, store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
