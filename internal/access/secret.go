package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"

	"mgx"
)

// What secrets begin with, so that people and scanners for leaked secrets know
// what they have found.
const (
	KeyPrefix        = "mgx_"  // an API key
	AccessPrefix     = "mgxa_" // gives access for some minutes
	RefreshPrefix    = "mgxr_" // makes new tokens, once
	InvitationPrefix = "mgxi_" // lets a person in, once
)

// random is at least 256 bits as text.
func random() string { return rand.Text() + rand.Text() }

// NewSecret makes a secret of a kind.
func NewSecret(prefix string) string { return prefix + random() }

// Digest is what is kept of a secret. They are random and long, so that one round
// of a fast hash keeps them.
func Digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func isSame(secret, digest string) bool {
	return subtle.ConstantTimeCompare([]byte(Digest(secret)), []byte(digest)) == 1
}

// NewKey makes a key with the given settings and returns it with its secret, of
// which only the digest is kept.
func NewKey(settings mgx.APIKey) (k mgx.APIKey, secret string) {
	k = settings
	k.ID = mgx.NewKeyID()
	secret = KeySecret(k.ID)
	k.Digest = Digest(secret)
	return k, secret
}

// KeySecret makes a secret for a key, which it names.
func KeySecret(id mgx.KeyID) string {
	return KeyPrefix + strings.TrimPrefix(string(id), "key_") + "_" + random()
}

// keyOf is the key that a secret is of; empty when it has not the form of one.
// Those of before there were scopes have half as many random characters.
func keyOf(secret string) mgx.KeyID {
	rest, ok := strings.CutPrefix(secret, KeyPrefix)
	id, text, cut := strings.Cut(rest, "_")
	if !ok || !cut || len(id) != 26 || len(text) != 26 && len(text) != 52 {
		return ""
	}
	return mgx.KeyID("key_" + id)
}
