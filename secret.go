package mgx

import (
	"regexp"
	"sync"
	"time"
)

// SecretInfo is what is known of a secret besides its value: a name in a workspace,
// which everything that needs the value refers to it by. Setting it anew makes a
// version; the newest counts.
type SecretInfo struct {
	Workspace WorkspaceID `json:"workspace_id"`
	Name      string      `json:"name"`
	Version   int64       `json:"version"` // 1, 2, 3 …
	CreatedBy UserID      `json:"created_by"`
	CreatedAt time.Time   `json:"created_at"`
}

// SealedSecret is a secret as it is stored.
type SealedSecret struct {
	SecretInfo
	Key int64  // version of the workspace's key that sealed it
	Box []byte // nothing but the key opens it
}

// WorkspaceKey is the key that a workspace's secrets are sealed with, wrapped by
// the key ring. Without it everything it sealed is gone for good.
type WorkspaceKey struct {
	Workspace WorkspaceID
	Version   int64
	Wrapped   []byte
	CreatedAt time.Time
}

// MaxSecret bounds the value of a secret, in bytes.
const MaxSecret = 64 << 10

var secretName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,99}$`) })

// CheckSecretName refuses names that are not plain.
func CheckSecretName(name string) error {
	if !secretName().MatchString(name) {
		return Errorf(KindUsage, "bad_secret_name", "a secret's name begins with a letter and has letters, digits, and _ . - only, at most 100, not %q", name[:min(len(name), 120)])
	}
	return nil
}
