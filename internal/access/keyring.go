package access

import (
	"context"
	"sync"
	"time"

	"mgx"
)

// Codes of errors about who somebody is.
const (
	CodeUnauthenticated = "unauthenticated"
	CodeKeyExpired      = "key_expired"
	CodeTokenExpired    = "token_expired"
	CodeNotMember       = "not_a_member"
	CodeWorkspace       = "workspace_required"
)

// Fresh is how long what was looked up is believed, so for how long another
// process may still take a key that was revoked.
const Fresh = 5 * time.Second

const (
	keyTouch = time.Minute // how exactly a key's last use is noted
	maxKnown = 10_000      // things of a kind that are remembered
)

// KeyStore knows the keys that were made; *store.Store is one.
type KeyStore interface {
	// Key returns a key by its id (CodeNotFound).
	Key(context.Context, mgx.KeyID) (mgx.APIKey, error)
	// TouchKey notes that a key was used.
	TouchKey(context.Context, mgx.KeyID, time.Time) error
}

// Keyring finds the keys of secrets, and remembers those that it found lately.
type Keyring struct {
	keys  KeyStore
	now   func() time.Time
	known recent[mgx.KeyID, *knownKey]
}

type knownKey struct {
	mgx.APIKey
	mu      sync.Mutex
	touched time.Time
}

// NewKeyring returns a keyring. Its clock is time.Now unless now is set.
func NewKeyring(keys KeyStore, now func() time.Time) *Keyring {
	if now == nil {
		now = time.Now
	}
	return &Keyring{keys: keys, now: now, known: recent[mgx.KeyID, *knownKey]{now: now}}
}

// Find returns the key of a secret.
func (k *Keyring) Find(ctx context.Context, secret string) (mgx.APIKey, error) {
	id := keyOf(secret)
	if id == "" {
		return mgx.APIKey{}, unauthenticated()
	}
	key, err := k.known.get(id, func(before *knownKey) (*knownKey, error) {
		found, err := k.keys.Key(ctx, id)
		fresh := &knownKey{APIKey: found, touched: found.LastUsedAt}
		if before != nil {
			fresh.touched = later(fresh.touched, before.lastTouched())
		}
		return fresh, err
	})
	switch now := k.now(); {
	case mgx.IsCode(err, mgx.CodeNotFound):
		return mgx.APIKey{}, unauthenticated()
	case err != nil:
		return mgx.APIKey{}, err
	case !key.opens(secret, now), !key.RevokedAt.IsZero():
		return mgx.APIKey{}, unauthenticated()
	case !key.ExpiresAt.IsZero() && !now.Before(key.ExpiresAt):
		return mgx.APIKey{}, mgx.Errorf(mgx.KindRefused, CodeKeyExpired, "this MGX key has expired; make another with: mgx keys create")
	case key.touch(now):
		k.keys.TouchKey(ctx, id, now) // of no consequence when it fails
	}
	return key.APIKey, nil
}

// opens reports whether a secret is the key's, or for a while the one before it.
func (k *knownKey) opens(secret string, now time.Time) bool {
	return isSame(secret, k.Digest) || k.OldDigest != "" && now.Before(k.OldUntil) && isSame(secret, k.OldDigest)
}

// touch reports whether a use now is to be noted.
func (k *knownKey) touch(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.touched) < keyTouch {
		return false
	}
	k.touched = now
	return true
}

func (k *knownKey) lastTouched() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.touched
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func unauthenticated() error {
	return mgx.Errorf(mgx.KindRefused, CodeUnauthenticated, "this key or token is not valid; see: mgx keys, mgx login")
}

// recent remembers what was looked up lately.
type recent[K comparable, V any] struct {
	now   func() time.Time
	mu    sync.Mutex
	known map[K]found[V]
	age   int // how often all was forgotten
}

type found[V any] struct {
	value V
	at    time.Time
}

// get returns what is remembered, or looks it up, given what was remembered
// before. What was looked up while all was forgotten is not remembered.
func (r *recent[K, V]) get(key K, look func(before V) (V, error)) (V, error) {
	r.mu.Lock()
	old, known := r.known[key]
	age := r.age
	r.mu.Unlock()
	now := r.now()
	if known && now.Sub(old.at) < Fresh {
		return old.value, nil
	}
	v, err := look(old.value)
	if err != nil {
		return v, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if age != r.age {
		return v, nil
	}
	if r.known == nil || len(r.known) >= maxKnown {
		r.known = map[K]found[V]{}
	}
	r.known[key] = found[V]{v, now}
	return v, nil
}

// drop forgets one.
func (r *recent[K, V]) drop(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key)
}

func (r *recent[K, V]) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.age++
	clear(r.known)
}
