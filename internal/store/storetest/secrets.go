package storetest

import (
	"reflect"
	"testing"

	"mgx"
	"mgx/internal/secret"
	"mgx/internal/store"
)

// Secrets and the keys of workspaces keep their versions in order and never lose
// the key that something is sealed with.
func secretsKept(t *testing.T, open Opener) {
	s := open(t).(secret.Store)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what, code string, err error) {
		t.Helper()
		if !mgx.IsCode(err, code) {
			t.Errorf("%s: %v, want code %s", what, err, code)
		}
	}
	key := func(ws mgx.WorkspaceID, version int64) mgx.WorkspaceKey {
		return mgx.WorkspaceKey{Workspace: ws, Version: version, Wrapped: []byte{0, 255, byte(version)}, CreatedAt: mgx.Now()}
	}
	sealed := func(ws mgx.WorkspaceID, name string, version, key int64) mgx.SealedSecret {
		return mgx.SealedSecret{SecretInfo: mgx.SecretInfo{Workspace: ws, Name: name, Version: version, CreatedBy: "user_1", CreatedAt: mgx.Now()}, Key: key, Box: []byte{0, 128, byte(version)}}
	}
	a, b := sealed(ws, "a", 1, 1), sealed(ws, "b", 1, 1)
	refused("no key", mgx.CodeConflict, s.AddSecret(ctx, a))
	must(s.AddWorkspaceKey(ctx, key(ws, 1), act(ws, "key")))
	refused("the same key again", mgx.CodeConflict, s.AddWorkspaceKey(ctx, key(ws, 1)))
	must(s.AddWorkspaceKey(ctx, key("ws_other", 1)))
	must(s.AddSecret(ctx, a, act(ws, "a")))
	must(s.AddSecret(ctx, b))
	must(s.AddSecret(ctx, sealed("ws_other", "a", 1, 1)))
	refused("the same version again", mgx.CodeConflict, s.AddSecret(ctx, a, act(ws, "never")))
	refused("a version left out", mgx.CodeConflict, s.AddSecret(ctx, sealed(ws, "a", 3, 1)))
	newer := sealed(ws, "a", 2, 1)
	must(s.AddSecret(ctx, newer))

	if got, err := s.Secret(ctx, ws, "a"); err != nil || !reflect.DeepEqual(got, newer) {
		t.Errorf("got %+v %v, want %+v", got, err, newer)
	}
	if got, err := s.Secrets(ctx, ws); err != nil || !reflect.DeepEqual(got, []mgx.SealedSecret{newer, b}) {
		t.Errorf("listed %+v %v", got, err)
	}
	if got, err := s.AllSecrets(ctx, ws); err != nil || !reflect.DeepEqual(got, []mgx.SealedSecret{a, newer, b}) {
		t.Errorf("listed all as %+v %v", got, err)
	}
	_, err := s.Secret(ctx, ws, "none")
	refused("none", mgx.CodeNotFound, err)

	must(s.AddWorkspaceKey(ctx, key(ws, 2)))
	refused("keys in use", mgx.CodeConflict, s.DropWorkspaceKeys(ctx, ws, 2))
	for _, one := range []mgx.SealedSecret{a, newer, b} {
		one.Key = 2
		must(s.ResealSecret(ctx, one, 1))
		refused("resealed twice", mgx.CodeConflict, s.ResealSecret(ctx, one, 1))
	}
	must(s.DropWorkspaceKeys(ctx, ws, 2))
	if keys, err := s.WorkspaceKeys(ctx, ws); err != nil || len(keys) != 1 || keys[0].Version != 2 {
		t.Errorf("keys %+v %v", keys, err)
	}
	refused("sealed with a key that is gone", mgx.CodeConflict, s.AddSecret(ctx, sealed(ws, "c", 1, 1)))
	wrapped := key(ws, 2)
	wrapped.Wrapped = []byte("anew")
	must(s.RewrapWorkspaceKey(ctx, wrapped))
	refused("rewrapped one that is gone", mgx.CodeConflict, s.RewrapWorkspaceKey(ctx, key(ws, 1)))

	must(s.RemoveSecret(ctx, ws, "a", act(ws, "a")))
	refused("removed twice", mgx.CodeNotFound, s.RemoveSecret(ctx, ws, "a", act(ws, "never")))
	if got, err := s.Secret(ctx, "ws_other", "a"); err != nil || got.Workspace != "ws_other" {
		t.Errorf("that of another workspace: %+v %v", got, err)
	}
	entries := events(t, s.(Store), store.EventQuery{Stream: mgx.AuditStream(ws)})
	if len(entries) != 3 {
		t.Errorf("%d acts are recorded, want 3: none without what it says, and the reverse", len(entries))
	}
}
