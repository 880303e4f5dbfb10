package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"mgx"
	"mgx/internal/store"
)

// AuditStore is what a store does for the audit log; *store.Store documents it.
type AuditStore interface {
	AuditHashes(ctx context.Context, ws mgx.WorkspaceID, at []int64) ([]tlog.Hash, error)
	AuditSize(ctx context.Context, ws mgx.WorkspaceID) (int64, error)
	SaveAuditCheckpoint(ctx context.Context, c mgx.AuditCheckpoint) error
	AuditCheckpoints(ctx context.Context, ws mgx.WorkspaceID, after int64, limit int) ([]mgx.AuditCheckpoint, error)
	LastAuditCheckpoint(ctx context.Context, ws mgx.WorkspaceID) (mgx.AuditCheckpoint, bool, error)
}

func act(ws mgx.WorkspaceID, what string) mgx.Event {
	return mgx.NewAudit(ws, mgx.AuditData{
		Actor: "user_1", Action: "key.create", Resource: what, Decision: mgx.AuditAllowed,
		Details: &mgx.AuditDetails{From: "192.0.2.7", After: json.RawMessage(`{"name": "<ci>"}`)},
	})
}

// acted holds what is in the audit log against the acts of a test: each that was
// done, and none that was not.
func acted(t testing.TB, s Store, want ...string) {
	t.Helper()
	var got []string
	until(t, func() bool { // on a server the log may lag
		got = nil
		for _, e := range events(t, s, store.EventQuery{Stream: mgx.AuditStream(ws)}) {
			var d mgx.AuditData
			if err := e.Decode(&d); err != nil || d.Actor != doer.Actor || d.Details.From != doer.From || d.Resource == "" {
				t.Errorf("entry %+v %v", d, err)
			}
			got = append(got, d.Action)
		}
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

// Writers append to the audit logs of two workspaces at once, and some fail after
// they did: each tree is that of exactly the entries that are in the log.
func auditTree(t *testing.T, open Opener) {
	s := open(t)
	audit, ok := s.(AuditStore)
	if !ok {
		t.Fatalf("%T keeps no audit log", s)
	}
	workspaces := []mgx.WorkspaceID{ws, "ws_other"}
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 12 {
				c := mgx.Change{Events: []mgx.Event{act(workspaces[(w+i)%2], fmt.Sprintf("key_%d_%d", w, i))}}
				if i%4 == 3 {
					c.Cancel = &mgx.CancelRequest{Execution: "exec_none"}
				}
				if _, err := s.Commit(t.Context(), c); (err != nil) != (i%4 == 3) {
					t.Errorf("commit: %v", err)
				}
			}
		})
	}
	writers.Wait()
	for _, ws := range workspaces {
		entries := events(t, s, store.EventQuery{Stream: mgx.AuditStream(ws)})
		size, err := audit.AuditSize(t.Context(), ws)
		if err != nil || size != 36 || len(entries) != 36 {
			t.Fatalf("%s: a tree of %d over %d entries, %v; want 36", ws, size, len(entries), err)
		}
		stored, err := tlog.TreeHash(size, tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) { return audit.AuditHashes(t.Context(), ws, at) }))
		if err != nil {
			t.Fatal(err)
		}
		if fresh := treeOf(t, entries); stored != fresh {
			t.Errorf("%s: the stored tree is %v, that of its entries %v", ws, stored, fresh)
		}
	}
	verify(t, s)
}

// treeOf hashes entries anew.
func treeOf(t *testing.T, entries []mgx.Event) tlog.Hash {
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
		for _, i := range at {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	for i, e := range entries {
		var d mgx.AuditData
		leaf, err := mgx.AuditLeaf(e)
		if err != nil || e.Sequence != int64(i)+1 || e.Decode(&d) != nil || !d.Intact() || d.Details == nil {
			t.Fatalf("entry %d: %+v %v", i, e, err)
		}
		more, err := tlog.StoredHashes(int64(i), leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(int64(len(entries)), read)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// Nothing but audit entries gets into their streams, and no entry into another.
func auditSealed(t *testing.T, open Opener) {
	s := open(t)
	stray := note(scope(), "not an act")
	stray.Stream = mgx.AuditStream(ws)
	elsewhere := act(ws, "key_1")
	elsewhere.Stream = "task_1"
	foreign := act(ws, "key_1")
	foreign.Workspace = "ws_other"
	bare := act(ws, "key_1")
	bare.Data = json.RawMessage(`{"actor":"a","action":"b.c","resource":"r","decision":"allowed"}`)
	for name, e := range map[string]mgx.Event{"stray": stray, "elsewhere": elsewhere, "foreign": foreign, "bare": bare} {
		if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{e}}); err == nil {
			t.Errorf("%s was stored", name)
		}
	}
	audit := s.(AuditStore)
	if _, found, err := audit.LastAuditCheckpoint(t.Context(), ws); found || err != nil {
		t.Errorf("a checkpoint of a log that nobody signed: %v", err)
	}
	first := mgx.AuditCheckpoint{Workspace: ws, Size: 3, Note: "first", CreatedAt: mgx.Now()}
	again := first
	again.Note = "again"
	second := mgx.AuditCheckpoint{Workspace: ws, Size: 5, Note: "second", CreatedAt: mgx.Now()}
	for _, c := range []mgx.AuditCheckpoint{second, first, again, {Workspace: "ws_other", Size: 9, Note: "other", CreatedAt: mgx.Now()}} {
		if err := audit.SaveAuditCheckpoint(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		after int64
		limit int
		want  []mgx.AuditCheckpoint
	}{{0, 0, []mgx.AuditCheckpoint{first, second}}, {0, 1, []mgx.AuditCheckpoint{first}}, {3, 9, []mgx.AuditCheckpoint{second}}, {5, 9, nil}} {
		if all, err := audit.AuditCheckpoints(t.Context(), ws, c.after, c.limit); err != nil || !reflect.DeepEqual(all, c.want) {
			t.Errorf("checkpoints after %d: %+v %v", c.after, all, err)
		}
	}
	if last, found, err := audit.LastAuditCheckpoint(t.Context(), ws); !found || err != nil || last != second {
		t.Errorf("the last checkpoint: %+v %v", last, err)
	}
}
