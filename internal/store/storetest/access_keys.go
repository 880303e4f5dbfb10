package storetest

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"mgx"
)

// KeyStore is what a store does for API keys; *store.Store documents it.
type KeyStore interface {
	CreateKey(context.Context, mgx.Doer, mgx.APIKey) error
	Key(context.Context, mgx.KeyID) (mgx.APIKey, error)
	Keys(ctx context.Context, ws mgx.WorkspaceID, user mgx.UserID, after mgx.KeyID, limit int) ([]mgx.APIKey, error)
	RevokeKey(context.Context, mgx.Doer, mgx.WorkspaceID, mgx.KeyID) error
	RotateKey(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.KeyID, digest string, overlap time.Duration) error
	TouchKey(context.Context, mgx.KeyID, time.Time) error
}

// by is who acts in the suite.
var by = mgx.Doer{Workspace: ws, Actor: "user_1", From: "192.0.2.1"}

func keys(t *testing.T, s AccessStore) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	budget := 5 * mgx.USD
	full := mgx.APIKey{
		ID: "key_B", Workspace: ws, User: "user_1", Name: "editor", Digest: strings.Repeat("ab", 32), Models: []string{"openai/*", "cheap"},
		Budget: &budget, Period: "monthly", ExpiresAt: mgx.Now().Add(time.Hour), Scopes: []string{"models", "runs:read"}, Role: mgx.RoleViewer,
	}
	plain := mgx.APIKey{ID: "key_A", Workspace: ws, User: "user_2", Digest: strings.Repeat("cd", 32), Scopes: []string{"*"}}
	other := mgx.APIKey{ID: "key_C", Workspace: "ws_other", User: "user_3", Digest: strings.Repeat("ef", 32), Scopes: []string{"models"}}
	for _, k := range []mgx.APIKey{full, plain, other} {
		must(s.CreateKey(ctx, by, k))
	}
	get := func(id mgx.KeyID) mgx.APIKey {
		t.Helper()
		k, err := s.Key(ctx, id)
		must(err)
		if k.CreatedAt.IsZero() || time.Since(k.CreatedAt) > time.Hour {
			t.Errorf("%s was created at %v", id, k.CreatedAt)
		}
		k.CreatedAt = time.Time{}
		return k
	}
	for _, want := range []mgx.APIKey{full, plain, other} {
		if got := get(want.ID); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if all, err := s.Keys(ctx, ws, "", "", 0); err != nil || len(all) != 2 || all[0].ID != "key_A" || all[1].ID != "key_B" {
		t.Errorf("listed %+v %v", all, err)
	}
	if one, err := s.Keys(ctx, ws, "user_1", "", 0); err != nil || len(one) != 1 || one[0].ID != "key_B" {
		t.Errorf("of one listed %+v %v", one, err)
	}
	if rest, err := s.Keys(ctx, ws, "", "key_A", 1); err != nil || len(rest) != 1 || rest[0].ID != "key_B" {
		t.Errorf("after the first listed %+v %v", rest, err)
	}
	if err := s.CreateKey(ctx, by, full); err == nil {
		t.Error("an id was taken twice")
	}
	if err := s.CreateKey(ctx, by, mgx.APIKey{ID: "key_D", Workspace: ws, User: "user_1"}); !mgx.IsCode(err, "bad_key") {
		t.Errorf("without a digest: %v", err)
	}

	at := mgx.Now()
	must(s.TouchKey(ctx, full.ID, at))
	must(s.TouchKey(ctx, full.ID, at.Add(-time.Minute)))
	if got := get(full.ID).LastUsedAt; !got.Equal(at) {
		t.Errorf("last used %v, want %v", got, at)
	}

	must(s.RotateKey(ctx, by, ws, full.ID, strings.Repeat("99", 32), time.Hour))
	if k := get(full.ID); k.Digest != strings.Repeat("99", 32) || k.OldDigest != full.Digest || time.Until(k.OldUntil) < 50*time.Minute {
		t.Errorf("rotated to %+v", k)
	}
	for what, err := range map[string]error{
		"revoked": s.RevokeKey(ctx, by, ws, other.ID), "rotated": s.RotateKey(ctx, by, ws, other.ID, full.Digest, 0),
	} {
		if !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Errorf("%s a key of another workspace: %v", what, err)
		}
	}
	must(s.RevokeKey(ctx, by, ws, full.ID))
	first := get(full.ID).RevokedAt
	must(s.RevokeKey(ctx, by, ws, full.ID))
	if again := get(full.ID).RevokedAt; first.IsZero() || !again.Equal(first) || !get(other.ID).RevokedAt.IsZero() {
		t.Errorf("revoked at %v, then %v", first, again)
	}
	if err := s.RotateKey(ctx, by, ws, full.ID, plain.Digest, 0); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("rotated a key that is revoked: %v", err)
	}
	if _, err := s.Key(ctx, "key_none"); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("a key that is none: %v", err)
	}
}
