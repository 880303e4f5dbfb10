// Package audit proves what was done and refused.
//
// An act is an event (see [mgx.NewAudit]) that is committed with what it did. The
// store keeps a Merkle tree over the entries of each workspace, in the same
// transaction. This package signs how a tree stands ([Log.Sign]), reads everything
// over ([Log.Verify]), and proves single entries to others ([Log.Prove]).
//
// # Promises
//
//   - Verify finds an entry that was changed, added between others, put in another
//     order or taken away, and a log that was cut off, also when whoever did it could
//     write to the whole database: what a checkpoint covers cannot be made anew
//     without its key. What came after the last checkpoint can; keep checkpoints in a
//     second place, where the log is cut off together with its last checkpoints.
//     What the tree does not hold of an entry's row has to be as that of any entry:
//     its type, and that it is of no task and no trace; its position is in order.
//   - Erasing the details of an entry, and removing entries whose time is over,
//     break nothing: the tree holds commitments. Verify says how many there are, that
//     none was removed too early, and that no details are gone but those of which an
//     erasure tells, which is an entry of its own with a signature.
//   - A proof can be checked without the log: with the public key alone.
//   - Bounded: reading over a log of any length takes a page of it, a page of its
//     checkpoints and 64 hashes, besides the checkpoints that are given, and what
//     was erased as ranges of numbers.
package audit

import (
	"context"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"mgx"
)

// Store is where audit logs are; *store.Store documents it and is one.
type Store interface {
	AuditEntries(ctx context.Context, ws mgx.WorkspaceID, after int64) ([]mgx.Event, error)
	AuditSize(ctx context.Context, ws mgx.WorkspaceID) (int64, error)
	AuditMisfiled(ctx context.Context, ws mgx.WorkspaceID, entries []mgx.Event, keep time.Duration) ([]int64, error)
	AuditRemoved(ctx context.Context, ws mgx.WorkspaceID) (int64, error)
	AuditHashes(ctx context.Context, ws mgx.WorkspaceID, at []int64) ([]tlog.Hash, error)
	AuditCheckpoints(ctx context.Context, ws mgx.WorkspaceID, after int64, limit int) ([]mgx.AuditCheckpoint, error)
	LastAuditCheckpoint(ctx context.Context, ws mgx.WorkspaceID) (c mgx.AuditCheckpoint, found bool, err error)
	SaveAuditCheckpoint(ctx context.Context, c mgx.AuditCheckpoint) error
}

// Log is the audit log of one workspace.
type Log struct {
	Store     Store
	Workspace mgx.WorkspaceID
}

// tree is the stored tree, as tlog reads it.
func (l Log) tree(ctx context.Context) tlog.HashReader {
	return tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) { return l.Store.AuditHashes(ctx, l.Workspace, at) })
}
