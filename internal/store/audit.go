package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"mgx"
)

// sealAudit keeps streams of audit entries to audit entries, and these to what was
// committed to after secrets were redacted.
func sealAudit(e mgx.Event) (mgx.Event, error) {
	switch {
	case e.Type == mgx.AuditRecorded:
		return e.Sealed()
	case e.Stream.IsAudit():
		return e, mgx.Errorf(mgx.KindInternal, "bad_event", "stream %s takes audit entries only, not %s", e.Stream, e.Type)
	}
	return e, nil
}

// grow adds an audit entry, which is numbered, to its workspace's tree.
func (t *tx) grow(e mgx.Event) error {
	leaf, err := mgx.AuditLeaf(e)
	if err != nil {
		return err
	}
	n := e.Sequence - 1
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		return readHashes(e.Workspace, at, func(query string, args []any, each func(scanner) error) error {
			rows, err := t.conn.QueryContext(t.ctx, query, args...)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				if err := each(rows); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	})
	hashes, err := tlog.StoredHashes(n, leaf, read)
	if err != nil {
		return err
	}
	for i, h := range hashes {
		if _, err := t.exec(`INSERT INTO audit_hashes (workspace, idx, hash) VALUES ($1, $2, $3)`, string(e.Workspace), tlog.StoredHashIndex(0, n)+int64(i), h.String()); err != nil {
			return err
		}
	}
	return nil
}

// readHashes reads the hashes at the given places of a workspace's tree.
func readHashes(ws mgx.WorkspaceID, at []int64, query func(string, []any, func(scanner) error) error) ([]tlog.Hash, error) {
	if len(at) == 0 {
		return nil, nil
	}
	args := []any{string(ws)}
	var in strings.Builder
	for i, idx := range at {
		if i > 0 {
			in.WriteString(", ")
		}
		args = append(args, idx)
		fmt.Fprintf(&in, "$%d", len(args))
	}
	found := make(map[int64]tlog.Hash, len(at))
	err := query(`SELECT idx, hash FROM audit_hashes WHERE workspace = $1 AND idx IN (`+in.String()+`)`, args, func(row scanner) error {
		var idx int64
		var text string
		if err := row.Scan(&idx, &text); err != nil {
			return err
		}
		h, err := tlog.ParseHash(text)
		found[idx] = h
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]tlog.Hash, len(at))
	for i, idx := range at {
		h, ok := found[idx]
		if !ok {
			return nil, mgx.Errorf(mgx.KindConfig, CodeAuditHash, "hash %d of the audit log of %s is missing: somebody took it away, or the database is damaged", idx, ws)
		}
		out[i] = h
	}
	return out, nil
}

// CodeAuditHash is the code of the error for a hash of a tree that is not there.
const CodeAuditHash = "audit_hash_missing"

// MaxAuditHashes is how many hashes one call of AuditHashes reads.
const MaxAuditHashes = 500

// AuditHashes reads hashes of a workspace's tree, by where tlog stores them. One
// that is missing is an error with CodeAuditHash.
func (s *Store) AuditHashes(ctx context.Context, ws mgx.WorkspaceID, at []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for len(at) > 0 {
		n := min(len(at), MaxAuditHashes)
		part, err := readHashes(ws, at[:n], func(query string, args []any, each func(scanner) error) error {
			_, err := list(ctx, s, func(row scanner) (struct{}, error) { return struct{}{}, each(row) }, query, args...)
			return err
		})
		if err != nil {
			return nil, err
		}
		out, at = append(out, part...), at[n:]
	}
	return out, nil
}

// AuditSize is how many leaves a workspace's tree has. An entry whose leaf is in
// the tree is in the log at once, or a little later where a sequencer numbers it.
func (s *Store) AuditSize(ctx context.Context, ws mgx.WorkspaceID) (int64, error) {
	stored, _, err := get(ctx, s, scanCount, `SELECT COALESCE(MAX(idx), -1) + 1 FROM audit_hashes WHERE workspace = $1`, string(ws))
	n := stored / 2 // of n leaves there are less than 2n hashes
	for tlog.StoredHashCount(n) < stored {
		n++
	}
	return n, err
}

// AuditEntries returns entries of a workspace's audit log after a sequence, in
// order, at most MaxEvents.
func (s *Store) AuditEntries(ctx context.Context, ws mgx.WorkspaceID, after int64) ([]mgx.Event, error) {
	return s.Events(ctx, EventQuery{Stream: mgx.AuditStream(ws), AfterSequence: after})
}

// AuditRemoved is the sequence up to which entries may have been removed because
// their time was over.
func (s *Store) AuditRemoved(ctx context.Context, ws mgx.WorkspaceID) (int64, error) {
	upTo, _, err := get(ctx, s, scanCount, `SELECT sequence FROM baselines WHERE stream = $1`, string(mgx.AuditStream(ws)))
	return upTo, err
}

// MaxKept is the longest class of an event that Options.Keep can ask for, in days.
const MaxKept = 3650

// AuditMisfiled returns those of some entries, which are in order, whose rows are of
// another class than they say; of those that do not say it, the ones of a class that
// no audit entry has which is to be kept for at least so long.
func (s *Store) AuditMisfiled(ctx context.Context, ws mgx.WorkspaceID, entries []mgx.Event, keep time.Duration) (wrong []int64, err error) {
	if len(entries) == 0 {
		return nil, nil
	}
	says := map[int64]mgx.AuditData{}
	for _, e := range entries {
		var d mgx.AuditData
		if err := e.Decode(&d); err != nil {
			return nil, err
		}
		says[e.Sequence] = d
	}
	_, err = list(ctx, s, func(row scanner) (none struct{}, err error) {
		var sequence, class int64
		if err := row.Scan(&sequence, &class); err != nil {
			return none, err
		}
		d, read := says[sequence]
		may := class == classByType || class >= classDays(keep) && class <= MaxKept
		if read && (d.Leaf < 2 && !may || d.Leaf >= 2 && class != d.Kept) {
			wrong = append(wrong, sequence)
		}
		return none, nil
	}, `SELECT sequence, class FROM events WHERE stream = $1 AND sequence >= $2 AND sequence <= $3 ORDER BY sequence`,
		string(mgx.AuditStream(ws)), entries[0].Sequence, entries[len(entries)-1].Sequence)
	return wrong, err
}

// AuditedWorkspaces lists the workspaces that have an audit log.
func (s *Store) AuditedWorkspaces(ctx context.Context) ([]mgx.WorkspaceID, error) {
	ctx = mgx.ForInstallation(ctx)
	return list(ctx, s, func(row scanner) (ws mgx.WorkspaceID, err error) { return ws, row.Scan(&ws) },
		`SELECT workspace FROM audit_hashes WHERE idx = 0 ORDER BY workspace`)
}

// SaveAuditCheckpoint keeps a checkpoint; the first of a size stays.
func (s *Store) SaveAuditCheckpoint(ctx context.Context, c mgx.AuditCheckpoint) error {
	ctx = mgx.ForInstallation(ctx)
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO audit_checkpoints (workspace, size, note, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (workspace, size) DO NOTHING`,
			string(c.Workspace), c.Size, c.Note, micros(utc(c.CreatedAt)))
		return err
	})
}

// MaxAuditCheckpoints is how many one call of AuditCheckpoints returns at most.
const MaxAuditCheckpoints = 1000

// AuditCheckpoints lists the checkpoints of a workspace over more than so many
// entries, oldest first.
func (s *Store) AuditCheckpoints(ctx context.Context, ws mgx.WorkspaceID, after int64, limit int) ([]mgx.AuditCheckpoint, error) {
	return list(ctx, s, scanCheckpoint, `SELECT workspace, size, note, created_at FROM audit_checkpoints WHERE workspace = $1 AND size > $2 ORDER BY size LIMIT $3`,
		string(ws), after, bounded(limit, MaxAuditCheckpoints))
}

// LastAuditCheckpoint is the checkpoint of a workspace over the most entries, if there
// is any.
func (s *Store) LastAuditCheckpoint(ctx context.Context, ws mgx.WorkspaceID) (c mgx.AuditCheckpoint, found bool, err error) {
	return get(ctx, s, scanCheckpoint, `SELECT workspace, size, note, created_at FROM audit_checkpoints WHERE workspace = $1 ORDER BY size DESC LIMIT 1`, string(ws))
}

func scanCheckpoint(row scanner) (c mgx.AuditCheckpoint, err error) {
	var at int64
	err = row.Scan(&c.Workspace, &c.Size, &c.Note, &at)
	c.CreatedAt = time.UnixMicro(at).UTC()
	return c, err
}

// acting writes with f, and in the same transaction the acts that say so.
func (s *Store) acting(ctx context.Context, acts []mgx.Event, f func(*tx) error) error {
	c, err := s.normal(mgx.Change{Events: acts})
	if err != nil {
		return err
	}
	return s.writeChange(ctx, &c, func(t *tx) error {
		if err := f(t); err != nil {
			return err
		}
		t.events, err = collect(c.Events, t.append)
		return err
	})
}
