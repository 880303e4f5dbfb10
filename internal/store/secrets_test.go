package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/secret"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

func vault(t testing.TB, s *store.Store) secret.Vault {
	t.Helper()
	ring, err := secret.NewRing()
	if err != nil {
		t.Fatal(err)
	}
	return secret.Vault{Store: s, Ring: ring, Workspace: mgx.DefaultWorkspace, Actor: "user_1", From: "test"}
}

func put(t testing.TB, v secret.Vault, name, value string) {
	t.Helper()
	if _, err := v.Set(t.Context(), name, value); err != nil {
		t.Fatal(err)
	}
}

func value(t testing.TB, v secret.Vault, name string) string {
	t.Helper()
	got, err := v.Use(t.Context(), name, "a test")
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return got
}

// What is sealed comes back, from the newest version, and is nowhere in the clear:
// neither in the database nor in a backup.
func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	const canary = "canary-7c5f1d6a9e"
	path := place(t)
	s := open(t, path, store.Options{})
	v := vault(t, s)
	put(t, v, "openai", "an older value")
	put(t, v, "openai", canary)
	put(t, v, "other", strings.Repeat("x", mgx.MaxSecret))
	if got := value(t, v, "openai"); got != canary {
		t.Errorf("got %q", got)
	}
	if all, err := v.List(t.Context()); err != nil || len(all) != 2 || all[0].Name != "openai" || all[0].Version != 2 {
		t.Errorf("listed %+v %v", all, err)
	}
	for name, bad := range map[string][2]string{"empty": {"a", ""}, "huge": {"a", strings.Repeat("x", mgx.MaxSecret+1)}, "name": {"a b", "x"}, "no name": {"", "x"}} {
		if _, err := v.Set(t.Context(), bad[0], bad[1]); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	var backup bytes.Buffer
	if _, err := s.WriteBackup(t.Context(), &backup, store.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil || bytes.Contains(text, []byte(canary)) {
			t.Errorf("%s holds the value: %v", name, err)
		}
	}
	copied := filepath.Join(t.TempDir(), "data", "copy.db")
	if _, err := store.Restore(t.Context(), &backup, copied, store.RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	restored := open(t, copied, store.Options{})
	stranger := vault(t, restored)
	if _, err := stranger.Use(t.Context(), "openai", "theft"); !mgx.IsCode(err, secret.CodeRing) {
		t.Errorf("another key ring opens the backup: %v", err)
	}
	stranger.Ring = v.Ring
	if got := value(t, stranger, "openai"); got != canary {
		t.Errorf("the right key ring reads %q from the backup", got)
	}
}

// Boxes cannot be exchanged, and a reading leaves a trace or does not happen.
func TestSecretsTampering(t *testing.T) {
	t.Parallel()
	path := place(t)
	s := open(t, path, store.Options{})
	v := vault(t, s)
	put(t, v, "mine", "one")
	put(t, v, "yours", "two")
	value(t, v, "mine")
	entries, err := s.AuditEntries(t.Context(), mgx.DefaultWorkspace, 0)
	if err != nil || len(entries) != 4 || !strings.Contains(string(entries[3].Data), `"secret.use"`) || strings.Contains(string(entries[1].Data), "one") {
		t.Fatalf("audited: %+v %v", entries, err)
	}
	raw(t, path, `UPDATE secrets SET box = (SELECT box FROM secrets WHERE name = 'yours') WHERE name = 'mine'`)
	if got, err := v.Use(t.Context(), "mine", "a test"); !mgx.IsCode(err, "secret_damaged") {
		t.Errorf("the box of another secret opens: %q %v", got, err)
	}
	raw(t, path, `CREATE TRIGGER broken BEFORE INSERT ON audit_hashes BEGIN SELECT RAISE(ABORT, 'no'); END`)
	if got, err := v.Use(t.Context(), "yours", "a test"); err == nil || got != "" {
		t.Errorf("it was handed out without a trace: %q %v", got, err)
	}
	if _, err := v.Set(t.Context(), "third", "x"); err == nil {
		t.Error("it was set without a trace")
	}
	raw(t, path, `DROP TRIGGER broken`, `DELETE FROM workspace_keys`)
	if _, err := v.Use(t.Context(), "yours", "a test"); !mgx.IsCode(err, "secret_damaged") {
		t.Errorf("a secret whose key was erased: %v", err)
	}
}

// Keys change while secrets are set, and nothing is lost.
func TestSecretsRotate(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]string{"sqlite": place(t), "postgres": pgtest.NewDatabase(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, at, store.Options{})
			v := vault(t, s)
			for i := range 5 {
				put(t, v, fmt.Sprintf("s%d", i), "before")
			}
			var all sync.WaitGroup
			all.Go(func() {
				for i := range 20 {
					put(t, v, fmt.Sprintf("s%d", i%5), fmt.Sprintf("value %d", i))
				}
			})
			for range 3 {
				if err := v.Rotate(t.Context()); err != nil && !mgx.IsCode(err, mgx.CodeConflict) {
					t.Errorf("rotate: %v", err)
				}
			}
			all.Wait()
			if err := v.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			older := v.Ring
			renewed, err := v.Ring.Renewed()
			if err != nil {
				t.Fatal(err)
			}
			v.Ring = renewed
			if err := v.Rewrap(t.Context()); err != nil {
				t.Fatal(err)
			}
			if v.Ring, err = renewed.Newest(); err != nil {
				t.Fatal(err)
			}
			text, err := v.Ring.Text()
			if err != nil {
				t.Fatal(err)
			}
			if v.Ring, err = secret.ParseRing(text); err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				if got, want := value(t, v, fmt.Sprintf("s%d", i)), fmt.Sprintf("value %d", 15+i); got != want {
					t.Errorf("s%d is %q, want %q", i, got, want)
				}
			}
			v.Ring = older
			if _, err := v.Use(t.Context(), "s0", "theft"); !mgx.IsCode(err, secret.CodeRing) {
				t.Errorf("the ring that was replaced opens still: %v", err)
			}
			if keys, err := s.WorkspaceKeys(t.Context(), mgx.DefaultWorkspace); err != nil || len(keys) != 1 {
				t.Errorf("%d keys are left: %v", len(keys), err)
			}
		})
	}
}
