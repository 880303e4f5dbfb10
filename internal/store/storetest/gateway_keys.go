package storetest

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"mgx"
)

// KeyStore is what a store does for the keys of the gateway; *store.Store
// documents it.
type KeyStore interface {
	CreateGatewayKey(context.Context, mgx.GatewayKey) error
	GatewayKey(context.Context, mgx.KeyID) (mgx.GatewayKey, error)
	GatewayKeys(context.Context, mgx.WorkspaceID) ([]mgx.GatewayKey, error)
	RevokeGatewayKey(context.Context, mgx.WorkspaceID, mgx.KeyID) error
	TouchGatewayKey(context.Context, mgx.KeyID, time.Time) error
}

// RunGatewayKeys runs the part of the suite that is about keys of the gateway.
func RunGatewayKeys(t *testing.T, s KeyStore) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	budget := 5 * mgx.USD
	full := mgx.GatewayKey{
		ID: "key_B", Workspace: ws, User: "user_1", Name: "editor", Digest: strings.Repeat("ab", 32), Models: []string{"openai/*", "cheap"},
		Budget: &budget, Period: "monthly", ExpiresAt: mgx.Now().Add(time.Hour),
	}
	plain := mgx.GatewayKey{ID: "key_A", Workspace: ws, User: "user_2", Digest: strings.Repeat("cd", 32)}
	other := mgx.GatewayKey{ID: "key_C", Workspace: "ws_other", User: "user_3", Digest: strings.Repeat("ef", 32)}
	for _, k := range []mgx.GatewayKey{full, plain, other} {
		must(s.CreateGatewayKey(ctx, k))
	}
	get := func(id mgx.KeyID) mgx.GatewayKey {
		t.Helper()
		k, err := s.GatewayKey(ctx, id)
		must(err)
		if k.CreatedAt.IsZero() || time.Since(k.CreatedAt) > time.Hour {
			t.Errorf("%s was created at %v", id, k.CreatedAt)
		}
		k.CreatedAt = time.Time{}
		return k
	}
	for _, want := range []mgx.GatewayKey{full, plain, other} {
		if got := get(want.ID); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if all, err := s.GatewayKeys(ctx, ws); err != nil || len(all) != 2 || all[0].ID != "key_A" || all[1].ID != "key_B" {
		t.Errorf("listed %+v %v", all, err)
	}
	if err := s.CreateGatewayKey(ctx, full); err == nil {
		t.Error("an id was taken twice")
	}
	if err := s.CreateGatewayKey(ctx, mgx.GatewayKey{ID: "key_D", Workspace: ws, User: "user_1"}); !mgx.IsCode(err, "bad_key") {
		t.Errorf("without a digest: %v", err)
	}

	at := mgx.Now()
	must(s.TouchGatewayKey(ctx, full.ID, at))
	must(s.TouchGatewayKey(ctx, full.ID, at.Add(-time.Minute)))
	if got := get(full.ID).LastUsedAt; !got.Equal(at) {
		t.Errorf("last used %v, want %v", got, at)
	}

	if err := s.RevokeGatewayKey(ctx, ws, other.ID); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("revoked a key of another workspace: %v", err)
	}
	must(s.RevokeGatewayKey(ctx, ws, full.ID))
	first := get(full.ID).RevokedAt
	must(s.RevokeGatewayKey(ctx, ws, full.ID))
	if again := get(full.ID).RevokedAt; first.IsZero() || !again.Equal(first) || !get(other.ID).RevokedAt.IsZero() {
		t.Errorf("revoked at %v, then %v", first, again)
	}
	if _, err := s.GatewayKey(ctx, "key_none"); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("a key that is none: %v", err)
	}
}
