package store_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// BenchmarkBackup and BenchmarkRestore say how many events of 1 KB a second go
// into a backup and out of one.
func BenchmarkBackup(b *testing.B) {
	s, n := filled(b)
	for b.Loop() {
		if _, err := s.WriteBackup(b.Context(), io.Discard, store.BackupOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkRestore(b *testing.B) {
	s, n := filled(b)
	file := filepath.Join(b.TempDir(), "backup")
	if _, err := s.Backup(b.Context(), file, store.BackupOptions{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		from, err := os.Open(file)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := store.Restore(b.Context(), from, place(b), store.RestoreOptions{}); err != nil {
			b.Fatal(err)
		}
		from.Close()
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
}

func filled(b *testing.B) (*store.Store, int) {
	s := open(b, place(b), store.Options{})
	sc := begin(b, s)
	text, n := strings.Repeat("x", 1000), 20_000
	for range n / 500 {
		var events []mgx.Event
		for range 500 {
			events = append(events, note(sc, text))
		}
		commit(b, s, mgx.Change{Events: events})
	}
	return s, n
}
