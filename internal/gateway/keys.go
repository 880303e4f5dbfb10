package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"mgx"
)

// Prefix begins every key, so that scanners for leaked secrets find them.
const Prefix = "mgx_"

// Keys knows the keys that were made; the store is one.
type Keys interface {
	// GatewayKey returns a key by its id (CodeNotFound).
	GatewayKey(context.Context, mgx.KeyID) (mgx.GatewayKey, error)
	// TouchGatewayKey notes that a key was used.
	TouchGatewayKey(context.Context, mgx.KeyID, time.Time) error
}

// NewKey makes a key with the given settings and returns it with the secret that
// it is used by, of which only the digest is kept.
func NewKey(settings mgx.GatewayKey) (k mgx.GatewayKey, secret string) {
	k = settings
	k.ID = mgx.NewKeyID()
	secret = Prefix + strings.TrimPrefix(string(k.ID), "key_") + "_" + rand.Text()
	k.Digest = digest(secret)
	return k, secret
}

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// idOf is the id in a secret; empty when it has not the form of one.
func idOf(secret string) mgx.KeyID {
	rest, ok := strings.CutPrefix(secret, Prefix)
	id, random, cut := strings.Cut(rest, "_")
	if !ok || !cut || len(id) != 26 || len(random) != 26 {
		return ""
	}
	return mgx.KeyID("key_" + id)
}

// secretOf is the key that a request shows, in either dialect's header.
func secretOf(r *http.Request) string {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return r.Header.Get("X-Api-Key")
}

// principal is who makes a call.
type principal = mgx.GatewayKey

// How long a key that was found is not looked for again, so for how long
// another process may still take one that was revoked; and how exactly its last
// use is noted.
const (
	keyFresh = 5 * time.Second
	keyTouch = time.Minute
	maxKnown = 10_000
)

// keyring remembers keys that were found lately.
type keyring struct {
	keys Keys
	now  func() time.Time

	mu    sync.Mutex
	known map[mgx.KeyID]*knownKey
}

type knownKey struct {
	principal
	found   time.Time
	touched time.Time
}

// find returns the key of a request. All ways in which a key is not good look
// the same to the caller, except that it has expired.
func (k *keyring) find(ctx context.Context, secret string) (principal, error) {
	id := idOf(secret)
	if id == "" {
		return principal{}, unauthorised(secret == "")
	}
	key, touch, err := k.load(ctx, id)
	switch {
	case mgx.IsCode(err, mgx.CodeNotFound):
		return principal{}, unauthorised(false)
	case err != nil:
		return principal{}, err
	case subtle.ConstantTimeCompare([]byte(digest(secret)), []byte(key.Digest)) != 1, !key.RevokedAt.IsZero():
		return principal{}, unauthorised(false)
	case !key.ExpiresAt.IsZero() && !k.now().Before(key.ExpiresAt):
		return principal{}, &failure{kind: noKey, code: "key_expired", message: "this MGX key has expired; make another with: mgx keys create"}
	}
	if touch {
		k.touch(ctx, id)
	}
	return key, nil
}

func unauthorised(none bool) error {
	f := &failure{kind: noKey, code: "invalid_api_key", message: "this MGX key is not valid; see: mgx keys"}
	if none {
		f.message = "send an MGX key as Authorization: Bearer mgx_… or x-api-key; make one with: mgx keys create"
	}
	return f
}

// load finds a key in memory or where they are kept, and says whether its use is
// to be noted.
func (k *keyring) load(ctx context.Context, id mgx.KeyID) (principal, bool, error) {
	now := k.now()
	k.mu.Lock()
	old := k.known[id]
	k.mu.Unlock()
	if old == nil || now.Sub(old.found) >= keyFresh {
		key, err := k.keys.GatewayKey(ctx, id)
		if err != nil {
			return principal{}, false, err
		}
		fresh := &knownKey{principal: key, found: now, touched: key.LastUsedAt}
		if old != nil && old.touched.After(fresh.touched) {
			fresh.touched = old.touched
		}
		old = fresh
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= maxKnown {
		clear(k.known)
	}
	k.known[id] = old
	touch := now.Sub(old.touched) >= keyTouch
	if touch {
		old.touched = now
	}
	return old.principal, touch, nil
}

// touch notes a use. It is of no consequence when that fails.
func (k *keyring) touch(ctx context.Context, id mgx.KeyID) {
	k.keys.TouchGatewayKey(ctx, id, k.now())
}

// CheckPattern refuses what is no pattern of names of models.
func CheckPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" || len(pattern) > 200 {
		return mgx.Errorf(mgx.KindUsage, "bad_pattern", "a model is named by a policy, provider/model or a glob such as openai/*, not %q", pattern)
	}
	return nil
}

// mayUse reports whether a key may use a model or policy, by its full name.
func mayUse(key principal, name string) bool {
	if len(key.Models) == 0 {
		return true
	}
	for _, pattern := range key.Models {
		if ok, _ := path.Match(pattern, name); ok || pattern == "*" || pattern == name {
			return true
		}
		// provider/* also means models whose own names have slashes.
		if provider, all := strings.CutSuffix(pattern, "/*"); all && strings.HasPrefix(name, provider+"/") {
			return true
		}
	}
	return false
}
