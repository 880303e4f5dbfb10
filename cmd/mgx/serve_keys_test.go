package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mgx"
	"mgx/client"
	"mgx/internal/event"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// A client that loses its server goes on at another one of the same database,
// without gap, repeat or reset, also with a token that was signed with the key of
// an older version, which lay in the data directory.
func TestResumeAtAnotherServer(t *testing.T) {
	t.Parallel()
	address := pgtest.New(t).NewDatabase(t)
	l := newLab(t, labScript)
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	note := notes(t, db)
	note(5)
	homes := []string{t.TempDir(), t.TempDir()}
	const old = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if err := os.WriteFile(filepath.Join(homes[1], oldKeyFile), []byte(old+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := make([]*served, len(homes))
	for i, home := range homes {
		at[i] = l.serve("127.0.0.1:0", "--workers", "0", "--database", address, "--data", home)
		at[i].data = home
	}
	if _, err := os.Stat(filepath.Join(homes[1], oldKeyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old key is still there: %v", err)
	}
	resume, want := tokenSigned(t, db, old, 2), int64(3)
	for turn := range 6 {
		note(3)
		o := client.StreamOptions{Resume: resume, Token: func(token string) { resume = token }}
		last := int64(5 + 3*(turn+1))
		for e, err := range at[turn%2].client().Stream(t.Context(), o) {
			if err != nil {
				t.Fatalf("turn %d: %v", turn, err)
			}
			if e.Position != want {
				t.Fatalf("turn %d: got %d, want %d", turn, e.Position, want)
			}
			if e.Position == last {
				break // so its token is not noted, and it comes again
			}
			want++
		}
	}
	keys, err := db.KnownKeys(t.Context(), store.ResumeKey)
	if err != nil || len(keys) != 2 || keys[1] != old {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for _, s := range at {
		s.end()
		for _, key := range keys {
			if strings.Contains(s.errs.String(), key) {
				t.Error("a key was logged")
			}
		}
	}
}

// tokenSigned is a resume token of all channels, signed with a key.
func tokenSigned(t *testing.T, db *store.Store, key string, position int64) string {
	t.Helper()
	epoch, err := db.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hub := event.NewHub(event.HubOptions{Source: db, Epoch: epoch, Key: []byte(key), Authorize: event.OneWorkspace(mgx.DefaultWorkspace)})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { hub.Run(ctx) })
	all, err := event.ParseChannels([]string{"all"})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := hub.Subscribe(ctx, event.SubscribeRequest{Channels: all})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	return sub.Token(position)
}

// notes returns what appends notes to a run of its own.
func notes(t testing.TB, db *store.Store) func(n int) {
	t.Helper()
	sc := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}
	first := sc.Event(mgx.RunCreated, mgx.RunCreatedData{})
	first.Version = "1.1.0"
	batch := []mgx.Event{first}
	return func(n int) {
		t.Helper()
		for len(batch) < n {
			e := sc.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "x"})
			e.Version = "1.0.0"
			batch = append(batch, e)
		}
		if _, err := db.Commit(t.Context(), mgx.Change{Events: batch}); err != nil {
			t.Fatal(err)
		}
		batch = nil
	}
}
