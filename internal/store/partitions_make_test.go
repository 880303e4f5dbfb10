package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mgx/internal/store/pgtest"
)

// Several may make the same partitions at once: that is done once, and nobody fails.
func TestCreatePartitionAtOnce(t *testing.T) {
	t.Parallel()
	address := pgtest.NewDatabase(t)
	s, err := Open(t.Context(), address, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			conn, err := pgx.Connect(t.Context(), address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close(context.Background())
			for m := range 4 {
				if _, err := conn.Exec(t.Context(), createPartition(30, month(202601+(i+m)%4), noWall)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := pgtest.SQL(t, address, `SELECT COUNT(*) FROM pg_class WHERE relispartition AND relkind = 'r'`); got != "5" {
		t.Errorf("%s partitions", got)
	}
}

func TestMonths(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]month{"2026-11-30T23:59:59.999999Z": 202611, "2026-12-01T00:00:00Z": 202612, "2026-12-31T23:30:00-01:00": 202701} {
		when, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			t.Fatal(err)
		}
		m := monthOf(when)
		if m != want || when.Before(m.begins()) || !when.Before(m.ends()) {
			t.Errorf("%s is in %d", at, m)
		}
	}
	end := month(202612).ends()
	if over(202612, 30, end.Add(30*day-1)) || !over(202612, 30, end.Add(30*day)) {
		t.Error("a month is over at another time than 30 days after its end")
	}
}
