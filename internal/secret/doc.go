// Package secret keeps what must be kept secret: keys of providers, passwords,
// tokens, per workspace and by name.
//
// Each workspace has a key of its own, under which its secrets are sealed; that key
// is stored wrapped by the key ring, which is not in the database. So whoever has
// the database, or a backup of it, has nothing, and who erases a workspace's key
// has erased its secrets wherever copies of them are.
//
// # Promises
//
//   - A value is stored sealed and nowhere else: not in events, audit entries, logs
//     or errors. What opens a box checks that it is the box of that workspace, name
//     and version, so that boxes cannot be exchanged.
//   - Every reading of a value is in the audit log, with who it was for and what
//     for, before the value is handed out. A reading that cannot be recorded fails.
//   - Changing the value, the workspace's key or the key ring loses nothing, also
//     when it is interrupted: what was sealed before can be opened until it is
//     sealed anew.
//
// Sealing is Tink's AES-256-GCM, with a random nonce for each box.
package secret

import (
	"context"

	"mgx"
)

// Store is where sealed secrets are; *store.Store documents it and is one.
type Store interface {
	// WorkspaceKeys lists the keys of a workspace, oldest first.
	WorkspaceKeys(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.WorkspaceKey, error)
	// AddWorkspaceKey stores a key of the next version; mgx.CodeConflict when
	// somebody else was first.
	AddWorkspaceKey(ctx context.Context, k mgx.WorkspaceKey, acts ...mgx.Event) error
	// RewrapWorkspaceKey replaces how a key is wrapped.
	RewrapWorkspaceKey(ctx context.Context, k mgx.WorkspaceKey, acts ...mgx.Event) error
	// DropWorkspaceKeys removes the keys below a version; mgx.CodeConflict while
	// something is sealed with one.
	DropWorkspaceKeys(ctx context.Context, ws mgx.WorkspaceID, below int64, acts ...mgx.Event) error

	// Secrets lists the newest version of each secret, by name.
	Secrets(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.SealedSecret, error)
	// AllSecrets lists every version of each.
	AllSecrets(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.SealedSecret, error)
	// Secret returns the newest version of one; mgx.CodeNotFound.
	Secret(ctx context.Context, ws mgx.WorkspaceID, name string) (mgx.SealedSecret, error)
	// AddSecret stores the next version; mgx.CodeConflict when somebody else was first.
	AddSecret(ctx context.Context, s mgx.SealedSecret, acts ...mgx.Event) error
	// ResealSecret replaces how a version is sealed, if it is still sealed with the
	// key that the caller opened it with; else mgx.CodeConflict.
	ResealSecret(ctx context.Context, s mgx.SealedSecret, was int64) error
	// RemoveSecret removes all versions; mgx.CodeNotFound.
	RemoveSecret(ctx context.Context, ws mgx.WorkspaceID, name string, acts ...mgx.Event) error

	Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error)
}
