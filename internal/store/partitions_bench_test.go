package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// BenchmarkPartitions reads a log of PostgreSQL that is split into more and more
// partitions, and prints how long it takes in relation to the same log in one
// piece, measured in the same run: the whole of it, a page of 500 events anywhere,
// the last event, a stream, and a run.
func BenchmarkPartitions(b *testing.B) {
	whole := newSplitLog(b, 0, 1)
	for _, c := range []struct{ classes, months int }{{1, 1}, {5, 4}, {5, 20}} {
		split := newSplitLog(b, c.classes, c.months)
		for _, l := range []*splitLog{whole, split} {
			l.everything() // so that the server has seen every statement
		}
		for name, read := range map[string]func(*splitLog){"catch-up": (*splitLog).everything, "page": (*splitLog).page, "tail": (*splitLog).tail, "stream": (*splitLog).stream, "run": (*splitLog).run} {
			b.Run(fmt.Sprintf("%s/partitions=%d", name, c.classes*c.months), func(b *testing.B) {
				var one, many []time.Duration
				for b.Loop() {
					one, many = append(one, timed(whole, read)), append(many, timed(split, read))
				}
				slices.Sort(one)
				slices.Sort(many)
				median := many[len(many)/2]
				b.ReportMetric(float64(median)/1e6, "ms-median")
				b.ReportMetric(float64(median)/float64(one[len(one)/2]), "x-one-piece")
				if name == "catch-up" {
					b.ReportMetric(splitRows/median.Seconds(), "rows/s")
				}
			})
		}
	}
}

func timed(l *splitLog, read func(*splitLog)) time.Duration {
	start := time.Now()
	read(l)
	return time.Since(start)
}

const (
	splitRows   = 400_000
	splitStream = 500 // events of a stream
)

// splitLog is a log whose events lie in some classes and months: a month after the
// other, and the classes in turn.
type splitLog struct {
	b *testing.B
	s *store.Store
}

func newSplitLog(b *testing.B, classes, months int) *splitLog {
	first := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	address := pgtest.NewDatabase(b)
	l := &splitLog{b: b, s: open(b, address, store.Options{Keep: map[mgx.EventType]time.Duration{"kind": 90 * day}})}
	var ddl strings.Builder
	for c := range classes {
		fmt.Fprintf(&ddl, "CREATE TABLE events_%[1]d PARTITION OF events FOR VALUES IN (%[1]d) PARTITION BY RANGE (time);\n", 1000+c)
		for m := range months {
			month := first.AddDate(0, m, 0)
			fmt.Fprintf(&ddl, `CREATE TABLE %[1]s PARTITION OF events_%[2]d (PRIMARY KEY (position)) FOR VALUES FROM (%[3]d) TO (%[4]d);
				CREATE UNIQUE INDEX ON %[1]s (stream, sequence); CREATE INDEX ON %[1]s (run, position) WHERE run <> '';`,
				fmt.Sprintf("events_%d_%s", 1000+c, month.Format("200601")), 1000+c, month.UnixMicro(), monthEnd(month).UnixMicro())
		}
	}
	pgtest.SQL(b, address, ddl.String()+fmt.Sprintf(`
		INSERT INTO events (position, id, workspace, stream, sequence, type, version, time, project, task, run, agent, execution, correlation, causation, traceparent, data, class)
		SELECT n, 'evt_' || n, '%[1]s', 'task_' || (n - 1) / %[3]d, (n - 1) %% %[3]d + 1, 'kind', '1.0.0', 1000000 * extract(epoch FROM timestamptz '2024-01-01T01:00:00Z' + interval '1 month' * ((n - 1) / %[4]d))::bigint,
			'', '', 'run_' || (n - 1) / %[3]d, '', '', '', '', '', '{"level":"info","text":"something to remember"}', CASE %[5]d WHEN 0 THEN -1 ELSE 1000 + n %% GREATEST(1, %[5]d) END
		FROM generate_series(1, %[2]d) AS n;
		INSERT INTO partitions SELECT class, to_char(to_timestamp(time / 1000000) AT TIME ZONE 'UTC', 'YYYYMM')::bigint, MIN(position), MAX(position) FROM events WHERE class >= 0 GROUP BY 1, 2;
		INSERT INTO streams SELECT id, '%[1]s', %[3]d, MIN(time), MAX(time) FROM (SELECT stream AS id, time FROM events UNION ALL SELECT run, time FROM events) e GROUP BY 1;
		UPDATE sequencer SET position = %[2]d; ANALYZE;`, mgx.DefaultWorkspace, splitRows, splitStream, splitRows/months, classes))
	return l
}

func (l *splitLog) ask(q store.EventQuery, want int) {
	events, err := l.s.Events(context.Background(), q)
	if err != nil || len(events) != want {
		l.b.Fatalf("%d events of %d, %v", len(events), want, err)
	}
}

func (l *splitLog) page() {
	l.ask(store.EventQuery{AfterPosition: rand.Int64N(splitRows - 500), Limit: 500}, 500)
}

func (l *splitLog) tail() { l.ask(store.EventQuery{AfterPosition: splitRows - 1, Limit: 500}, 1) }

func (l *splitLog) stream() {
	l.ask(store.EventQuery{Stream: mgx.StreamID(fmt.Sprint("task_", rand.IntN(splitRows/splitStream))), AfterSequence: 100, Limit: 100}, 100)
}

func (l *splitLog) run() {
	l.ask(store.EventQuery{Run: mgx.RunID(fmt.Sprint("run_", rand.IntN(splitRows/splitStream))), Limit: 100}, 100)
}

func (l *splitLog) everything() {
	n := 0
	for _, err := range l.s.EachEvent(context.Background(), store.EventQuery{Limit: 1000}) {
		if err != nil {
			l.b.Fatal(err)
		}
		n++
	}
	if n != splitRows {
		l.b.Fatalf("%d events of %d", n, splitRows)
	}
}
