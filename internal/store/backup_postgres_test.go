package store_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// One backup moves a log from a file into a PostgreSQL database and back, and
// nothing in it is different then.
func TestBackupBetweenDatabases(t *testing.T) {
	t.Parallel()
	address := pgtest.NewDatabase(t)
	path := place(t)
	file := open(t, path, store.Options{})
	for i := range 250 {
		sc := begin(t, file)
		commit(t, file, mgx.Change{
			Events:  []mgx.Event{note(sc, fmt.Sprint(i, "ü<&>\u2028")), sc.Event(mgx.ToolCalled, mgx.ToolCallData{})},
			Reserve: &mgx.Reservation{ID: fmt.Sprint(i), Workspace: sc.Workspace, Run: sc.Run, Amount: 7},
			Steps:   []mgx.StepRecord{{Execution: sc.Execution, Name: "a", Kind: mgx.StepWork, Output: []byte(`{"b":1}`)}},
			Signals: []mgx.Signal{{ID: mgx.NewSignalID(), Execution: sc.Execution, Name: "go"}},
		})
	}
	var there, back bytes.Buffer
	if _, err := file.WriteBackup(t.Context(), &there, store.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	damagedCopy := bytes.NewReader(there.Bytes()[:there.Len()-10])
	if _, err := store.Restore(t.Context(), damagedCopy, address, store.RestoreOptions{}); !mgx.IsCode(err, store.CodeBackupDamaged) {
		t.Errorf("a truncated backup: %v", err)
	}
	again := bytes.NewReader(there.Bytes()) // also shows that nothing was left
	if _, err := store.Restore(t.Context(), again, address, store.RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Restore(t.Context(), bytes.NewReader(there.Bytes()), address, store.RestoreOptions{}); !mgx.IsCode(err, store.CodeNotEmpty) {
		t.Errorf("over a database in use: %v", err)
	}
	server := open(t, address, store.Options{})
	if err := server.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := server.WriteBackup(t.Context(), &back, store.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "mgx.db")
	if _, err := store.Restore(t.Context(), &back, copied, store.RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if a, b := tables(t, path), tables(t, copied); !reflect.DeepEqual(a, b) {
		t.Errorf("the tables differ")
	}
	sc := begin(t, server)
	head, _ := file.Head(t.Context())
	if out := commit(t, server, mgx.Change{Events: []mgx.Event{note(sc, "goes on")}}); out.Events[0].Position != head+2 {
		t.Errorf("went on at %d after %d", out.Events[0].Position, head)
	}
}
